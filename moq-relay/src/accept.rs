//! From a first packet to a session.

use std::time::Duration;

use quinn::{Connecting, Connection, ConnectionError};
use tokio::time::timeout;
use web_transport_quinn::proto::ConnectResponse;
use web_transport_quinn::{Request, ServerError};

use crate::session::{Session, alpn};
use crate::tls::{ALPN_H3, ALPN_RAW};

/// Time for the QUIC handshake. It takes one round trip; this leaves room for lost packets, whose
/// first repetitions come after 1, 3 and 7 seconds.
const QUIC_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for the HTTP/3 settings and the CONNECT request of a client that has come so far. Without
/// it, one that sends nothing would hold its place for as long as it answers pings.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What of a request's path is logged, in characters.
const LOGGED_PATH: usize = 128;

/// A session, and how it came.
#[derive(Debug)]
pub struct Accepted {
    /// The session, before its setup.
    pub session: Session,
    /// What it runs on.
    pub via: Via,
}

/// What a session runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// WebTransport, with the beginning of the path that the client asked for.
    WebTransport(String),
    /// QUIC itself.
    Quic,
}

/// Takes a client whose first packet was accepted to a session: raw QUIC by its ALPN, or WebTransport, for
/// whatever path it asks.
///
/// # Errors
///
/// Fails when the client does not get that far in time.
pub async fn accept(
    connecting: Result<Connecting, ConnectionError>,
) -> Result<Accepted, AcceptError> {
    let handshake = async { connecting?.await };
    let conn = timeout(QUIC_TIMEOUT, handshake)
        .await
        .map_err(|_| AcceptError::Timeout)?
        .map_err(AcceptError::Quic)?;
    if alpn(&conn).is_some_and(|alpn| alpn == ALPN_H3.as_bytes()) {
        return timeout(CONNECT_TIMEOUT, connect(conn))
            .await
            .map_err(|_| AcceptError::Timeout)?;
    }
    let session = Session::raw(conn);
    Ok(Accepted {
        session,
        via: Via::Quic,
    })
}

/// Answers a WebTransport request. Of the subprotocols that the client offers, if any, it gets the
/// first that we know; one that offers none or others is served all the same.
async fn connect(conn: Connection) -> Result<Accepted, AcceptError> {
    let request = Request::accept(conn).await?;
    let path = request.url.path().chars().take(LOGGED_PATH).collect();
    let known = ALPN_RAW
        .into_iter()
        .find(|name| request.protocols.iter().any(|p| p == name));
    let response = match known {
        Some(name) => ConnectResponse::OK.with_protocol(name),
        None => ConnectResponse::OK,
    };
    let session = Session::web_transport(request.respond(response).await?);
    Ok(Accepted {
        session,
        via: Via::WebTransport(path),
    })
}

/// Tells why a client did not become a session.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The QUIC or TLS handshake failed.
    #[error("QUIC handshake: {0}")]
    Quic(#[source] ConnectionError),
    /// HTTP/3 or its CONNECT request failed.
    #[error("WebTransport handshake: {0}")]
    WebTransport(#[from] ServerError),
    /// The client took too long.
    #[error("handshake took too long")]
    Timeout,
}
