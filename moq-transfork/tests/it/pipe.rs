//! A transport in memory, and a way to run futures on it. Nothing ever wakes: everything is polled
//! again until it is ready, so that a test that hangs fails instead.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use moq_transfork::wt;

/// Runs a future that needs nothing but polling.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..100_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context()) {
            return output;
        }
    }
    panic!("the future is stuck");
}

/// Polls a future once and drops it, as a loop does that has better things to do.
pub(crate) fn poll<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut context()) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Two ends of a session.
pub(crate) fn pair() -> (Session, Session) {
    let state = Arc::new(Mutex::new(State::default()));
    let (client, server) = (
        Session {
            state: state.clone(),
            side: 0,
        },
        Session { state, side: 1 },
    );
    (client, server)
}

/// One stream in one direction, and what became of it.
#[derive(Clone, Default)]
pub(crate) struct Pipe(Arc<Mutex<PipeState>>);

#[derive(Clone, Default)]
pub(crate) struct PipeState {
    pub(crate) unread: VecDeque<u8>,
    pub(crate) written: Vec<u8>,
    pub(crate) writes: usize,
    pub(crate) finished: bool,
    pub(crate) reset: Option<u32>,
    pub(crate) stopped: Option<u32>,
    pub(crate) priority: Option<i32>,
    /// The most bytes that one read gives; 0 for all.
    pub(crate) chop: usize,
}

impl Pipe {
    pub(crate) fn state(&self) -> MutexGuard<'_, PipeState> {
        self.0.lock().unwrap()
    }

    /// A copy of what became of the stream so far.
    pub(crate) fn seen(&self) -> PipeState {
        self.state().clone()
    }

    pub(crate) fn send(&self) -> SendStream {
        SendStream(self.clone())
    }

    pub(crate) fn recv(&self) -> RecvStream {
        RecvStream(self.clone())
    }

    pub(crate) fn feed(&self, bytes: &[u8]) {
        self.state().unread.extend(bytes);
    }
}

#[derive(Default)]
struct State {
    /// What each side has not accepted yet.
    uni: [VecDeque<Pipe>; 2],
    bi: [VecDeque<(Pipe, Pipe)>; 2],
    closed: Option<(u32, String)>,
}

#[derive(Clone)]
pub(crate) struct Session {
    state: Arc<Mutex<State>>,
    side: usize,
}

impl Session {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How the session was closed, if it was.
    pub(crate) fn close_code(&self) -> Option<u32> {
        self.state().closed.as_ref().map(|(code, _)| *code)
    }

    /// Opens a stream for the peer to accept: what we write, and what it writes.
    pub(crate) fn open_pipes(&self) -> (Pipe, Pipe) {
        let (ours, theirs) = (Pipe::default(), Pipe::default());
        self.state().bi[1 - self.side].push_back((theirs.clone(), ours.clone()));
        (ours, theirs)
    }

    /// Takes the next stream that the peer opened: what we write, and what it writes.
    pub(crate) fn take_pipes(&self) -> Option<(Pipe, Pipe)> {
        self.state().bi[self.side].pop_front()
    }

    pub(crate) fn take_uni(&self) -> Option<Pipe> {
        self.state().uni[self.side].pop_front()
    }

    async fn wait<T>(&self, mut take: impl FnMut(&mut State) -> Option<T>) -> Result<T, Error> {
        poll_fn(|_| {
            let mut state = self.state();
            match (take(&mut state), &state.closed) {
                (Some(taken), _) => Poll::Ready(Ok(taken)),
                (None, Some((code, reason))) => {
                    Poll::Ready(Err(Error::Closed(*code, reason.clone())))
                }
                (None, None) => Poll::Pending,
            }
        })
        .await
    }
}

impl wt::Session for Session {
    type SendStream = SendStream;
    type RecvStream = RecvStream;
    type Error = Error;

    async fn accept_uni(&self) -> Result<RecvStream, Error> {
        self.wait(|state| state.uni[self.side].pop_front())
            .await
            .map(RecvStream)
    }

