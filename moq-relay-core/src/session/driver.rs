//! The future that runs a session: accepts what the peer opens and does what the handle asks.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moq_transfork::code::Code;
use moq_transfork::setup::{SessionReader, SessionWriter};
use moq_transfork::stream::{AnnounceReader, AnnounceRequest, Request};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::DropGuard;
use tracing::{Instrument, Span, debug, error};
use web_transport_trait::{self as wt, Stats as _};

use crate::error::Error;
use crate::session::context::Context;
use crate::session::peer::{Ask, Peer};
use crate::session::state::State;
use crate::session::tally::Tally;
use crate::session::{SetUp, egress, ingest, rate};
use crate::source::Source;

/// Chores that tasks of a session have handed to its driver and that wait to be started.
const MAX_CHORES: usize = 4096;

/// Time for a close to travel.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// Time for the transport to settle before a close, whatever the round trip is.
const MAX_HUSH: Duration = Duration::from_millis(250);

/// Runs a session. Dropping it ends everything the session does.
pub struct Driver<S: wt::Session> {
    /// Dropped before the tasks: their tracks end when they let go of them, and readers of those tracks
    /// must then find the peer gone.
    gone: DropGuard,
    state: Arc<State<S>>,
    peer: Peer,
    publish: Option<Arc<dyn Source>>,
    asks: mpsc::Receiver<Box<Ask>>,
    chores: mpsc::Receiver<BoxFuture<'static, ()>>,
    tasks: JoinSet<Result<(), Error>>,
    /// Apart from the tasks, so that the session stream outlives them.
    control: JoinSet<Result<(), Error>>,
    /// An announce stream that the set-up has opened already.
    announced: Option<(AnnounceRequest<S>, AnnounceReader<S>)>,
}

/// Makes the two halves of a session that is set up.
pub(crate) fn start<S: wt::Session>(
    set_up: SetUp<S>,
    publish: Option<Arc<dyn Source>>,
    context: Arc<Context>,
) -> (Peer, Driver<S>) {
    let SetUp {
        session,
        established,
        detected,
    } = set_up;
    let tally = Arc::<Tally>::default();
    let (peer, asks, gone) = Peer::new(established.dialect, context.clone(), tally.clone());
    let (chore, chores) = mpsc::channel(MAX_CHORES);
    let dialect = established.dialect;
    let state = Arc::new(State::new(session, dialect, context, tally, chore));
    let mut driver = Driver {
        gone: gone.drop_guard(),
        state: state.clone(),
        peer: peer.clone(),
        publish,
        asks,
        chores,
        tasks: JoinSet::new(),
        control: JoinSet::new(),
        announced: None,
    };
    let control = control(state, established.updates, established.control);
    driver.control.spawn(control.instrument(Span::current()));
    if let Some(detected) = detected {
        driver.announced = Some(detected.announce);
        for pending in detected.pending {
            driver.serve(async move { Ok(pending.accept().await?) }.boxed());
        }
    }
    (peer, driver)
}

impl<S: wt::Session> Driver<S> {
    /// Runs the session to its end.
    ///
    /// # Errors
    /// What ended it; [`Error::Cancelled`] if the peer said goodbye without an error,
    /// [`Error::Shutdown`] if this side is shutting down.
    pub async fn run(mut self) -> Result<(), Error> {
        let end = self.serve_until_end().await;
        let reason = end.to_string();
        debug!(%reason, "session ends");
        let session = &self.state.session;
        drop(self.gone);
        if end == Error::Shutdown {
            hush(session, &mut self.tasks).await;
        }
        session.close(end.code().0, &reason);
        // The session stream is held until the close has travelled: its own end says less.
        let _stuck = timeout(CLOSE_TIME, session.closed()).await;
        if end == Error::Cancelled {
            Ok(())
        } else {
            Err(end)
        }
    }

