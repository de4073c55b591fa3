//! From a relay's URL to a transport session, before any MoqTransfork byte.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use moq_transfork::dialect::{Dialect, alpn};
use quinn::crypto::rustls::QuicClientConfig;
use tokio::time::timeout;
use web_transport_quinn::Session;

pub use self::error::DialError;
use self::race::race;
use crate::address::{RelayUrl, Scheme};
use crate::fingerprint;
use crate::tls::{TlsError, Trust};

mod error;
mod race;

/// How often a silent connection shows that it lives: under half of the old peers' 10 s limit.
const KEEP_ALIVE: Duration = Duration::from_secs(4);

/// After how long a silence the relay counts as gone.
const IDLE: Duration = Duration::from_secs(10);

/// Streams the relay may have open towards us at once. One group is one stream; quinn's default
/// of 100 would throttle a relay that catches up.
const STREAMS: u32 = 1024;

/// Where and how to connect.
#[derive(Clone, Debug)]
pub struct DialOptions {
    /// The relay.
    pub url: RelayUrl,
    /// Which ALPN raw QUIC offers.
    pub dialect: Dialect,
    /// Which certificates are believed.
    pub trust: Trust,
    /// The local socket; by default any port of the remote address's family.
    pub bind: Option<SocketAddr>,
    /// Limit on everything until the session stands.
    pub timeout: Duration,
}

impl DialOptions {
    /// The time limit where none is given.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// Connects to `url` in [`Dialect::Draft03`], trusting the system's roots.
    #[must_use]
    pub fn new(url: RelayUrl) -> Self {
        Self {
            url,
            dialect: Dialect::Draft03,
            trust: Trust::default(),
            bind: None,
            timeout: Self::DEFAULT_TIMEOUT,
        }
    }
}

/// A transport session with what keeps it alive.
pub struct Dialed {
    /// The session, WebTransport or raw QUIC.
    pub session: Session,
    /// The socket. [`quinn::Endpoint::wait_idle`] sends the last close before the program ends.
    pub endpoint: quinn::Endpoint,
    /// The address that answered.
    pub remote: SocketAddr,
}

/// Connects to the relay: fetches the fingerprint if the URL asks for it, tries every address of
/// the host, and completes QUIC and, for `https` and `http`, WebTransport.
///
/// # Errors
///
/// See [`DialError`]; each says which address it is about.
pub async fn dial(options: &DialOptions) -> Result<Dialed, DialError> {
    let url = &options.url;
    let address = format!("{}:{}", url.host(), url.port());
    match timeout(options.timeout, dial_untimed(options, &address)).await {
        Ok(result) => result,
        Err(_) => Err(DialError::Timeout {
            address,
            limit: options.timeout,
        }),
    }
}

async fn dial_untimed(options: &DialOptions, address: &str) -> Result<Dialed, DialError> {
    let trust = pinned(options, address).await?;
    let config = quic_config(&trust, alpn_of(options))?;
    let addresses = resolve(options).await?;

    let attempts = addresses
        .into_iter()
        .map(|remote| quic(options, &config, remote));
    let (endpoint, connection) = race(attempts).await?;
    let remote = connection.remote_address();
    tracing::debug!(%remote, "QUIC handshake done");

    let session = match options.url.scheme() {
        Scheme::Moqf => Session::raw(connection),
        Scheme::Https | Scheme::Http => Session::connect(connection, options.url.webtransport())
            .await
            .map_err(|error| DialError::WebTransport {
                address: remote,
                reason: error.to_string(),
            })?,
    };
    Ok(Dialed {
        session,
        endpoint,
        remote,
    })
}

/// Returns what to trust, with the relay's own answer pinned if the URL is `http://`.
async fn pinned(options: &DialOptions, address: &str) -> Result<Trust, DialError> {
    let wanted = options.url.scheme() == Scheme::Http && options.trust != Trust::Anything;
    if !wanted {
        return Ok(options.trust.clone());
    }
    let fingerprint =
        fingerprint::fetch(&options.url)
            .await
            .map_err(|source| DialError::Fingerprint {
                address: address.to_owned(),
                source,
            })?;
    tracing::debug!(%fingerprint, "pinned the relay's certificate");
    Ok(Trust::Fingerprints(vec![fingerprint]))
}

fn alpn_of(options: &DialOptions) -> &'static str {
    match (options.url.scheme(), options.dialect) {
        (Scheme::Https | Scheme::Http, _) => web_transport_quinn::ALPN,
        (Scheme::Moqf, Dialect::Draft03) => alpn::DRAFT03,
        (Scheme::Moqf, Dialect::Fork02 | Dialect::Fork04 | Dialect::Fork04s) => alpn::FORK,
    }
}

fn quic_config(trust: &Trust, alpn: &str) -> Result<quinn::ClientConfig, DialError> {
    let tls = trust.client_config(alpn)?;
    let crypto = QuicClientConfig::try_from(tls)
        .map_err(|error| TlsError::Rustls(rustls::Error::General(error.to_string())))?;
    let mut transport = quinn::TransportConfig::default();
    transport
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(quinn::IdleTimeout::try_from(IDLE).ok())
        .max_concurrent_uni_streams(STREAMS.into())
        .max_concurrent_bidi_streams(STREAMS.into());
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

async fn resolve(options: &DialOptions) -> Result<Vec<SocketAddr>, DialError> {
    let host = options.url.host();
    let failed = |reason: String| DialError::Resolve {
        host: host.to_owned(),
        reason,
    };
    let mut addresses: Vec<_> = tokio::net::lookup_host((host, options.url.port()))
        .await
        .map_err(|error| failed(error.to_string()))?
        .collect();
    if let Some(bind) = options.bind {
        addresses.retain(|address| address.is_ipv4() == bind.is_ipv4());
    }
    if addresses.is_empty() {
        return Err(failed("it has no address of the needed family".to_owned()));
    }
    Ok(addresses)
}

async fn quic(
    options: &DialOptions,
    config: &quinn::ClientConfig,
    remote: SocketAddr,
) -> Result<(quinn::Endpoint, quinn::Connection), DialError> {
    let any: SocketAddr = match remote {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let local = options.bind.unwrap_or(any);
    let endpoint = quinn::Endpoint::client(local).map_err(|source| DialError::Bind {
        address: local,
        source,
    })?;
    let unreachable = |reason: String| DialError::Unreachable {
        address: remote,
        reason,
    };
    let connection = endpoint
        .connect_with(config.clone(), remote, options.url.host())
        .map_err(|error| unreachable(error.to_string()))?
        .await
        .map_err(|error| {
            if error == quinn::ConnectionError::TimedOut {
                return unreachable("no answer".to_owned());
            }
            let advice = handshake_advice(&error);
            DialError::Refused {
                address: remote,
                reason: error.to_string(),
                advice,
            }
        })?;
    Ok((endpoint, connection))
}

fn handshake_advice(error: &quinn::ConnectionError) -> Option<&'static str> {
    let reason = error.to_string();
    if reason.contains("invalid peer certificate") {
        return Some(
            "the relay's certificate is not trusted: give it with --tls-root FILE or \
             --tls-fingerprint HEX, fetch it with an http:// URL, or use --tls-disable-verify",
        );
    }
    // TLS alert 120 is no_application_protocol (RFC 7301, section 3.2).
    reason.contains("error 120").then_some(
        "the relay does not offer this protocol: try https://, moqf:// or another --dialect",
    )
}
