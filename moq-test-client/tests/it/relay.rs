//! A relay made of `moq-relay-core` and a socket, as small as it can be.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use moq_relay_core::relay::{Relay, RelayConfig};
use moq_test_client::address::RelayUrl;
use moq_test_client::dial::DialOptions;
use moq_test_client::tls::{Fingerprint, Trust};
use moq_transfork::dialect::{Dialect, alpn};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, Incoming};
use rcgen::{CertificateParams, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use web_transport_quinn::{Request, Session};

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something that does not take long; a test that would hang fails instead.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it happens in time")
}

/// A relay on a port of its own. Dropping it ends it.
pub(crate) struct TestRelay {
    address: SocketAddr,
    /// The hash of its certificate.
    pub(crate) fingerprint: Fingerprint,
    files: TempDir,
    _tasks: JoinSet<()>,
}

impl TestRelay {
    /// Starts a relay that speaks WebTransport, raw QUIC, and tells its fingerprint over HTTP.
    pub(crate) async fn start() -> Self {
        let (certificate, key) = certificate();
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("cert.pem"), certificate.pem()).unwrap();

        let fingerprint = Fingerprint::of(certificate.der());
        let (endpoint, http) = bind(server_config(certificate.der().clone(), key)).await;
        let address = endpoint.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(endpoint));
        tasks.spawn(serve_fingerprint(http, fingerprint));
        Self {
            address,
            fingerprint,
            files,
            _tasks: tasks,
        }
    }

    /// The relay's URL with this scheme.
    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.address.port())
    }

    /// The relay's certificate as a PEM file.
    pub(crate) fn certificate_file(&self) -> PathBuf {
        self.files.path().join("cert.pem")
    }

    /// How to connect, trusting the relay's certificate.
    pub(crate) fn options(&self, scheme: &str, dialect: Dialect) -> DialOptions {
        let url: RelayUrl = self.url(scheme).parse().unwrap();
        let trust = Trust::Fingerprints(vec![self.fingerprint]);
        DialOptions {
            dialect,
            trust,
            ..DialOptions::new(url)
        }
    }
}

fn certificate() -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::ExplicitNoCa;
    (params.self_signed(&key).unwrap(), key)
}

fn server_config(certificate: CertificateDer<'static>, key: KeyPair) -> quinn::ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut tls =
        rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
    tls.alpn_protocols = [web_transport_quinn::ALPN, alpn::DRAFT03, alpn::FORK]
        .map(|name| name.into())
        .into();
    quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()))
}

/// Finds a port that is free for both UDP and TCP.
async fn bind(config: quinn::ServerConfig) -> (Endpoint, TcpListener) {
    loop {
        let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        if let Ok(endpoint) = Endpoint::server(config.clone(), http.local_addr().unwrap()) {
            return (endpoint, http);
        }
    }
}

async fn serve(endpoint: Endpoint) {
    let relay = Relay::new(RelayConfig::default());
    let mut sessions = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        let relay = relay.clone();
        sessions.spawn(async move {
            if let Some(session) = accept(incoming).await {
                let _ended = relay.serve(session).await;
            }
        });
    }
}

async fn accept(incoming: Incoming) -> Option<Session> {
    let connection = incoming.await.ok()?;
    let raw = Session::raw(connection.clone());
    if raw.protocol() != Some(web_transport_quinn::ALPN) {
        return Some(raw);
    }
    Request::accept(connection).await.ok()?.ok().await.ok()
}

async fn serve_fingerprint(http: TcpListener, fingerprint: Fingerprint) {
    while let Ok((mut stream, _from)) = http.accept().await {
        let answer = format!("HTTP/1.1 200 OK\r\n\r\n{fingerprint}");
        let mut request = [0; 1024];
        let _read = stream.read(&mut request).await;
        let _written = stream.write_all(answer.as_bytes()).await;
    }
}
