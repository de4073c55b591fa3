use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use web_transport_trait::{self as wt, Session as _};

use crate::memory::error::Error;
use crate::memory::flow::{Duplex, Kind, Side};
use crate::memory::shared::{Handle, Shared};
use crate::memory::state::State;
use crate::memory::stream::{RecvStream, SendStream};

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

    /// Whether nothing is left of any stream.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.handle.with(|state, _| state.is_empty())
    }

    /// Waits for the peer to allow one stream more.
    async fn permit(&self, kind: Kind) -> Result<OwnedSemaphorePermit, Error> {
        let signals = self.handle.signals();
        tokio::select! {
            biased;
            () = signals.over.cancelled() => Err(self.closed().await),
            // The limits are never closed; if one were, no stream could be opened any more.
            permit = signals.limit(kind).clone().acquire_owned() => {
                permit.map_err(|_| Error::LocallyClosed)
            }
        }
    }

    /// Waits for a stream to arrive.
    async fn accept<T>(
        &self,
        kind: Kind,
        next: impl Fn(&mut State, Side) -> Option<Result<T, Error>>,
    ) -> Result<T, Error> {
        loop {
            if let Some(stream) = self.handle.with(&next) {
                return stream;
            }
            self.handle.signals().arrival(kind).await;
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
        let flow = self.accept(Kind::Uni, State::accept_uni).await?;
        Ok(RecvStream::new(self.handle.clone(), flow))
    }

    async fn accept_bi(&self) -> Result<(SendStream, RecvStream), Error> {
        let flows = self.accept(Kind::Bi, State::accept_bi).await?;
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
        loop {
            self.handle.signals().over.cancelled().await;
            if let Err(error) = self.handle.with(|state, side| state.check(side)) {
                return error;
            }
        }
    }

    fn stats(&self) -> impl wt::Stats {
        let config = self.handle.config();
        let signals = self.handle.signals();
        let occupancy = |kind, max: usize| {
            let available = signals.limit(kind).available_permits();
            let open = max.saturating_sub(available) as u64;
            wt::StreamState {
                open,
                available: available as u64,
            }
        };
        self.handle.with(|state, side| SessionStats {
            streams: wt::Streams {
                uni: occupancy(Kind::Uni, config.max_uni_streams),
                bidi: occupancy(Kind::Bi, config.max_bi_streams),
            },
            sent: state.ends[side.index()].sent,
            received: state.ends[side.index()].received,
            rate: state.links[side.index()].rate,
            delay: config.delay,
        })
    }
}

/// What one end has counted, at the time it was asked for.
#[derive(Debug, Clone, Copy)]
pub struct SessionStats {
    streams: wt::Streams,
    sent: u64,
    received: u64,
    rate: Option<u64>,
    delay: Duration,
}

impl wt::Stats for SessionStats {
    /// Streams this end opened; `available` is what the limit leaves.
    fn streams(&self) -> Option<wt::Streams> {
        Some(self.streams)
    }

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
