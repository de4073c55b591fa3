//! Groups of a peer's past that no live track holds: fetched ones, and those of tracks that nobody
//! reads any more.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moq_transfork::path::Path;
use tokio::time::{Instant, interval};

use crate::model::group::GroupConsumer;

/// How often groups are looked at for their age.
const TIDY_PERIOD: Duration = Duration::from_secs(1);

/// Groups of a peer's past that no live track holds.
///
/// A group that is still being fetched is here too, so that it is fetched once. What the groups
/// weigh is the cache's affair, which may empty them at any time.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    tidying: AtomicBool,
    tracks: Mutex<HashMap<Path, BTreeMap<u64, Entry>>>,
}

#[derive(Debug)]
struct Entry {
    group: GroupConsumer,
    /// How long it stays once it is whole.
    max_age: Duration,
}

impl Shelf {
    /// Returns a reader of a group, at its first frame, unless it was cut short or emptied.
    pub(super) fn find(&self, path: &Path, sequence: u64) -> Option<GroupConsumer> {
        let tracks = self.lock();
        let entry = tracks.get(path)?.get(&sequence)?;
        entry.is_good(Instant::now()).then(|| entry.group.clone())
    }

    /// Keeps a group that is whole, or will be.
    pub(super) fn keep(&self, path: &Path, group: GroupConsumer, max_age: Duration) {
        let mut tracks = self.lock();
        let groups = tracks.entry(path.clone()).or_default();
        groups.insert(group.sequence(), Entry { group, max_age });
    }

    /// Returns true, once, if there are groups that will grow old: whoever is told so has to
    /// [`tidy`](Self::tidy).
    pub(super) fn needs_tidying(&self) -> bool {
        !self.lock().is_empty() && !self.tidying.swap(true, Ordering::Relaxed)
    }

    /// Lets go of groups as they grow too old or of no use, until none are left.
    pub(super) async fn tidy(&self) {
        let mut ticks = interval(TIDY_PERIOD);
        loop {
            ticks.tick().await;
            let now = Instant::now();
            let mut tracks = self.lock();
            tracks.retain(|_, groups| {
                groups.retain(|_, entry| entry.is_good(now));
                !groups.is_empty()
            });
            if tracks.is_empty() {
                self.tidying.store(false, Ordering::Relaxed);
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Path, BTreeMap<u64, Entry>>> {
        self.tracks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is_good(&self, now: Instant) -> bool {
        let age = self
            .group
            .finished_at()
            .map(|at| now.saturating_duration_since(at));
        age.is_none_or(|age| age < self.max_age) && !self.group.is_cut()
    }
}
