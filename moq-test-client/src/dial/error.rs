//! Why no session came about, and what to try.

use std::net::SocketAddr;
use std::time::Duration;

use crate::fingerprint;
use crate::tls::TlsError;

/// Why no session came about.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The certificate's hash could not be fetched.
    #[error("cannot fetch http://{address}/fingerprint: {source}")]
    Fingerprint {
        /// Host and port.
        address: String,
        /// What went wrong.
        source: fingerprint::FetchError,
    },
    /// The host has no usable address.
    #[error("cannot resolve {host}: {reason}")]
    Resolve {
        /// The host.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// The local socket could not be had.
    #[error("cannot bind {address}: {source}")]
    Bind {
        /// The local address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Certificates of our own side are unusable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The relay answered, and the handshake failed.
    #[error("QUIC handshake with {address} failed: {reason}")]
    Refused {
        /// The relay's address.
        address: SocketAddr,
        /// What quinn said.
        reason: String,
        /// What to try.
        advice: Option<&'static str>,
    },
    /// Nothing could be sent there.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// The relay's address.
        address: SocketAddr,
        /// What quinn said.
        reason: String,
    },
    /// QUIC stood, WebTransport did not.
    #[error("WebTransport handshake with {address} failed: {reason}")]
    WebTransport {
        /// The relay's address.
        address: SocketAddr,
        /// What the library said.
        reason: String,
    },
    /// Nobody answered in time.
    #[error("no answer from {address} within {} ms", limit.as_millis())]
    Timeout {
        /// Host and port.
        address: String,
        /// The time limit.
        limit: Duration,
    },
}

impl DialError {
    /// Says what to try, in one line.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Fingerprint { .. } => Some(
                "does the relay serve HTTP? otherwise use https:// with --tls-root or --tls-fingerprint",
            ),
            Self::Resolve { .. } => {
                Some("check the host name; with --bind, its address family must match")
            }
            Self::Bind { .. } => Some("give a free local address with --bind, such as 127.0.0.1:0"),
            Self::Tls(TlsError::NoSystemRoots) => {
                Some("give the relay's certificate with --tls-root or --tls-fingerprint")
            }
            Self::Tls(_) => None,
            Self::Refused { advice, .. } => *advice,
            Self::WebTransport { .. } => {
                Some("does the relay serve WebTransport? moqf:// speaks raw QUIC")
            }
            Self::Unreachable { .. } | Self::Timeout { .. } => {
                Some("is the relay running, and is its UDP port open?")
            }
        }
    }
}
