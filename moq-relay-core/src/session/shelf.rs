//! Groups of a peer's past that no live track holds: fetched ones, and those of tracks that nobody
//! reads any more.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use moq_transfork::path::Path;
use tokio::time::{Instant, interval};
use tokio_util::sync::DropGuard;

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
    /// Until it is whole, what those have who want it: without any it is fetched no further.
    wanted: Weak<DropGuard>,
}

impl Shelf {
    /// Returns a reader of a group, at its first frame, unless it was cut short or emptied.
    pub(super) fn find(&self, path: &Path, sequence: u64) -> Option<GroupConsumer> {
        let tracks = self.lock();
        let entry = tracks.get(path)?.get(&sequence)?;
        if !entry.is_good(Instant::now()) {
            return None;
        }
        let group = entry.group.clone();
        if group.finished_at().is_some() {
            return Some(group);
        }
        Some(group.wanting(entry.wanted.upgrade()?))
    }

    /// Keeps a group that is whole.
    pub(super) fn keep(&self, path: &Path, group: GroupConsumer, max_age: Duration) {
        self.keep_fetched(path, group, max_age, Weak::new());
    }

    /// Keeps a group that is being fetched for as long as somebody has `wanted`.
    pub(super) fn keep_fetched(
        &self,
        path: &Path,
        group: GroupConsumer,
        max_age: Duration,
        wanted: Weak<DropGuard>,
    ) {
        let mut tracks = self.lock();
        let groups = tracks.entry(path.clone()).or_default();
        let sequence = group.sequence();
        let entry = Entry {
            group,
            max_age,
            wanted,
        };
        groups.insert(sequence, entry);
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
