//! Many sessions with one relay, cheaply.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use moq_transfork::dialect::{Dialect, alpn};
use quinn::crypto::rustls::QuicClientConfig;
use socket2::{Domain, Socket, Type};
use tokio::time::timeout;
use web_transport_quinn::Session;

use crate::address::Scheme;
use crate::dial::DialOptions;
use crate::fingerprint;
use crate::tls::Trust;

/// Streams the relay may have open towards one connection at once. Few enough to be no burden,
/// enough for a group in every frame.
const STREAMS: u32 = 1024;

/// How often a silent connection shows that it lives: under half of the old peers' 10 s limit.
const KEEP_ALIVE: Duration = Duration::from_secs(4);

/// After how long a silence the relay counts as gone.
const IDLE: Duration = Duration::from_secs(10);

/// The receive buffer of each socket: nothing may be lost on our side of the wire. The system
/// may grant less.
const SOCKET_BUFFER: usize = 4 << 20;

/// How much a slow reader takes in before it has read what it has.
const SLOW_WINDOW: u32 = 256 << 10;

/// How connections to the relay are made: what is the same for all of them.
#[derive(Clone)]
pub(super) struct Connector {
    options: DialOptions,
    remote: SocketAddr,
    config: quinn::ClientConfig,
    slow: quinn::ClientConfig,
}

/// A session and the socket it is on. Every connection has a socket of its own, as it would have
/// on a machine of its own: the kernel does not merge what several receive.
pub(super) struct Connection {
    pub(super) session: Session,
    endpoint: quinn::Endpoint,
}

/// How fast a subscriber reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// As it comes.
    Full,
    /// At most this many bytes a second.
    Slow(u64),
}

impl Connector {
    /// Resolves the relay's name and makes the configuration.
    ///
    /// # Errors
    ///
    /// If the name has no address, or the certificates to trust cannot be had.
    pub(super) async fn new(options: &DialOptions) -> anyhow::Result<Self> {
        let url = &options.url;
        let found = tokio::net::lookup_host((url.host(), url.port())).await;
        let found = found.with_context(|| format!("cannot resolve {}", url.host()))?;
        let fits = |address: &SocketAddr| {
            let bind = options.bind.as_ref();
            bind.is_none_or(|bind| bind.is_ipv4() == address.is_ipv4())
        };
        // Of `localhost`, the address that a relay on 127.0.0.1 listens on.
        let mut found: Vec<_> = found.filter(fits).collect();
        found.sort_by_key(|address| address.is_ipv6());
        let remote = found.first().copied();
        let remote = remote.with_context(|| format!("{} has no address", url.host()))?;
        let trust = trust(options).await?;
        Ok(Self {
            options: options.clone(),
            remote,
            config: config(options, &trust, Pace::Full)?,
            slow: config(options, &trust, Pace::Slow(0))?,
        })
    }

    /// Connects, within the plan's limit of time.
    ///
    /// # Errors
    ///
    /// If there is no session.
    pub(super) async fn connect(&self, pace: Pace) -> anyhow::Result<Connection> {
        let connecting = self.connect_untimed(pace);
        let connected = timeout(self.options.timeout, connecting).await;
        connected.with_context(|| format!("{} did not answer in time", self.remote))?
    }

    async fn connect_untimed(&self, pace: Pace) -> anyhow::Result<Connection> {
        let endpoint = self.endpoint().context("cannot open a UDP socket")?;
        let config = match pace {
            Pace::Full => &self.config,
            Pace::Slow(_) => &self.slow,
        };
        let url = &self.options.url;
        let connecting = endpoint.connect_with(config.clone(), self.remote, url.host())?;
        let connection = connecting.await?;
        let session = match url.scheme() {
            Scheme::Moqf => Session::raw(connection),
            Scheme::Https | Scheme::Http => {
                Session::connect(connection, url.webtransport()).await?
            }
        };
        Ok(Connection { session, endpoint })
    }

    fn endpoint(&self) -> io::Result<quinn::Endpoint> {
        let any: SocketAddr = match self.remote {
            SocketAddr::V4(_) => ([0; 4], 0).into(),
            SocketAddr::V6(_) => ([0u16; 8], 0).into(),
        };
        let socket = Socket::new(Domain::for_address(self.remote), Type::DGRAM, None)?;
        socket.set_recv_buffer_size(SOCKET_BUFFER)?;
        socket.bind(&self.options.bind.unwrap_or(any).into())?;
        let runtime = Arc::new(quinn::TokioRuntime);
        quinn::Endpoint::new(
            quinn::EndpointConfig::default(),
            None,
            socket.into(),
            runtime,
        )
    }
}

impl Connection {
    /// Tells the relay that this is the end, and waits a moment until it is told.
    pub(super) async fn close(self) {
        self.session.close(0, b"");
        // A relay that has gone needs no telling.
        let _ = timeout(KEEP_ALIVE / 4, self.endpoint.wait_idle()).await;
    }
}

async fn trust(options: &DialOptions) -> anyhow::Result<Trust> {
    if options.url.scheme() != Scheme::Http || options.trust == Trust::Anything {
        return Ok(options.trust.clone());
    }
    let pinned = fingerprint::fetch(&options.url).await;
    let pinned = pinned.context("cannot fetch the certificate's fingerprint")?;
    Ok(Trust::Fingerprints(vec![pinned]))
}

fn config(options: &DialOptions, trust: &Trust, pace: Pace) -> anyhow::Result<quinn::ClientConfig> {
    let alpn = match (options.url.scheme(), options.dialect) {
        (Scheme::Https | Scheme::Http, _) => web_transport_quinn::ALPN,
        (Scheme::Moqf, Dialect::Draft03) => alpn::DRAFT03,
        (Scheme::Moqf, Dialect::Fork02 | Dialect::Fork04 | Dialect::Fork04s) => alpn::FORK,
    };
    let crypto = QuicClientConfig::try_from(trust.client_config(alpn)?)?;
    let mut transport = quinn::TransportConfig::default();
    transport
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IDLE.try_into()?))
        .max_concurrent_uni_streams(STREAMS.into())
        .max_concurrent_bidi_streams(STREAMS.into());
    if let Pace::Slow(_) = pace {
        transport.receive_window(SLOW_WINDOW.into());
        transport.stream_receive_window(SLOW_WINDOW.into());
    }
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    Ok(config)
}
