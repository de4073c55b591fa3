//! The future that runs a session: accepts what the peer opens and does what the handle asks.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use moq_transfork::code::Code;
use moq_transfork::path::Path;
use moq_transfork::setup::{SessionReader, SessionWriter};
use moq_transfork::stream::Request;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{Instrument, Span, debug, error};
use web_transport_trait::{self as wt, Stats as _};

use crate::error::Error;
use crate::session::context::Context;
use crate::session::egress::Served;
use crate::session::inbox::{Errand, Inbox, Outlet};
use crate::session::ingest::announce::Announces;
use crate::session::peer::{Ask, Gone, Peer};
use crate::session::state::State;
use crate::session::tally::Tally;
use crate::session::{SetUp, egress, ingest, rate};
use crate::source::Source;

/// Time for a close to travel.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// Time for the transport to settle before a close, whatever the round trip is.
const MAX_HUSH: Duration = Duration::from_millis(250);

/// Runs a session. Dropping it ends everything the session does.
pub struct Driver<S: wt::Session> {
    /// Dropped before the tasks: their tracks end when they let go of them, and readers of those tracks
    /// must then find the peer gone.
    gone: Gone,
    state: Arc<State<S>>,
    peer: Peer,
    publish: Option<Arc<dyn Source>>,
    errands: Outlet,
    tasks: Tasks<S>,
    /// Follows the session stream. It is no task, so that the stream outlives those.
    control: BoxFuture<'static, Error>,
}

/// The tasks of a session. One that ends may leave a subscription to be served.
type Tasks<S> = JoinSet<Result<Served<S>, Error>>;

/// Makes the two halves of a session that is set up, and with them all that the peer announces.
pub(crate) fn start<S: wt::Session>(
    set_up: SetUp<S>,
    publish: Option<Arc<dyn Source>>,
    context: Arc<Context>,
) -> (Peer, Driver<S>, Announces<S>) {
    let SetUp {
        session,
        established,
        detected,
    } = set_up;
    let tally = Arc::<Tally>::default();
    let dialect = established.dialect;
    let inbox = Arc::<Inbox>::default();
    let (peer, gone) = Peer::new(dialect, context.clone(), tally.clone(), inbox.clone());
    let state = State::new(session, dialect, context, tally, inbox.clone());
    let state = Arc::new(state);
    let mut driver = Driver {
        gone,
        state: state.clone(),
        peer: peer.clone(),
        publish,
        errands: Outlet::new(inbox),
        tasks: JoinSet::new(),
        control: control(state.clone(), established.updates, established.control),
    };
    let announces = match detected {
        Some(detected) => {
            for pending in detected.pending {
                driver.serve(async move { Ok(pending.accept().await?) }.boxed());
            }
            Announces::on(state, detected.announce)
        }
        None => Announces::new(state, Path::default()),
    };
    (peer, driver, announces)
}

impl<S: wt::Session> Driver<S> {
    /// Runs the session to its end.
    ///
    /// # Errors
    /// What ended it; [`Error::Cancelled`] if the peer said goodbye without an error,
    /// [`Error::Shutdown`] if this side is shutting down.
    pub fn run(mut self) -> impl Future<Output = Result<(), Error>> + Send {
        let state = self.state.clone();
        // Not an async function, which would hold its argument twice.
        async move {
            let session = &state.session;
            let end = self.serve_until_end().await;
            let reason = end.to_string();
            debug!(%reason, "session ends");
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
                error = &mut self.control => return error,
                // A task that ends with an error takes the session with it.
                Some(done) = self.tasks.join_next() => match done {
                    Ok(Ok(Served::Over)) => {}
                    Ok(Ok(Served::Subscription(asked))) => {
                        self.tasks.spawn(asked.serve());
                    }
                    Ok(Err(error)) => return error,
                    Err(error) => error!(%error, "a task of the session failed"),
                },
                errand = self.errands.next() => match errand {
                    Errand::TakeIn(waiting) => {
                        while let Some(Ok(recv)) = session.accept_uni().now_or_never() {
                            self.receive(recv);
                        }
                        for done in waiting {
                            let _gone = done.send(());
                        }
                    }
                    Errand::Chore(chore) => self.spawn(chore.map(Ok)),
                    Errand::Ask(ask) => self.answer(*ask),
                    Errand::Close(code, reason) => {
                        session.close(code.0, &reason);
                        return Error::Cancelled;
                    }
                },
                accepted = session.accept_bi() => match accepted {
                    Ok((send, recv)) => {
                        let dialect = state.dialect;
                        let request = async move { Ok(Request::accept(send, recv, dialect).await?) };
                        self.serve(request.boxed());
                    }
                    Err(error) => return ended(&error),
                },
                accepted = session.accept_uni() => match accepted {
                    Ok(recv) => self.receive(recv),
                    Err(error) => return ended(&error),
                },
            }
        }
    }

    /// Serves a request of the peer, which is still on its way.
    fn serve(&mut self, request: BoxFuture<'static, Result<Request<S>, Error>>) {
        let source = self.publish.clone();
        let serve = egress::serve(self.state.clone(), source, request);
        self.tasks.spawn(serve);
    }

    /// Receives a group of the peer.
    fn receive(&mut self, recv: S::RecvStream) {
        let arrival = self.state.arrival();
        self.spawn(ingest::group::receive(self.state.clone(), recv, arrival));
    }

    /// Does what the handle asks.
    fn answer(&mut self, ask: Ask) {
        let state = self.state.clone();
        match ask {
            Ask::Track(track) => {
                self.spawn(ingest::subscribe::run(state, self.peer.clone(), track))
            }
            Ask::Announced(prefix, feeder) => {
                let announces = Announces::new(state, prefix);
                self.spawn(ingest::announce::run(announces, feeder));
            }
            Ask::Info(path, reply) => self.spawn(ingest::request::info(state, path, reply)),
            Ask::Fetch(fetch, group, unwanted) => {
                let fetch = ingest::request::fetch(state.clone(), fetch, group, unwanted);
                self.spawn(fetch);
                if let Some(tidy) = self.peer.tidy() {
                    state.chore(tidy);
                }
            }
        }
    }

    fn spawn(&mut self, task: impl Future<Output = Result<(), Error>> + Send + 'static) {
        let task = task.map_ok(|()| Served::Over);
        self.tasks.spawn(task.instrument(Span::current()));
    }
}

/// Ends all tasks and waits a round trip: quinn does not send a close while its congestion window
/// is full.
async fn hush<S: wt::Session>(session: &S, tasks: &mut Tasks<S>) {
    tasks.shutdown().await;
    let rtt = session.stats().rtt().unwrap_or_default();
    sleep(rtt.min(MAX_HUSH)).await;
}

/// Follows the session stream, whose end is the session's end.
///
/// What it reads and writes stays where it was captured: an argument of an async function would be
/// there twice.
fn control<S: wt::Session>(
    state: Arc<State<S>>,
    mut reader: SessionReader<S>,
    mut writer: SessionWriter<S>,
) -> BoxFuture<'static, Error> {
    let control = async move {
        tokio::select! {
            biased;
            end = updates(&mut reader) => end,
            error = rate::report(&state, &mut writer) => error,
        }
    };
    control.boxed()
}

/// Reads what the peer says of its rate, until it says no more.
async fn updates<S: wt::Session>(reader: &mut SessionReader<S>) -> Error {
    loop {
        match reader.update().await {
            Ok(Some(update)) => debug!(bitrate = update.bitrate, "peer's send rate"),
            Ok(None) => return Error::Cancelled,
            Err(error) => return error.into(),
        }
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