    async fn serve_until_end(&mut self) -> Error {
        let state = self.state.clone();
        let session = &state.session;
        let mut closed = pin!(session.closed());
        let closing = state.context.closing.clone();
        loop {
            tokio::select! {
                biased;
                error = &mut closed => return ended(&error),
                () = closing.cancelled() => return Error::Shutdown,
                // A task that ends with an error takes the session with it.
                Some(done) = self.control.join_next() => {
                    if let Some(error) = failure(done) {
                        return error;
                    }
                }
                Some(done) = self.tasks.join_next() => {
                    if let Some(error) = failure(done) {
                        return error;
                    }
                }
                Some(chore) = self.chores.recv() => self.spawn(chore.map(Ok)),
                Some(ask) = self.asks.recv() => {
                    if let Some(end) = self.answer(*ask) {
                        return end;
                    }
                }
                accepted = session.accept_bi() => match accepted {
                    Ok((send, recv)) => {
                        let dialect = state.dialect;
                        let request = async move { Ok(Request::accept(send, recv, dialect).await?) };
                        self.serve(request.boxed());
                    }
                    Err(error) => return ended(&error),
                },
                accepted = session.accept_uni() => match accepted {
                    Ok(recv) => self.spawn(ingest::group::receive(state.clone(), recv)),
                    Err(error) => return ended(&error),
                },
            }
        }
    }

    /// Serves a request of the peer, which is still on its way.
    fn serve(&mut self, request: BoxFuture<'static, Result<Request<S>, Error>>) {
        let source = self.publish.clone();
        self.spawn(egress::serve(self.state.clone(), source, request));
    }

    /// Does what the handle asks; returns an error if that ends the session.
    fn answer(&mut self, ask: Ask) -> Option<Error> {
        let state = self.state.clone();
        match ask {
            Ask::Track(track) => {
                self.spawn(ingest::subscribe::run(state, self.peer.clone(), track))
            }
            Ask::Announced(prefix, set, ignored) => {
                let opened = if prefix.is_empty() {
                    self.announced.take()
                } else {
                    None
                };
                self.spawn(ingest::announce::run(state, prefix, set, ignored, opened));
            }
            Ask::Info(path, reply) => self.spawn(ingest::request::info(state, path, reply)),
            Ask::Fetch(fetch, group, unwanted) => {
                let fetch = ingest::request::fetch(state.clone(), fetch, group, unwanted);
                self.spawn(fetch);
                if let Some(tidy) = self.peer.tidy() {
                    state.chore(tidy);
                }
            }
            Ask::Close(code, reason) => {
                self.state.session.close(code.0, &reason);
                return Some(Error::Cancelled);
            }
        }
        None
    }

    fn spawn(&mut self, task: impl Future<Output = Result<(), Error>> + Send + 'static) {
        self.tasks.spawn(task.instrument(Span::current()));
    }
}

/// Ends all tasks and waits a round trip: quinn does not send a close while its congestion window
/// is full.
async fn hush<S: wt::Session>(session: &S, tasks: &mut JoinSet<Result<(), Error>>) {
    tasks.shutdown().await;
    let rtt = session.stats().rtt().unwrap_or_default();
    sleep(rtt.min(MAX_HUSH)).await;
}

/// The error that a task has ended with.
fn failure(done: Result<Result<(), Error>, JoinError>) -> Option<Error> {
    match done {
        Ok(outcome) => outcome.err(),
        Err(error) => {
            error!(%error, "a task of the session failed");
            None
        }
    }
}

/// Follows the session stream, whose end is the session's end.
async fn control<S: wt::Session>(
    state: Arc<State<S>>,
    mut reader: SessionReader<S>,
    mut writer: SessionWriter<S>,
) -> Result<(), Error> {
    let updates = async {
        while let Some(update) = reader.update().await? {
            debug!(bitrate = update.bitrate, "peer's send rate");
        }
        Err(Error::Cancelled)
    };
    tokio::select! {
        biased;
        end = updates => end,
        Err(error) = rate::report(&state.session, &mut writer) => Err(error),
    }
}

/// What a transport's error says about the end of the session.
fn ended(error: &impl wt::Error) -> Error {
    match error.session_error() {
        Some((0, _)) => Error::Cancelled,
        Some((code, _)) => Error::Peer(Code(code)),
        None => Error::Transport(error.to_string()),
    }
}

impl<S: wt::Session> fmt::Debug for Driver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
