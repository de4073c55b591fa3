//! From a relay's URL to a transport session, before any MoqTransfork byte.

use std::future::Future;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use moq_transfork::dialect::{Dialect, alpn};
use quinn::crypto::rustls::QuicClientConfig;
use tokio::time::timeout;
use web_transport_quinn::Session;

use crate::address::{RelayUrl, Scheme};
use crate::fingerprint;
use crate::tls::{TlsError, Trust};

/// How long one address may stay silent before the next one is tried beside it.
///
/// As RFC 8305 advises; on one machine an answer takes a hundredth of it.
const STAGGER: Duration = Duration::from_millis(250);

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
                "is the relay's HTTP side on? otherwise use https:// with --tls-root or --tls-fingerprint",
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

/// Runs the attempts one after the other, each beside its predecessors once those were silent
/// for [`STAGGER`], and returns the first success or the first refusal by a relay.
async fn race<T>(
    attempts: impl Iterator<Item = impl Future<Output = Result<T, DialError>>>,
) -> Result<T, DialError> {
    let mut waiting = attempts.peekable();
    let mut running = FuturesUnordered::new();
    loop {
        running.extend(waiting.next());
        let next = if waiting.peek().is_some() {
            timeout(STAGGER, running.next()).await
        } else {
            Ok(running.next().await)
        };
        match next {
            Ok(Some(Ok(connected))) => return Ok(connected),
            Ok(Some(Err(error))) => {
                let refused = matches!(error, DialError::Refused { .. });
                if refused || (waiting.peek().is_none() && running.is_empty()) {
                    return Err(error);
                }
                tracing::debug!(%error, "one address failed, trying the others");
            }
            // Silence: the next address starts beside this one. `running` itself was just filled.
            Ok(None) | Err(_) => {}
        }
    }
}

fn handshake_advice(error: &quinn::ConnectionError) -> Option<&'static str> {
    let code = match error {
        quinn::ConnectionError::TransportError(error) => u64::from(error.code),
        quinn::ConnectionError::ConnectionClosed(close) => u64::from(close.error_code),
        quinn::ConnectionError::VersionMismatch
        | quinn::ConnectionError::ApplicationClosed(_)
        | quinn::ConnectionError::Reset
        | quinn::ConnectionError::TimedOut
        | quinn::ConnectionError::LocallyClosed
        | quinn::ConnectionError::CidsExhausted => return None,
    };
    // QUIC carries TLS alerts as 0x100 + alert (RFC 9001, section 4.8; RFC 8446, section 6).
    match code.checked_sub(0x100)? {
        42..=49 => Some(
            "the relay's certificate is not trusted: give it with --tls-root FILE or \
             --tls-fingerprint HEX, fetch it with an http:// URL, or use --tls-disable-verify",
        ),
        120 => Some(
            "the relay does not offer this protocol: try https://, moqf:// or another --dialect",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::Pin;

    use tokio::time::{Instant, sleep};

    use super::*;

    type Attempt = Pin<Box<dyn Future<Output = Result<u8, DialError>>>>;

    fn error(refused: bool) -> DialError {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        if refused {
            DialError::Refused {
                address,
                reason: "refused".into(),
                advice: None,
            }
        } else {
            DialError::Unreachable {
                address,
                reason: "unreachable".into(),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_holds_the_next_one_up_for_a_moment_only() {
        let start = Instant::now();
        let attempts: [Attempt; 2] = [Box::pin(pending()), Box::pin(ready(Ok(2)))];
        assert_eq!(race(attempts.into_iter()).await.unwrap(), 2);
        assert_eq!(start.elapsed(), STAGGER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_address_may_still_win() {
        let slow = Box::pin(async {
            sleep(STAGGER * 2).await;
            Ok(1)
        });
        let attempts: [Attempt; 2] = [slow, Box::pin(pending())];
        assert_eq!(race(attempts.into_iter()).await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unreachable_address_gives_way_at_once() {
        let start = Instant::now();
        let attempts: [Attempt; 2] = [Box::pin(ready(Err(error(false)))), Box::pin(ready(Ok(2)))];
        assert_eq!(race(attempts.into_iter()).await.unwrap(), 2);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_reported_without_waiting_for_silent_addresses() {
        let attempts: [Attempt; 2] = [Box::pin(pending()), Box::pin(ready(Err(error(true))))];
        let error = race(attempts.into_iter()).await.unwrap_err();
        assert!(matches!(error, DialError::Refused { .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_failure_is_reported_when_all_fail() {
        let attempts: [Attempt; 2] = [
            Box::pin(ready(Err(error(false)))),
            Box::pin(ready(Err(error(false)))),
        ];
        assert!(race(attempts.into_iter()).await.is_err());
    }
}
