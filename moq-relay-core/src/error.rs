//! What can go wrong, and the one place that turns it into a wire code.

use moq_transfork::code::Code;
use moq_transfork::setup::SetupError;
use moq_transfork::stream::StreamError;

/// Why a session, track, group or request ended before its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// This side no longer wants it.
    #[error("cancelled")]
    Cancelled,
    /// It grew older than the publisher's, the subscriber's or the relay's limit allows.
    #[error("expired")]
    Expired,
    /// The peer took longer than a limit allows.
    #[error("timed out")]
    Timeout,
    /// The session below it is gone.
    #[error("connection lost: {0}")]
    Transport(String),
    /// The peer sent bytes that do not decode.
    #[error("undecodable message: {0}")]
    Decode(String),
    /// The peer may not do this.
    #[error("not allowed")]
    Unauthorized,
    /// A limit on the number of things at a time was reached.
    #[error("too many {0}")]
    TooMany(&'static str),
    /// The two sides share no protocol version.
    #[error("no protocol version in common")]
    Version,
    /// The peer opened a stream of a type that does not exist.
    #[error("unexpected stream")]
    UnexpectedStream,
    /// A value is outside the range it may have.
    #[error("{0} out of bounds")]
    Bounds(&'static str),
    /// The same group, path or subscription exists already.
    #[error("duplicate")]
    Duplicate,
    /// Nobody publishes it.
    #[error("not found")]
    NotFound,
    /// A stream ended in the middle of a message or frame.
    #[error("truncated")]
    Truncated,
    /// The peer broke a rule of the protocol.
    #[error("protocol violation: {0}")]
    Protocol(&'static str),
    /// Its producer went away without ending it.
    #[error("publisher gone")]
    Dropped,
    /// The publisher that took over numbers its groups from anew.
    #[error("publisher started again")]
    Restarted,
    /// The cache needed the memory for something newer.
    #[error("evicted from the cache")]
    Evicted,
    /// The relay is shutting down.
    #[error("shutting down")]
    Shutdown,
    /// The peer ended it with a code.
    #[error("ended by the peer: {0}")]
    Peer(Code),
}

impl From<StreamError> for Error {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Decode(error) => Self::Decode(error.to_string()),
            StreamError::Encode(_) => Self::Bounds("message"),
            StreamError::Truncated => Self::Truncated,
            StreamError::Trailing => Self::Protocol("data after the last message"),
            StreamError::UnexpectedStream(_) => Self::UnexpectedStream,
            StreamError::Reset(code) | StreamError::Session { code, .. } => Self::Peer(code),
            StreamError::Transport(reason) => Self::Transport(reason),
        }
    }
}

impl From<SetupError> for Error {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Version { .. } => Self::Version,
            SetupError::Refused(Code::UNAUTHORIZED) => Self::Unauthorized,
            SetupError::Refused(code) => Self::Peer(code),
            SetupError::Stream(error) => error.into(),
        }
    }
}

impl Error {
    /// The code that tells a peer of this error, on a stream or for the whole session.
    pub fn code(&self) -> Code {
        match self {
            Self::Cancelled | Self::Shutdown => Code::CANCEL,
            Self::Expired => Code::EXPIRED,
            Self::Timeout => Code::TIMEOUT,
            Self::Transport(_) => Code::TRANSPORT,
            Self::Decode(_) => Code::DECODE,
            Self::Unauthorized => Code::UNAUTHORIZED,
            Self::TooMany(_) => Code::TOO_MANY,
            Self::Version => Code::VERSION,
            Self::UnexpectedStream => Code::UNEXPECTED_STREAM,
            Self::Bounds(_) => Code::BOUNDS_EXCEEDED,
            Self::Duplicate => Code::DUPLICATE,
            Self::NotFound => Code::NOT_FOUND,
            Self::Truncated => Code::WRONG_SIZE,
            Self::Protocol(_) => Code::PROTOCOL_VIOLATION,
            Self::Dropped | Self::Restarted => Code::DROPPED,
            Self::Evicted => Code::EVICTED,
            Self::Peer(code) => *code,
        }
    }

    /// True if the peer says that it lost its own publisher, or shuts down: what relays say to
    /// each other.
    pub(crate) fn is_departure(&self) -> bool {
        matches!(self, Self::Peer(Code::DROPPED | Code::CANCEL))
    }

    /// True if there turned out to be no publisher.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::NotFound | Self::Peer(Code::NOT_FOUND))
    }

    /// True if the publisher went away, so that another publisher of the same path may go on.
    pub(crate) fn is_loss(&self) -> bool {
        *self == Self::Dropped
    }
}
