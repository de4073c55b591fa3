//! From a relay's URL to what it publishes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use moq_relay_core::error::Error;
use moq_relay_core::session::{self, ClientConfig, Peer};
use moq_relay_core::source::Source;
use tokio::task::JoinSet;
use tokio::time::timeout;
use web_transport_quinn::Session;

use crate::dial::{self, DialError, DialOptions, Dialed};

/// What a session is closed with that nobody is to blame for: `Code::CANCEL`.
const CANCEL: u32 = 0;

/// How long the last packets of a closing session may take.
const CLOSING: Duration = Duration::from_secs(1);

/// A session with a relay.
///
/// Dropping it closes the session, which reaches the relay only if the runtime goes on for a
/// moment; [`close`](Self::close) waits for that.
pub struct Client {
    peer: Peer,
    /// Runs the session; what it ends with is why the session ended.
    driver: JoinSet<Result<(), Error>>,
    session: Session,
    endpoint: quinn::Endpoint,
    remote: SocketAddr,
}

/// Why there is no session with the relay.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The transport did not come about.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The transport stood, and the relay did not agree to speak MoqTransfork.
    #[error("MoqTransfork handshake with {address} failed: {source}")]
    Setup {
        /// The relay's address.
        address: SocketAddr,
        /// What went wrong.
        source: Error,
    },
}

impl ConnectError {
    /// Says what to try, in one line.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Dial(error) => error.advice(),
            Self::Setup { .. } => Some("does the relay speak this version? try another --dialect"),
        }
    }
}

/// Connects to a relay, in one dialect, and offers it the tracks of `publish`.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use moq_relay_core::source::Source;
/// use moq_test_client::connect::connect;
/// use moq_test_client::dial::DialOptions;
///
/// let client = connect(&DialOptions::new("https://localhost:4443".parse()?), None).await?;
/// let track = client.peer().track(&"clock".parse()?, Default::default())?;
/// client.close("done").await;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// See [`ConnectError`]; each says which address it is about.
pub async fn connect(
    options: &DialOptions,
    publish: Option<Arc<dyn Source>>,
) -> Result<Client, ConnectError> {
    let Dialed {
        session,
        endpoint,
        remote,
    } = dial::dial(options).await?;
    let mut config = ClientConfig::default();
    config.dialects = vec![options.dialect];
    config.publish = publish;
    config.limits.handshake = options.timeout;
    let failed = |source| ConnectError::Setup {
        address: remote,
        source,
    };
    let (peer, run) = session::connect(session.clone(), config)
        .await
        .map_err(failed)?;
    let mut driver = JoinSet::new();
    driver.spawn(run.run());
    Ok(Client {
        peer,
        driver,
        session,
        endpoint,
        remote,
    })
}

impl Client {
    /// Returns what the relay publishes.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Returns the relay's address.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Waits until the session ends and returns why; cancel-safe.
    pub async fn closed(&mut self) -> Error {
        match self.driver.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Ok(Ok(()))) | None => Error::Cancelled,
            Some(Err(panicked)) => Error::Transport(panicked.to_string()),
        }
    }

    /// Ends the session, telling the relay `reason`, and waits a moment until that is sent.
    pub async fn close(mut self, reason: &str) {
        self.session.close(CANCEL, reason.as_bytes());
        let gone = async {
            // The driver stays until the relay has read this: its end would reset the session
            // stream, and the relay might see that first.
            self.session.closed().await;
            self.driver.shutdown().await;
            self.endpoint.wait_idle().await;
        };
        if timeout(CLOSING, gone).await.is_err() {
            tracing::debug!("the session did not close in time");
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // After `close` this does nothing.
        self.session.close(CANCEL, b"");
    }
}