    async fn accept_bi(&self) -> Result<(SendStream, RecvStream), Error> {
        let (send, recv) = self.wait(|state| state.bi[self.side].pop_front()).await?;
        Ok((SendStream(send), RecvStream(recv)))
    }

    async fn open_bi(&self) -> Result<(SendStream, RecvStream), Error> {
        let (send, recv) = self.open_pipes();
        Ok((SendStream(send), RecvStream(recv)))
    }

    async fn open_uni(&self) -> Result<SendStream, Error> {
        let pipe = Pipe::default();
        self.state().uni[1 - self.side].push_back(pipe.clone());
        Ok(SendStream(pipe))
    }

    fn send_datagram(&self, _: Bytes) -> Result<(), Error> {
        Err(Error::Lost)
    }

    async fn recv_datagram(&self) -> Result<Bytes, Error> {
        Err(Error::Lost)
    }

    fn max_datagram_size(&self) -> usize {
        0
    }

    fn close(&self, code: u32, reason: &str) {
        self.state().closed.get_or_insert((code, reason.to_owned()));
    }

    async fn closed(&self) -> Error {
        self.wait::<()>(|_| None).await.unwrap_err()
    }
}

pub(crate) struct SendStream(Pipe);

impl wt::SendStream for SendStream {
    type Error = Error;

    async fn write(&mut self, buf: &[u8]) -> Result<usize, Error> {
        let mut state = self.0.state();
        if let Some(code) = state.stopped {
            return Err(Error::Stream(code));
        }
        if state.finished || state.reset.is_some() {
            return Err(Error::Lost);
        }
        state.unread.extend(buf);
        state.written.extend(buf);
        state.writes += 1;
        Ok(buf.len())
    }

    fn set_priority(&mut self, order: i32) {
        self.0.state().priority = Some(order);
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.0.state().finished = true;
        Ok(())
    }

    fn reset(&mut self, code: u32) {
        self.0.state().reset.get_or_insert(code);
    }

    async fn closed(&mut self) -> Result<(), Error> {
        poll_fn(|_| {
            let state = self.0.state();
            match state.stopped {
                Some(code) => Poll::Ready(Err(Error::Stream(code))),
                None if state.finished && state.unread.is_empty() => Poll::Ready(Ok(())),
                None => Poll::Pending,
            }
        })
        .await
    }
}

pub(crate) struct RecvStream(Pipe);

impl wt::RecvStream for RecvStream {
    type Error = Error;

    async fn read(&mut self, dst: &mut [u8]) -> Result<Option<usize>, Error> {
        let Some(chunk) = self.read_chunk(dst.len()).await? else {
            return Ok(None);
        };
        dst[..chunk.len()].copy_from_slice(&chunk);
        Ok(Some(chunk.len()))
    }

    async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, Error> {
        poll_fn(|_| {
            let mut state = self.0.state();
            if let Some(code) = state.reset {
                return Poll::Ready(Err(Error::Stream(code)));
            }
            let chop = if state.chop == 0 {
                usize::MAX
            } else {
                state.chop
            };
            let len = max.min(state.unread.len()).min(chop);
            if len == 0 {
                return if state.finished {
                    Poll::Ready(Ok(None))
                } else {
                    Poll::Pending
                };
            }
            Poll::Ready(Ok(Some(state.unread.drain(..len).collect())))
        })
        .await
    }

    fn stop(&mut self, code: u32) {
        self.0.state().stopped.get_or_insert(code);
    }

    async fn closed(&mut self) -> Result<(), Error> {
        std::future::pending().await
    }
}

#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("stream ended with {0}")]
    Stream(u32),
    #[error("session closed with {0}: {1}")]
    Closed(u32, String),
    #[error("lost")]
    Lost,
}

impl wt::Error for Error {
    fn session_error(&self) -> Option<(u32, String)> {
        match self {
            Error::Closed(code, reason) => Some((*code, reason.clone())),
            Error::Stream(_) | Error::Lost => None,
        }
    }

    fn stream_error(&self) -> Option<u32> {
        match self {
            Error::Stream(code) => Some(*code),
            Error::Closed(..) | Error::Lost => None,
        }
    }
}
