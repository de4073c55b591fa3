//! Clients of a relay process.

use std::net::{Ipv4Addr, SocketAddr};

use moq_relay::tls::trust::Trust;
use moq_relay::tls::{ALPN_H3, ALPN_RAW, provider};
use moq_relay::transport::{Congestion, client_config};
use quinn::rustls::pki_types::CertificateDer;
use quinn::{Connection, ConnectionError, Endpoint};
use web_transport_quinn::Session;
use web_transport_quinn::crypto::sha256;

use crate::process::Process;

/// Opens an endpoint to connect from.
pub(crate) fn endpoint() -> Endpoint {
    Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap()
}

/// Connects by raw QUIC, asking for this name.
pub(crate) async fn connect(
    relay: &Process,
    name: &str,
    trust: &Trust,
) -> Result<Connection, ConnectionError> {
    connect_as(relay, name, trust, &ALPN_RAW).await
}

/// Opens a raw QUIC session.
pub(crate) async fn raw(relay: &Process) -> Session {
    Session::raw(connect(relay, "localhost", &Trust::Anyone).await.unwrap())
}

/// Opens a WebTransport session for this path.
pub(crate) async fn web_transport(relay: &Process, path: &str) -> Session {
    let conn = connect_as(relay, "localhost", &Trust::Anyone, &[ALPN_H3])
        .await
        .unwrap();
    let url = format!("https://localhost:{}{path}", relay.addr.port());
    Session::connect(conn, url::Url::parse(&url).unwrap())
        .await
        .unwrap()
}

/// Returns the SHA-256 of the certificate that the relay showed.
pub(crate) fn fingerprint(conn: &Connection) -> String {
    let identity = conn.peer_identity().expect("a certificate");
    let chain = identity.downcast::<Vec<CertificateDer<'static>>>().unwrap();
    hex::encode(sha256(&provider(), &chain[0]))
}

async fn connect_as(
    relay: &Process,
    name: &str,
    trust: &Trust,
    alpns: &[&str],
) -> Result<Connection, ConnectionError> {
    let config = client_config(trust.client_config(alpns).unwrap(), Congestion::Cubic);
    endpoint()
        .connect_with(config, relay.addr, name)
        .unwrap()
        .await
}
