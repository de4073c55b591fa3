//! The directory of routes: who publishes which path, and who serves whoever asks for it.

mod rank;
mod view;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moq_transfork::path::Path;

use self::rank::Rank;
pub(crate) use self::view::{Standing, View};
use crate::announced::{AnnounceSet, Announced};
use crate::error::Error;
use crate::model::consumer::TrackConsumer;
use crate::model::group::GroupConsumer;
use crate::model::subscription::Subscription;
use crate::model::track::Latest;
use crate::role::{NodeName, is_internal};
use crate::shared::lock;
use crate::source::{FetchRequest, Source};

/// Where a publisher is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Locality {
    /// At this relay.
    Local,
    /// At another relay, which this one is linked to.
    Remote(NodeName),
    /// At a relay that may only repeat what it has heard, from this one or from another: the relays
    /// of the forks announce what comes from a node as their own.
    Hearsay(NodeName),
}

/// The directory of routes, and the [`Source`] of everything that users publish. Clones share it.
///
/// A new subscription is served by the newest announcer of its path at this relay, and if there is
/// none, by another relay: by the same one wherever in the cluster the choice is made. The
/// directory is asked when a subscription starts or moves, never while data flows.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    shared: Arc<OriginShared>,
}

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
    /// What users see: every path but those of the cluster.
    public: Arc<AnnounceSet>,
    /// What other relays see: what is published here, so that nothing learned from one of them is
    /// ever told to another.
    local: Arc<AnnounceSet>,
    /// The nodes that announced themselves here.
    nodes: Arc<AnnounceSet>,
}

#[derive(Default)]
struct Directory {
    /// The routes of each path, best first; never empty.
    routes: BTreeMap<Path, Vec<Entry>>,
    next_id: u64,
    /// True once other relays are to be told that nothing is published here any more.
    withdrawn: bool,
}

struct Entry {
    id: u64,
    rank: Rank,
    source: Arc<dyn Source>,
}

/// Which routes may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Everything,
    Local,
}

/// Publishes nothing: stands behind a node's own name.
struct Nothing;

impl Origin {
    /// Adds a route: `source` publishes `path`.
    ///
    /// Hearsay counts only while there is nothing better: it does not come back to life when that
    /// goes, for it may be all that is left of it.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if the path belongs to the cluster, [`Error::Duplicate`] if it is
    /// hearsay of a path that somebody publishes.
    pub fn attach(
        &self,
        path: Path,
        source: Arc<dyn Source>,
        locality: &Locality,
    ) -> Result<Route, Error> {
        if is_internal(&path) {
            return Err(Error::Unauthorized);
        }
        self.add(path, source, locality).ok_or(Error::Duplicate)
    }

    /// Announces a node to those who ask for nodes. The name of this relay itself is local.
    ///
    /// Returns nothing for hearsay of a node that is known.
    pub fn attach_node(&self, node: &NodeName, locality: &Locality) -> Option<Route> {
        self.add(node.path(), Arc::new(Nothing), locality)
    }

    fn add(&self, path: Path, source: Arc<dyn Source>, locality: &Locality) -> Option<Route> {
        let rank = Rank::new(&path, locality);
        let is_local = rank == Rank::Local;
        let is_hearsay = |rank: &Rank| matches!(rank, Rank::Hearsay(_));
        let mut directory = self.lock();
        if is_hearsay(&rank) && directory.routes.contains_key(&path) {
            return None;
        }
        let id = directory.next_id;
        directory.next_id += 1;
        let routes = directory.routes.entry(path.clone()).or_default();
        let outdone: Vec<_> = routes
            .extract_if(.., |entry| is_hearsay(&entry.rank))
            .collect();
        // Best first, and the newest first among equals.
        let place = routes.partition_point(|entry| entry.rank < rank);
        routes.insert(place, Entry { id, rank, source });
        self.shared.all(&path).insert(&path);
        if is_local && !directory.withdrawn {
            self.shared.local.insert(&path);
        }
        drop(directory);
        // Outside the lock: the last holder of a source may free much.
        drop(outdone);
        Some(Route {
            origin: self.clone(),
            path,
            id,
        })
    }

    /// Tells the other relays that nothing is published here any more, for good. What they have
    /// subscribed to goes on.
    pub fn withdraw(&self) {
        let mut directory = self.lock();
        directory.withdrawn = true;
        self.shared.local.clear();
    }

    /// True if somebody publishes the path.
    pub fn contains(&self, path: &Path) -> bool {
        self.lock().routes.contains_key(path)
    }

    /// Paths that are published.
    pub fn len(&self) -> usize {
        self.shared.public.len()
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
        let is_local = |entry: &Entry| entry.rank == Rank::Local;
        if !routes.iter().any(is_local) {
            self.shared.local.remove(&route.path);
        }
        if routes.is_empty() {
            directory.routes.remove(&route.path);
            self.shared.all(&route.path).remove(&route.path);
        }
        drop(directory);
        // Outside the lock: the last holder of a source may free much.
        drop(removed);
    }

    /// The sources of a path, best first.
    fn sources(&self, path: &Path, scope: Scope) -> Vec<Arc<dyn Source>> {
        let directory = self.lock();
        let routes = directory.routes.get(path).map_or(&[][..], Vec::as_slice);
        let in_scope = |entry: &&Entry| scope == Scope::Everything || entry.rank == Rank::Local;
        let in_scope = routes.iter().filter(in_scope);
        in_scope.map(|entry| entry.source.clone()).collect()
    }

    fn track_in(
        &self,
        path: &Path,
        subscription: &Subscription,
        scope: Scope,
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

    async fn info_in(&self, path: &Path, scope: Scope) -> Result<Latest, Error> {
        let mut failure = Error::NotFound;
        for source in self.sources(path, scope) {
            match source.info(path).await {
                Ok(info) => return Ok(info),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn fetch_in(&self, request: &FetchRequest, scope: Scope) -> Result<GroupConsumer, Error> {
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
        lock(&self.shared.directory)
    }
}

impl OriginShared {
    /// The set that tells of a path wherever it is published.
    fn all(&self, path: &Path) -> &Arc<AnnounceSet> {
        if is_internal(path) {
            &self.nodes
        } else {
            &self.public
        }
    }
}

impl Source for Origin {
    fn track(&self, path: &Path, subscription: Subscription) -> Result<TrackConsumer, Error> {
        self.track_in(path, &subscription, Scope::Everything)
    }

    fn announced(&self, prefix: &Path) -> Announced {
        self.shared.public.listen(prefix)
    }

    fn info<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Latest, Error>> {
        self.info_in(path, Scope::Everything).boxed()
    }

    fn fetch<'a>(
        &'a self,
        request: &'a FetchRequest,
    ) -> BoxFuture<'a, Result<GroupConsumer, Error>> {
        self.fetch_in(request, Scope::Everything).boxed()
    }
}

impl Source for Nothing {
    fn track(&self, _path: &Path, _subscription: Subscription) -> Result<TrackConsumer, Error> {
        Err(Error::NotFound)
    }

    fn announced(&self, _prefix: &Path) -> Announced {
        Announced::refused(Error::NotFound)
    }

    fn info<'a>(&'a self, _path: &'a Path) -> BoxFuture<'a, Result<Latest, Error>> {
        async { Err(Error::NotFound) }.boxed()
    }

    fn fetch<'a>(
        &'a self,
        _request: &'a FetchRequest,
    ) -> BoxFuture<'a, Result<GroupConsumer, Error>> {
        async { Err(Error::NotFound) }.boxed()
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
            .field("paths", &self.public.len())
            .finish_non_exhaustive()
    }
}
