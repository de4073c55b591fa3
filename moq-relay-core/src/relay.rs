//! The relay: every session meets every other at one origin.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moq_transfork::path::Path;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use web_transport_trait as wt;

use crate::error::Error;
use crate::limits::Limits;
use crate::model::cache::CacheLimits;
use crate::model::track::{TrackInfo, TrackProducer};
use crate::origin::{Locality, Origin};
use crate::session::{self, Context};
use crate::source::Source;
use crate::stats::Snapshot;
use crate::tracks::Tracks;

/// Time for sessions to close once they were told to.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// How a relay behaves.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RelayConfig {
    /// What each session may cost.
    pub limits: Limits,
    /// How much of the past is kept.
    pub cache: CacheLimits,
}

/// Connects the publishers among its sessions to the subscribers. Clones are the same relay.
///
/// The sessions run in the futures that [`serve`](Self::serve) returns: on the runtime that polls
/// them, for as long as they are polled. The relay has no task of its own.
#[derive(Clone)]
pub struct Relay {
    shared: Arc<RelayShared>,
}

struct RelayShared {
    context: Arc<Context>,
    origin: Origin,
    tracks: Tracks,
    sessions: TaskTracker,
}

/// Told once when a peer turns out to publish.
pub type OnPublisher = Box<dyn FnOnce() + Send>;

impl Relay {
    /// Makes a relay without sessions.
    pub fn new(config: RelayConfig) -> Self {
        let context = Arc::new(Context::new(config.limits.clone(), config.cache));
        let tracks = Tracks::new(context.cache.clone(), config.limits);
        let shared = RelayShared {
            context,
            origin: Origin::default(),
            tracks,
            sessions: TaskTracker::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Serves one accepted session from its handshake to its end.
    ///
    /// # Errors
    /// What ended the session, unless the peer or [`drain`](Self::drain) closed it.
    pub async fn serve<S: wt::Session>(&self, session: S) -> Result<(), Error> {
        self.serve_with(session, Box::new(|| {})).await
    }

    /// As [`serve`](Self::serve), calling `on_publisher` when the peer announces its first path:
    /// the time to grant it more streams than a subscriber needs.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub async fn serve_with<S: wt::Session>(
        &self,
        session: S,
        on_publisher: OnPublisher,
    ) -> Result<(), Error> {
        let shared = &self.shared;
        if shared.context.draining.is_cancelled() {
            session.close(Error::Shutdown.code().0, &Error::Shutdown.to_string());
            return Err(Error::Shutdown);
        }
        shared
            .sessions
            .track_future(self.serve_open(session, on_publisher))
            .await
    }

    async fn serve_open<S: wt::Session>(
        &self,
        session: S,
        on_publisher: OnPublisher,
    ) -> Result<(), Error> {
        let context = &self.shared.context;
        context.stats.sessions_total.add(1);
        let _open = context.stats.gauge(|stats| &stats.sessions);
        let origin = &self.shared.origin;
        let publish = Arc::new(origin.clone());
        let accept = session::accept(session.clone(), publish, context.clone());
        let (peer, driver) = tokio::select! {
            biased;
            () = context.closing.cancelled() => {
                let end = Error::Shutdown;
                session.close(end.code().0, &end.to_string());
                return Ok(());
            }
            accepted = accept => accepted?,
        };
        tracing::info!(dialect = %peer.dialect(), "session begins");
        let attach = origin.attach_all(Arc::new(peer), Locality::Local, on_publisher);
        let ended = tokio::select! {
            biased;
            ended = driver.run() => ended,
            () = endless(attach) => Ok(()),
        };
        match ended {
            Err(Error::Shutdown) => Ok(()),
            ended => ended,
        }
    }

    /// Publishes a track of this process until its producer is finished, aborted or dropped.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if this process publishes the path already.
    pub fn publish(&self, path: Path, info: TrackInfo) -> Result<TrackProducer, Error> {
        let mut track = self.shared.tracks.create(path.clone(), info)?;
        let source: Arc<dyn Source> = Arc::new(self.shared.tracks.clone());
        track.keep(self.shared.origin.attach(path, source, Locality::Local));
        Ok(track)
    }

    /// The directory of everything that is published.
    pub fn origin(&self) -> &Origin {
        &self.shared.origin
    }

    /// What the counters say now.
    pub fn stats(&self) -> Snapshot {
        let context = &self.shared.context;
        let mut snapshot = context.stats.snapshot();
        snapshot.announced = self.shared.origin.len() as u64;
        snapshot.cache_bytes = context.cache.used();
        snapshot
    }

    /// Shuts the relay down: starts no group any more, lets those on their way finish for up to
    /// `grace`, then closes every session. Later sessions are refused.
    pub async fn drain(&self, grace: Duration) {
        let context = &self.shared.context;
        context.draining.cancel();
        context.feeds.close();
        let _unfinished = timeout(grace, context.feeds.wait()).await;
        context.closing.cancel();
        self.shared.sessions.close();
        let _stuck = timeout(CLOSE_TIME, self.shared.sessions.wait()).await;
    }
}

/// Runs a future whose end means nothing.
async fn endless(future: impl Future<Output = ()>) {
    future.await;
    std::future::pending().await
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
