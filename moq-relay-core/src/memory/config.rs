use std::time::Duration;

/// The properties of a [`pair`](super::pair); both ends and both directions get the same.
#[derive(Debug, Clone)]
pub struct Config {
    /// Unidirectional streams an end may have open at a time, as granted by the peer.
    ///
    /// Default 100, which is also what quinn grants.
    pub max_uni_streams: usize,
    /// Bidirectional streams an end may have open at a time, as granted by the peer.
    ///
    /// Default 100, which is also what quinn grants.
    pub max_bi_streams: usize,
    /// Bytes a stream accepts before the peer has read them. At least 1.
    ///
    /// Default 1.25 MB, quinn's stream receive window.
    pub stream_window: usize,
    /// Bytes an end accepts over all its streams before the peer has read them. At least 1.
    ///
    /// Default 10 MB, quinn's send window.
    pub session_window: usize,
    /// Time anything takes from one end to the other. Default zero.
    pub delay: Duration,
    /// Bytes per second that fit in each direction, at least 1; `None` is without limit.
    ///
    /// Only the payload of streams counts. Default `None`.
    pub rate: Option<u64>,
    /// Time after which both ends fail once the link was [cut](super::Session::cut); `None` is never.
    ///
    /// A link that was not cut counts as kept alive. Default `None`.
    pub idle: Option<Duration>,
    /// What `protocol()` answers at both ends, as if negotiated. Default `None`.
    pub protocol: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_uni_streams: 100,
            max_bi_streams: 100,
            stream_window: 1_250_000,
            session_window: 10_000_000,
            delay: Duration::ZERO,
            rate: None,
            idle: None,
            protocol: None,
        }
    }
}
