//! The relay: every session meets every other at one origin.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moq_transfork::code::Code;
use moq_transfork::message::Extensions;
use moq_transfork::path::Path;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use web_transport_trait as wt;

use crate::error::Error;
use crate::limits::Limits;
use crate::model::cache::CacheLimits;
use crate::model::track::{TrackInfo, TrackProducer};
use crate::origin::{Locality, Origin};
use crate::role::Role;
use crate::session::{self, Context};
use crate::source::Source;
use crate::stats::Snapshot;
use crate::tracks::Tracks;
use crate::visit::{ConnectOptions, Open, ServeOptions, Visit};

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
/// The sessions run in the futures that [`serve`](Self::serve) and [`Visit::run`] return: on the runtime that polls
/// them, for as long as they are polled. The relay has no task of its own, but for short ones that
/// wake the readers of a group where there are many.
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
        self.serve_with(session, ServeOptions::default()).await
    }

    /// As [`serve`](Self::serve), with a say in who the peer is.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub async fn serve_with<S: wt::Session>(
        &self,
        session: S,
        options: ServeOptions,
    ) -> Result<(), Error> {
        let late = self.shared.context.draining.is_cancelled();
        match self.accept(session, options).await {
            Ok(visit) => visit.run().await,
            Err(Error::Shutdown) if !late => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sets an accepted session up; it is served by [`Visit::run`].
    ///
    /// # Errors
    /// What ended the handshake, the doorkeeper's refusal, or [`Error::Shutdown`]. The session is
    /// closed then.
    pub async fn accept<S: wt::Session>(
        &self,
        session: S,
        options: ServeOptions,
    ) -> Result<Visit<S>, Error> {
        let open = self.open(&session)?;
        let ServeOptions { doorkeeper, claims } = options;
        let mut role = Role::Client;
        let welcome = |extensions: &Extensions| {
            let admission = doorkeeper(extensions)?;
            role = admission.role;
            Ok(admission.answer)
        };
        let context = &self.shared.context;
        let accept = session::accept(session.clone(), &context.limits, welcome);
        let set_up = self.unless_closing(&session, accept).await?;
        let visit = Visit::begin(set_up, self.origin(), context, role, true, open);
        Ok(visit.with(claims))
    }

    /// Sets a session up that was dialled to another relay; it is served by [`Visit::run`].
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub async fn connect<S: wt::Session>(
        &self,
        session: S,
        options: ConnectOptions,
    ) -> Result<Visit<S>, Error> {
        let open = self.open(&session)?;
        let context = &self.shared.context;
        let ConnectOptions {
            dialects,
            extensions,
            doorkeeper,
            publish,
        } = options;
        let offer = session::offer(session.clone(), &context.limits, &dialects, extensions);
        let set_up = self.unless_closing(&session, offer).await?;
        let admission = doorkeeper(&set_up.established.extensions)
            .inspect_err(|error| session.close(error.code().0, &error.to_string()))?;
        let origin = self.origin();
        Ok(Visit::begin(
            set_up,
            origin,
            context,
            admission.role,
            publish,
            open,
        ))
    }

    /// Counts a session, unless none may begin any more.
    fn open<S: wt::Session>(&self, session: &S) -> Result<Open, Error> {
        let context = &self.shared.context;
        if context.draining.is_cancelled() {
            session.close(Code::CANCEL.0, &Error::Shutdown.to_string());
            return Err(Error::Shutdown);
        }
        context.stats.sessions_total.add(1);
        Ok(Open {
            _session: context.stats.gauge(|stats| &stats.sessions),
            _token: self.shared.sessions.token(),
        })
    }

    async fn unless_closing<S: wt::Session, T>(
        &self,
        session: &S,
        handshake: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.shared.context.closing.cancelled() => {
                session.close(Code::CANCEL.0, &Error::Shutdown.to_string());
                Err(Error::Shutdown)
            }
            outcome = handshake => outcome,
        }
    }

    /// Publishes a track of this process until its producer is finished, aborted or dropped.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if this process publishes the path already, [`Error::Unauthorized`] if
    /// the path belongs to the cluster.
    pub fn publish(&self, path: Path, info: TrackInfo) -> Result<TrackProducer, Error> {
        let mut track = self.shared.tracks.create(path.clone(), info)?;
        let source: Arc<dyn Source> = Arc::new(self.shared.tracks.clone());
        let route = self.shared.origin.attach(path, source, &Locality::Local)?;
        track.keep(route);
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

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
