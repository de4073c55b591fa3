use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use web_transport_trait as wt;

use super::Error;
use super::flow::{Duplex, Kind, Side};
use super::shared::{Handle, Shared};
use super::stream::{RecvStream, SendStream};

/// One end of an in-memory session. Clones are handles to the same end.
///
/// The end closes with code 0 when its last handle is dropped; its streams count as handles.
#[derive(Debug, Clone)]
pub struct Session {
    handle: Arc<Handle>,
}

impl Session {
    pub(super) fn pair(shared: Arc<Shared>) -> (Self, Self) {
        let [first, second] = Side::BOTH.map(|side| {
            let handle = Arc::new(Handle::new(shared.clone(), side));
            Self { handle }
        });
        (first, second)
    }

    /// Silences the link for good: nothing is delivered any more in either direction.
    ///
    /// Neither end learns of it, except by [`Config::idle`](super::Config::idle). What was
    /// delivered before can still be read.
    pub fn cut(&self) {
        self.handle.with(|state, _| state.cut());
    }

    /// Changes how many bytes per second this end can send, from its next packet on.
    ///
    /// As [`Config::rate`](super::Config::rate): at least 1, `None` is without limit.
    pub fn set_rate(&self, rate: Option<u64>) {
        self.handle
            .with(|state, side| state.links[side.index()].rate = rate);
    }

    /// Waits for the peer to allow one stream more.
    async fn permit(&self, kind: Kind) -> Result<OwnedSemaphorePermit, Error> {
        tokio::select! {
            biased;
            error = wt::Session::closed(self) => Err(error),
            permit = self.handle.limit(kind).acquire_owned() => {
                // The limits are never closed; if they were, no stream could be opened.
                permit.map_err(|_| Error::LocallyClosed)
            }
        }
    }

    fn duplex(&self, Duplex { send, recv }: Duplex) -> (SendStream, RecvStream) {
        let send = SendStream::new(self.handle.clone(), send);
        (send, RecvStream::new(self.handle.clone(), recv))
    }
}

impl wt::Session for Session {
    type SendStream = SendStream;
    type RecvStream = RecvStream;
    type Error = Error;

    async fn accept_uni(&self) -> Result<RecvStream, Error> {
        let flow = poll_fn(|cx| {
            self.handle
                .with(|state, side| state.poll_accept_uni(side, cx.waker()))
        })
        .await?;
        Ok(RecvStream::new(self.handle.clone(), flow))
    }

    async fn accept_bi(&self) -> Result<(SendStream, RecvStream), Error> {
        let flows = poll_fn(|cx| {
            self.handle
                .with(|state, side| state.poll_accept_bi(side, cx.waker()))
        })
        .await?;
        Ok(self.duplex(flows))
    }

    async fn open_bi(&self) -> Result<(SendStream, RecvStream), Error> {
        let permit = self.permit(Kind::Bi).await?;
        let flows = self
            .handle
            .with(|state, side| state.open_bi(side, permit))?;
        Ok(self.duplex(flows))
    }

    async fn open_uni(&self) -> Result<SendStream, Error> {
        let permit = self.permit(Kind::Uni).await?;
        let flow = self
            .handle
            .with(|state, side| state.open_uni(side, permit))?;
        Ok(SendStream::new(self.handle.clone(), flow))
    }

    fn send_datagram(&self, _payload: Bytes) -> Result<(), Error> {
        Err(Error::DatagramsUnsupported)
    }

    async fn recv_datagram(&self) -> Result<Bytes, Error> {
        Err(self.closed().await)
    }

    fn max_datagram_size(&self) -> usize {
        0
    }

    fn protocol(&self) -> Option<&str> {
        self.handle.config().protocol.as_deref()
    }

    fn close(&self, code: u32, reason: &str) {
        self.handle
            .with(|state, side| state.close(side, code, reason));
    }

    async fn closed(&self) -> Error {
        poll_fn(|cx| {
            self.handle
                .with(|state, side| state.poll_closed(side, cx.waker()))
        })
        .await
    }

    fn stats(&self) -> impl wt::Stats {
        self.handle.with(|state, side| SessionStats {
            sent: state.ends[side.index()].sent,
            received: state.ends[side.index()].received,
            rate: state.links[side.index()].rate,
            delay: self.handle.config().delay,
        })
    }
}

/// What one end has counted, at the time it was asked for.
#[derive(Debug, Clone, Copy)]
pub struct SessionStats {
    sent: u64,
    received: u64,
    rate: Option<u64>,
    delay: Duration,
}

impl wt::Stats for SessionStats {
    /// Payload bytes that left this end.
    fn bytes_sent(&self) -> Option<u64> {
        Some(self.sent)
    }

    /// Payload bytes that arrived at this end.
    fn bytes_received(&self) -> Option<u64> {
        Some(self.received)
    }

    /// Twice the configured delay.
    fn rtt(&self) -> Option<Duration> {
        Some(self.delay * 2)
    }

    /// The link's rate in bits per second, if it is limited.
    fn estimated_send_rate(&self) -> Option<u64> {
        self.rate.map(|rate| rate.saturating_mul(8))
    }
}
