//! Real QUIC and real TLS on the simulated network.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use moq_relay::tls::identity::Identity;
use moq_relay::tls::trust::Trust;
use moq_relay::tls::{self, ALPN_RAW};
use moq_relay::transport::{self, Congestion};
use quinn::{ClientConfig, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::net::Switch;
use crate::net::socket::Socket;

/// The name that the relay's certificate is for.
pub(crate) const NAME: &str = "relay.test";

/// The relay's certificate. Ed25519 signatures are all of one length, so that every handshake
/// takes the same packets.
static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
    let params = CertificateParams::new([NAME.to_owned()]).expect("the name is valid");
    let cert = params.self_signed(&key).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Identity::new(vec![cert.der().clone()], key).expect("they belong together")
});

/// Returns what the relay tells quinn, tuned as `tune` says where a test differs from it.
pub(crate) fn server(
    congestion: Congestion,
    tune: impl FnOnce(&mut TransportConfig),
) -> ServerConfig {
    let tls = tls::server_config(vec![IDENTITY.clone()]).expect("it does for QUIC");
    let mut config = transport::server_config(tls, congestion);
    tune(Arc::get_mut(&mut config.transport).expect("nobody else has it yet"));
    config
}

/// Returns what a client tells quinn that keeps to quinn's defaults, as the published ones do,
/// tuned as `tune` says.
pub(crate) fn client(tune: impl FnOnce(&mut TransportConfig)) -> ClientConfig {
    let tls = Trust::Anyone
        .client_config(&ALPN_RAW)
        .expect("it does for QUIC");
    let mut transport = TransportConfig::default();
    tune(&mut transport);
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    config
}

/// Opens an endpoint whose every random choice follows from `seed`.
pub(crate) fn endpoint(
    switch: &Switch,
    addr: SocketAddr,
    server: Option<ServerConfig>,
    seed: u64,
) -> Endpoint {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut config = EndpointConfig::default();
    config.rng_seed(Some(bytes));
    let socket = Arc::new(Socket::new(switch, addr));
    Endpoint::new_with_abstract_socket(config, server, socket, Arc::new(TokioRuntime))
        .expect("the socket never fails")
}
