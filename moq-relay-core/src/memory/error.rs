use web_transport_trait as wt;

/// Why an operation on an in-memory session or stream failed.
///
/// One type serves sessions and streams; which variants an operation can return follows from what
/// it does. Peers' reasons are escaped when displayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The peer closed the session, by name or by dropping its last handle (code 0).
    #[error("session closed by the peer with code {code}: {reason:?}")]
    Closed {
        /// The application's code, as given to `close`.
        code: u32,
        /// The application's reason, as given to `close`.
        reason: String,
    },
    /// This end closed the session. Carries no code, as with quinn.
    #[error("session closed by this end")]
    LocallyClosed,
    /// Nothing arrived for [`Config::idle`](super::Config::idle) after the link was cut.
    #[error("session timed out")]
    TimedOut,
    /// The peer reset the stream being read.
    #[error("stream reset by the peer with code {0}")]
    Reset(u32),
    /// The peer asked to stop the stream being written.
    #[error("stream stopped by the peer with code {0}")]
    Stopped(u32),
    /// This end had already finished, reset or stopped the stream.
    #[error("stream already closed by this end")]
    ClosedStream,
    /// Datagrams are not modelled.
    #[error("datagrams are not supported")]
    DatagramsUnsupported,
}

impl wt::Error for Error {
    fn session_error(&self) -> Option<(u32, String)> {
        match self {
            Self::Closed { code, reason } => Some((*code, reason.clone())),
            Self::LocallyClosed
            | Self::TimedOut
            | Self::Reset(_)
            | Self::Stopped(_)
            | Self::ClosedStream
            | Self::DatagramsUnsupported => None,
        }
    }

    fn stream_error(&self) -> Option<u32> {
        match self {
            Self::Reset(code) | Self::Stopped(code) => Some(*code),
            Self::Closed { .. }
            | Self::LocallyClosed
            | Self::TimedOut
            | Self::ClosedStream
            | Self::DatagramsUnsupported => None,
        }
    }
}
