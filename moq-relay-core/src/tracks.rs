//! Tracks that are published by this process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use moq_transfork::path::Path;

use crate::announced::{AnnounceSet, Announced};
use crate::error::Error;
use crate::limits::Limits;
use crate::model::cache::Cache;
use crate::model::consumer::TrackConsumer;
use crate::model::group::GroupConsumer;
use crate::model::subscription::Subscription;
use crate::model::track::{Latest, TrackInfo, TrackProducer, WeakTrack};
use crate::shared::lock;
use crate::source::{FetchRequest, Source};

/// Tracks that are published by this process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tracks {
    shared: Arc<TracksShared>,
}

#[derive(Default)]
struct TracksShared {
    cache: Cache,
    limits: Limits,
    tracks: Mutex<HashMap<Path, WeakTrack>>,
    announced: Arc<AnnounceSet>,
}

/// Takes a track back when its producer is gone.
#[derive(Debug)]
struct Published {
    tracks: Tracks,
    path: Path,
}

impl Tracks {
    /// Makes an empty set of tracks whose groups are held by `cache`.
    pub fn new(cache: Cache, limits: Limits) -> Self {
        let shared = TracksShared {
            cache,
            limits,
            ..TracksShared::default()
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Publishes a track: announces its path until the producer is finished, aborted or dropped.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if the path is published already.
    pub fn create(&self, path: Path, info: TrackInfo) -> Result<TrackProducer, Error> {
        let mut tracks = self.lock();
        if tracks.contains_key(&path) {
            return Err(Error::Duplicate);
        }
        let max_reordering = self.shared.limits.max_reordering;
        let mut track = TrackProducer::new(path.clone(), &self.shared.cache, max_reordering);
        track.set_info(info, None);
        track.keep(Published {
            tracks: self.clone(),
            path: path.clone(),
        });
        tracks.insert(path.clone(), track.downgrade());
        self.shared.announced.insert(&path);
        Ok(track)
    }

    fn find(&self, path: &Path) -> Result<WeakTrack, Error> {
        self.lock().get(path).cloned().ok_or(Error::NotFound)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Path, WeakTrack>> {
        lock(&self.shared.tracks)
    }

    fn group(&self, request: &FetchRequest) -> Result<GroupConsumer, Error> {
        self.find(&request.path)?
            .group(request.group)
            .ok_or(Error::NotFound)
    }
}

impl Source for Tracks {
    fn track(&self, path: &Path, subscription: Subscription) -> Result<TrackConsumer, Error> {
        self.find(path)?
            .consume(subscription)
            .ok_or(Error::NotFound)
    }

    fn announced(&self, prefix: &Path) -> Announced {
        self.shared.announced.listen(prefix)
    }

    fn info<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Latest, Error>> {
        let known = self
            .find(path)
            .and_then(|track| track.info().ok_or(Error::NotFound));
        ready(known).boxed()
    }

    fn fetch<'a>(
        &'a self,
        request: &'a FetchRequest,
    ) -> BoxFuture<'a, Result<GroupConsumer, Error>> {
        async {
            let mut group = self.group(request)?;
            group.seek(request.frame).await?;
            Ok(group)
        }
        .boxed()
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        let mut tracks = self.tracks.lock();
        tracks.remove(&self.path);
        self.tracks.shared.announced.remove(&self.path);
    }
}

impl fmt::Debug for TracksShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracks")
            .field("announced", &self.announced.len())
            .finish_non_exhaustive()
    }
}
