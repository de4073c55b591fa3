//! Quinn, configured as the relay and the benchmark's client configure it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use moq_test_client::tls::Trust;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{MtuDiscoveryConfig, TokioRuntime, TransportConfig};
use socket2::{Domain, Socket, Type};

const ALPN: &str = "bare";
const KEEP_ALIVE: Duration = Duration::from_secs(4);
const IDLE: Duration = Duration::from_secs(10);

/// The buffers of every socket, as far as the system grants them.
const SOCKET_BUFFER: usize = 4 << 20;

/// What the relay grants its peers, who publish nothing here.
const SERVER_STREAMS: [u32; 2] = [8, 16];

/// What the benchmark's client grants the relay.
const CLIENT_STREAMS: u32 = 1024;

/// The relay's bound of what is written and not acknowledged.
const SEND_WINDOW: u64 = 1 << 20;

/// The largest packet that the relay tries.
const MAX_MTU: u16 = 1452;

pub(crate) fn server(bind: SocketAddr) -> anyhow::Result<quinn::Endpoint> {
    let config = Some(server_config()?);
    endpoint(bind, config)
}

pub(crate) fn client(relay: SocketAddr) -> anyhow::Result<quinn::Endpoint> {
    endpoint(SocketAddr::new(relay.ip(), 0), None)
}

pub(crate) fn client_config() -> anyhow::Result<quinn::ClientConfig> {
    let tls = Trust::Anything.client_config(ALPN)?;
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let mut transport = TransportConfig::default();
    transport
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IDLE.try_into()?))
        .max_concurrent_uni_streams(CLIENT_STREAMS.into())
        .max_concurrent_bidi_streams(CLIENT_STREAMS.into());
    config.transport_config(Arc::new(transport));
    Ok(config)
}

fn endpoint(
    bind: SocketAddr,
    server: Option<quinn::ServerConfig>,
) -> anyhow::Result<quinn::Endpoint> {
    let socket = Socket::new(Domain::for_address(bind), Type::DGRAM, None)?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    if server.is_some() {
        socket.set_send_buffer_size(SOCKET_BUFFER)?;
    }
    socket.bind(&bind.into())?;
    let config = quinn::EndpointConfig::default();
    let runtime = Arc::new(TokioRuntime);
    Ok(quinn::Endpoint::new(
        config,
        server,
        socket.into(),
        runtime,
    )?)
}

fn server_config() -> anyhow::Result<quinn::ServerConfig> {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(
            vec![signed.cert.der().clone()],
            key.map_err(anyhow::Error::msg)?,
        )?;
    tls.alpn_protocols = vec![ALPN.into()];
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(MAX_MTU);
    let mut transport = TransportConfig::default();
    transport
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IDLE.try_into()?))
        .max_concurrent_uni_streams(SERVER_STREAMS[0].into())
        .max_concurrent_bidi_streams(SERVER_STREAMS[1].into())
        .send_window(SEND_WINDOW)
        .mtu_discovery_config(Some(mtu));
    config.transport_config(Arc::new(transport));
    Ok(config)
}
