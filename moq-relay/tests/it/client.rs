//! Clients of a relay process.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use moq_relay::session::Session;
use moq_relay::tls::trust::Trust;
use moq_relay::tls::{ALPN_H3, ALPN_RAW, provider};
use moq_relay::transport::{Congestion, client_config};
use moq_relay_core::announced::Announcement;
use moq_relay_core::model::consumer::TrackConsumer;
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::session::{ClientConfig, Peer};
use moq_relay_core::source::Source;
use moq_relay_core::tracks::Tracks;
use moq_transfork::path::Path;
use quinn::rustls::pki_types::CertificateDer;
use quinn::{Connection, ConnectionError, Endpoint};
use tokio::task::JoinSet;
use web_transport_quinn::crypto::sha256;

use crate::process::{Process, soon};

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
    let conn = connect(relay, "localhost", &Trust::Anyone).await.unwrap();
    Session::raw(conn)
}

/// Opens a WebTransport session for this path.
pub(crate) async fn web_transport(relay: &Process, path: &str) -> Session {
    let conn = connect_as(relay, "localhost", &Trust::Anyone, &[ALPN_H3])
        .await
        .unwrap();
    let url = format!("https://localhost:{}{path}", relay.addr.port());
    let url = url::Url::parse(&url).unwrap();
    Session::web_transport(
        web_transport_quinn::Session::connect(conn, url)
            .await
            .unwrap(),
    )
}

/// A client whose session is set up, and driven for as long as this lives.
pub(crate) struct Client {
    pub(crate) peer: Peer,
    driver: JoinSet<()>,
}

impl Client {
    /// Sets a session up, publishing these tracks.
    pub(crate) async fn new(session: Session, tracks: &Tracks) -> Self {
        Self::with(session, tracks, ClientConfig::default()).await
    }

    /// Sets a session up as `config` says, publishing these tracks.
    pub(crate) async fn with(session: Session, tracks: &Tracks, mut config: ClientConfig) -> Self {
        config.publish = Some(Arc::new(tracks.clone()));
        let (peer, driver) = moq_relay_core::session::connect(session, config)
            .await
            .unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { drop(driver.run().await) });
        Self {
            peer,
            driver: tasks,
        }
    }

    /// Subscribes to a track once it is announced.
    pub(crate) async fn subscribe(&self, path: &Path) -> TrackConsumer {
        let mut announced = self.peer.announced(path);
        let active = Announcement::Active(path.clone());
        while soon(announced.next()).await.expect("it is announced") != active {}
        self.peer.track(path, Subscription::default()).unwrap()
    }

    /// Waits until the session has ended.
    pub(crate) async fn ended(mut self) {
        soon(self.driver.join_next())
            .await
            .expect("it was driven")
            .unwrap();
    }
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
    soon(endpoint().connect_with(config, relay.addr, name).unwrap()).await
}
