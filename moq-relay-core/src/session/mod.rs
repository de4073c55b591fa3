//! One peer, connected: its requests are served from a [`Source`], and what it publishes is one.
//!
//! [`connect`] is the client's side and `accept` the server's. Both give a [`Peer`], the handle,
//! and a [`Driver`], the future that does the work; the session lasts as long as the driver runs.

mod context;
mod driver;
mod egress;
mod inbox;
mod ingest;
mod peer;
mod priority;
mod rate;
mod shelf;
mod state;
mod tally;
mod used_ids;

use std::sync::Arc;
use std::time::Duration;

use moq_transfork::detect::{Detected, Probe};
use moq_transfork::dialect::Dialect;
use moq_transfork::message::Extensions;
use moq_transfork::setup::{self, Established};
use tokio::time::timeout;
use web_transport_trait as wt;

pub(crate) use self::context::Context;
pub use self::driver::Driver;
pub(crate) use self::driver::start;
pub(crate) use self::ingest::announce::Announces;
pub use self::peer::{Announcements, Peer};
pub use self::priority::stream_priority;
use crate::error::Error;
use crate::limits::Limits;
use crate::model::cache::CacheLimits;
use crate::source::Source;

/// How long a server waits to tell the two dialects that share a version number apart. Peers that
/// say nothing by then have nothing to say that would differ.
const PROBE_TIME: Duration = Duration::from_secs(1);

/// What a client offers and how it behaves.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Dialects offered, best first. Default: draft-03 alone.
    pub dialects: Vec<Dialect>,
    /// What this side publishes. Default: nothing.
    pub publish: Option<Arc<dyn Source>>,
    /// What the other side may cost.
    pub limits: Limits,
    /// How much of what the other side publishes is kept.
    pub cache: CacheLimits,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            dialects: vec![Dialect::Draft03],
            publish: None,
            limits: Limits::default(),
            cache: CacheLimits::default(),
        }
    }
}

/// Sets a session up as its client.
///
/// # Errors
/// [`Error::Version`] if the server speaks nothing that was offered, [`Error::Timeout`] if it does
/// not answer, or what broke the session. The session is closed then.
pub async fn connect<S: wt::Session>(
    session: S,
    config: ClientConfig,
) -> Result<(Peer, Driver<S>), Error> {
    let context = Arc::new(Context::new(config.limits, config.cache));
    let extensions = Extensions::default();
    let set_up = offer(session, &context.limits, &config.dialects, extensions).await?;
    // Whoever wants to hear what the other side announces listens to the peer.
    let (peer, driver, _announces) = start(set_up, config.publish, context);
    Ok((peer, driver))
}

/// A session that is set up and not running yet.
pub(crate) struct SetUp<S: wt::Session> {
    pub(crate) session: S,
    pub(crate) established: Established<S>,
    pub(crate) detected: Option<Detected<S>>,
}

/// Sets a session up as its server, in whatever dialect the client speaks. `welcome` answers the
/// client's extensions.
pub(crate) async fn accept<S: wt::Session>(
    session: S,
    limits: &Limits,
    welcome: impl FnOnce(&Extensions) -> Result<Extensions, Error>,
) -> Result<SetUp<S>, Error> {
    let welcome = |extensions: &Extensions| welcome(extensions).map_err(|error| error.code());
    let answer = setup::accept_with(&session, &Dialect::ALL, welcome);
    let mut established = within(&session, limits.handshake, answer).await?;
    let mut detected = None;
    if established.dialect == Dialect::Fork04 {
        let found = detect(&session).await;
        let found = found.inspect_err(|error| session.close(error.code().0, &error.to_string()))?;
        established.dialect = found.dialect;
        detected = Some(found);
    }
    Ok(SetUp {
        session,
        established,
        detected,
    })
}

/// Sets a session up as its client, which says `extensions`.
pub(crate) async fn offer<S: wt::Session>(
    session: S,
    limits: &Limits,
    dialects: &[Dialect],
    extensions: Extensions,
) -> Result<SetUp<S>, Error> {
    let offer = setup::connect_with(&session, dialects, extensions);
    let established = within(&session, limits.handshake, offer).await?;
    Ok(SetUp {
        session,
        established,
        detected: None,
    })
}

/// Tells apart the two dialects that share a version number, and gives back the streams that were
/// opened for it.
async fn detect<S: wt::Session>(session: &S) -> Result<Detected<S>, Error> {
    let mut probe = Probe::start(session).await?;
    let dialect = match timeout(PROBE_TIME, probe.dialect()).await {
        Ok(dialect) => dialect?,
        Err(_silent) => Dialect::Fork04,
    };
    Ok(probe.finish(dialect))
}

/// Runs a handshake within its time; a failure closes the session with its code.
async fn within<S: wt::Session>(
    session: &S,
    time: Duration,
    handshake: impl Future<Output = Result<Established<S>, setup::SetupError>>,
) -> Result<Established<S>, Error> {
    let outcome = match timeout(time, handshake).await {
        Ok(outcome) => outcome.map_err(Error::from),
        Err(_elapsed) => Err(Error::Timeout),
    };
    outcome.inspect_err(|error| session.close(error.code().0, &error.to_string()))
}
