//! How sessions and their streams fail.

use std::error::Error;

use quinn::{ConnectionError, ResetError, SendDatagramError, StoppedError, VarInt};
use web_transport_quinn as h3;
use web_transport_trait as wt;

/// Why a session is over.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SessionError {
    /// The QUIC connection ended.
    #[error(transparent)]
    Raw(#[from] ConnectionError),
    /// A datagram could not be sent on the QUIC connection.
    #[error(transparent)]
    Datagram(#[from] SendDatagramError),
    /// The WebTransport session ended.
    #[error(transparent)]
    WebTransport(#[from] h3::SessionError),
}

/// Why a stream cannot be written to.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// A stream of QUIC itself.
    #[error("{}", reason(.0))]
    Raw(#[from] quinn::WriteError),
    /// A stream of WebTransport.
    #[error(transparent)]
    WebTransport(#[from] h3::WriteError),
}

/// Why a stream cannot be read from.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// A stream of QUIC itself.
    #[error("{}", reason(.0))]
    Raw(#[from] quinn::ReadError),
    /// A stream of WebTransport.
    #[error(transparent)]
    WebTransport(#[from] h3::ReadError),
}

impl wt::Error for SessionError {
    fn session_error(&self) -> Option<(u32, String)> {
        match self {
            Self::Raw(error) | Self::Datagram(SendDatagramError::ConnectionLost(error)) => {
                closed(error)
            }
            Self::Datagram(_) => None,
            Self::WebTransport(error) => error.session_error(),
        }
    }
}

impl wt::Error for WriteError {
    fn session_error(&self) -> Option<(u32, String)> {
        match self {
            Self::Raw(quinn::WriteError::ConnectionLost(error)) => closed(error),
            Self::Raw(_) => None,
            Self::WebTransport(error) => error.session_error(),
        }
    }

    fn stream_error(&self) -> Option<u32> {
        match self {
            Self::Raw(quinn::WriteError::Stopped(number)) => code(*number),
            Self::Raw(_) => None,
            Self::WebTransport(error) => error.stream_error(),
        }
    }
}

impl wt::Error for ReadError {
    fn session_error(&self) -> Option<(u32, String)> {
        match self {
            Self::Raw(quinn::ReadError::ConnectionLost(error)) => closed(error),
            Self::Raw(_) => None,
            Self::WebTransport(error) => error.session_error(),
        }
    }

    fn stream_error(&self) -> Option<u32> {
        match self {
            Self::Raw(quinn::ReadError::Reset(number)) => code(*number),
            Self::Raw(_) => None,
            Self::WebTransport(error) => error.stream_error(),
        }
    }
}

impl From<StoppedError> for WriteError {
    fn from(error: StoppedError) -> Self {
        Self::Raw(error.into())
    }
}

impl From<ResetError> for ReadError {
    fn from(error: ResetError) -> Self {
        Self::Raw(error.into())
    }
}

/// What is behind an error that says no more than "connection lost".
fn reason<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    error.source().unwrap_or(error)
}

/// What the peer has said when it closed the connection, if it did.
fn closed(error: &ConnectionError) -> Option<(u32, String)> {
    let ConnectionError::ApplicationClosed(close) = error else {
        return None;
    };
    let reason = String::from_utf8_lossy(&close.reason).into_owned();
    Some((code(close.error_code)?, reason))
}

/// The peer's code. On raw QUIC codes go as they are; clients of the old forks put them into the range
/// that HTTP/3 has for WebTransport's, also there.
fn code(number: VarInt) -> Option<u32> {
    let number = number.into_inner();
    h3::proto::error_from_http3(number).or_else(|| u32::try_from(number).ok())
}
