//! How streams fail.

use crate::code::Code;
use crate::coding::{DecodeError, EncodeError};
use crate::wt;

/// Why a stream cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The peer sent something that is not the message expected. The peer is at fault.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The message cannot be sent to this peer. Nothing was sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The peer ended the stream inside of, or instead of, a message. The peer is at fault.
    #[error("stream ended before the message did")]
    Truncated,
    /// The peer sent more where nothing may follow. The peer is at fault.
    #[error("unexpected data after the last message")]
    Trailing,
    /// The peer opened a stream of an unknown or misplaced type. The session has to be closed.
    #[error("unexpected stream type {0}")]
    UnexpectedStream(u64),
    /// The peer reset the stream, or told us to stop sending.
    #[error("stream reset by peer: {0}")]
    Reset(Code),
    /// The session was closed.
    #[error("session closed: {code}, {reason:?}")]
    Session {
        /// The code it was closed with.
        code: Code,
        /// The peer's words.
        reason: String,
    },
    /// The transport failed. It may be this stream or all of the session: only the session's own
    /// `closed` tells.
    #[error("transport: {0}")]
    Transport(String),
}

impl StreamError {
    /// Tells the code to end our side of the stream with, and whatever depends on it.
    pub const fn code(&self) -> Code {
        match self {
            StreamError::Decode(error) => error.code(),
            StreamError::Encode(error) => error.code(),
            StreamError::Truncated => Code::WRONG_SIZE,
            StreamError::Trailing => Code::PROTOCOL_VIOLATION,
            StreamError::UnexpectedStream(_) => Code::UNEXPECTED_STREAM,
            StreamError::Reset(code) | StreamError::Session { code, .. } => *code,
            StreamError::Transport(_) => Code::TRANSPORT,
        }
    }

    /// Whether the session has to be closed with [`StreamError::code`], not only the stream.
    pub const fn closes_session(&self) -> bool {
        matches!(self, StreamError::UnexpectedStream(_))
    }

    /// Sorts an error of the transport.
    pub fn from_transport(error: impl wt::Error) -> Self {
        if let Some(code) = error.stream_error() {
            return StreamError::Reset(Code(code));
        }
        match error.session_error() {
            Some((code, reason)) => StreamError::Session {
                code: Code(code),
                reason,
            },
            None => StreamError::Transport(error.to_string()),
        }
    }
}
