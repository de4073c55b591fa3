//! Sessions that we open.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, ConnectError, ConnectionError, Endpoint};
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::session::Session;
use crate::transport::{Congestion, client_config, link_config};

/// Time for one address of a host to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The same for nodes of a cluster, which have 5 s for all their addresses together, and are tried
/// again and again.
const LINK_TIMEOUT: Duration = Duration::from_secs(2);

/// Dials other relays over raw QUIC, from an endpoint that may accept clients too.
#[derive(Debug, Clone)]
pub struct Dialer {
    endpoint: Endpoint,
    /// Shared by clones, so that all dial with the newest certificate.
    config: Arc<Mutex<ClientConfig>>,
    /// Time for one address of a host to answer.
    timeout: Duration,
}

impl Dialer {
    /// Dials with these certificates believed and these ALPNs offered.
    pub fn new(endpoint: Endpoint, tls: QuicClientConfig, congestion: Congestion) -> Self {
        Self {
            endpoint,
            config: Arc::new(Mutex::new(client_config(tls, congestion))),
            timeout: TIMEOUT,
        }
    }

    /// Dials nodes of a cluster, whose loss is to be noticed sooner.
    pub fn for_links(endpoint: Endpoint, tls: QuicClientConfig, congestion: Congestion) -> Self {
        Self {
            endpoint,
            config: Arc::new(Mutex::new(link_config(tls, congestion))),
            timeout: LINK_TIMEOUT,
        }
    }

    /// Dials as `other` does from now on, and so do all clones of this; sessions that are open stay
    /// as they are.
    pub fn renew(&self, other: &Self) {
        let config = other.config();
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }

    fn config(&self) -> ClientConfig {
        let config = self.config.lock();
        config.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens a session to a host, trying its addresses one after the other.
    ///
    /// # Errors
    ///
    /// Fails when the host has no address, and otherwise as the last of them did.
    pub async fn dial(&self, host: &str, port: u16) -> Result<Session, DialError> {
        let mut last = DialError::NoAddress;
        for addr in lookup_host((host, port)).await? {
            match timeout(self.timeout, self.connect(addr, host)).await {
                Ok(Ok(session)) => return Ok(session),
                Ok(Err(error)) => last = error,
                Err(_) => last = DialError::Timeout,
            }
        }
        Err(last)
    }

    async fn connect(&self, addr: SocketAddr, host: &str) -> Result<Session, DialError> {
        let conn = self
            .endpoint
            .connect_with(self.config(), addr, host)?
            .await?;
        Ok(Session::raw(conn))
    }
}

/// Tells why a session could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name could not be looked up.
    #[error("cannot look up the host: {0}")]
    Lookup(#[from] io::Error),
    /// The name has no address.
    #[error("the host has no address")]
    NoAddress,
    /// The address or name cannot be used.
    #[error("cannot dial: {0}")]
    Connect(#[from] ConnectError),
    /// The handshake failed.
    #[error("QUIC handshake: {0}")]
    Handshake(#[from] ConnectionError),
    /// The host did not answer in time.
    #[error("no answer")]
    Timeout,
}
