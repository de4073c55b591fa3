//! The directory of routes: who publishes which path, and who serves whoever asks for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moq_transfork::path::Path;
use tracing::debug;

use crate::announced::{AnnounceSet, Announced, Announcement};
use crate::error::Error;
use crate::model::consumer::TrackConsumer;
use crate::model::group::GroupConsumer;
use crate::model::subscription::Subscription;
use crate::model::track::Latest;
use crate::source::{FetchRequest, Source};

/// Where a publisher is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Locality {
    /// At this relay.
    Local,
    /// At another relay, which this one is linked to.
    Remote,
}

/// The directory of routes, and the [`Source`] of everything that is published. Clones share it.
///
/// A new subscription is served by the newest announcer of its path, local before remote. The
/// directory is asked when a subscription starts or moves, never while data flows.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    shared: Arc<OriginShared>,
}

/// The part of an [`Origin`] that is published at this relay: what another relay may see, so that
/// nothing learned from one is ever told to another.
#[derive(Debug, Clone)]
pub struct LocalView(Origin);

/// Keeps a path in the directory for as long as it lives.
#[derive(Debug)]
pub struct Route {
    origin: Origin,
    path: Path,
    id: u64,
}

#[derive(Default)]
struct OriginShared {
    directory: Mutex<Directory>,
    all: Arc<AnnounceSet>,
    local: Arc<AnnounceSet>,
}

#[derive(Default)]
struct Directory {
    /// The routes of each path, best first; never empty.
    routes: BTreeMap<Path, Vec<Entry>>,
    next_id: u64,
}

struct Entry {
    id: u64,
    locality: Locality,
    source: Arc<dyn Source>,
}

impl Origin {
    /// Adds a route: `source` publishes `path`.
    pub fn attach(&self, path: Path, source: Arc<dyn Source>, locality: Locality) -> Route {
        let mut directory = self.lock();
        let id = directory.next_id;
        directory.next_id += 1;
        let routes = directory.routes.entry(path.clone()).or_default();
        // Best first: local before remote, and the newest first among equals.
        let place = routes.partition_point(|entry| entry.locality < locality);
        routes.insert(
            place,
            Entry {
                id,
                locality,
                source,
            },
        );
        self.shared.all.insert(&path);
        if locality == Locality::Local {
            self.shared.local.insert(&path);
        }
        Route {
            origin: self.clone(),
            path,
            id,
        }
    }

    /// Keeps a route for everything that `source` announces, until it ends; calls `on_first` at
    /// its first path. When the future is dropped the routes go too.
    pub async fn attach_all(
        &self,
        source: Arc<dyn Source>,
        locality: Locality,
        on_first: impl FnOnce() + Send,
    ) {
        let mut on_first = Some(on_first);
        let mut announced = source.announced(&Path::default());
        let mut routes = BTreeMap::new();
        while let Some(announcement) = announced.next().await {
            debug!(?announcement, "peer announces");
            match announcement {
                Announcement::Active(path) => {
                    if let Some(on_first) = on_first.take() {
                        on_first();
                    }
                    let route = self.attach(path.clone(), source.clone(), locality);
                    routes.insert(path, route);
                }
                Announcement::Ended(path) => drop(routes.remove(&path)),
                Announcement::Live => {}
            }
        }
    }

    /// Returns the part that is published at this relay.
    pub fn local(&self) -> LocalView {
        LocalView(self.clone())
    }

    /// Paths that are published.
    pub fn len(&self) -> usize {
        self.shared.all.len()
    }

    /// True if nothing is published.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn detach(&self, route: &Route) {
        let mut directory = self.lock();
        let Some(routes) = directory.routes.get_mut(&route.path) else {
            return;
        };
        let removed: Vec<Entry> = routes
            .extract_if(.., |entry| entry.id == route.id)
            .collect();
        let is_local = |entry: &Entry| entry.locality == Locality::Local;
        if !routes.iter().any(is_local) {
            self.shared.local.remove(&route.path);
        }
        if routes.is_empty() {
            directory.routes.remove(&route.path);
            self.shared.all.remove(&route.path);
        }
        drop(directory);
        // Outside the lock: the last holder of a source may free much.
        drop(removed);
    }

    /// The sources of a path, best first.
    fn sources(&self, path: &Path, scope: Locality) -> Vec<Arc<dyn Source>> {
        let directory = self.lock();
        let routes = directory.routes.get(path).map_or(&[][..], Vec::as_slice);
        let in_scope = routes.iter().filter(|entry| entry.locality <= scope);
        in_scope.map(|entry| entry.source.clone()).collect()
    }

    fn track_in(
        &self,
        path: &Path,
        subscription: &Subscription,
        scope: Locality,
    ) -> Result<TrackConsumer, Error> {
        let mut failure = Error::NotFound;
        for source in self.sources(path, scope) {
            match source.track(path, subscription.clone()) {
                Ok(track) => return Ok(track),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn info_in(&self, path: &Path, scope: Locality) -> Result<Latest, Error> {
        let mut failure = Error::NotFound;
        for source in self.sources(path, scope) {
            match source.info(path).await {
                Ok(info) => return Ok(info),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn fetch_in(
        &self,
        request: &FetchRequest,
        scope: Locality,
    ) -> Result<GroupConsumer, Error> {
        let mut failure = Error::NotFound;
        for source in self.sources(&request.path, scope) {
            match source.fetch(request).await {
                Ok(group) => return Ok(group),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn lock(&self) -> MutexGuard<'_, Directory> {
        self.shared
            .directory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Origin {
    fn track(&self, path: &Path, subscription: Subscription) -> Result<TrackConsumer, Error> {
        self.track_in(path, &subscription, Locality::Remote)
    }

    fn announced(&self, prefix: &Path) -> Announced {
        self.shared.all.listen(prefix)
    }

    fn info<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Latest, Error>> {
        self.info_in(path, Locality::Remote).boxed()
    }

    fn fetch<'a>(
        &'a self,
        request: &'a FetchRequest,
    ) -> BoxFuture<'a, Result<GroupConsumer, Error>> {
        self.fetch_in(request, Locality::Remote).boxed()
    }
}

impl Source for LocalView {
    fn track(&self, path: &Path, subscription: Subscription) -> Result<TrackConsumer, Error> {
        self.0.track_in(path, &subscription, Locality::Local)
    }

    fn announced(&self, prefix: &Path) -> Announced {
        self.0.shared.local.listen(prefix)
    }

    fn info<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Latest, Error>> {
        self.0.info_in(path, Locality::Local).boxed()
    }

    fn fetch<'a>(
        &'a self,
        request: &'a FetchRequest,
    ) -> BoxFuture<'a, Result<GroupConsumer, Error>> {
        self.0.fetch_in(request, Locality::Local).boxed()
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        self.origin.detach(self);
    }
}

impl fmt::Debug for OriginShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("paths", &self.all.len())
            .finish_non_exhaustive()
    }
}
