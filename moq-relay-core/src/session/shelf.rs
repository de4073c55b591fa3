//! Groups of a peer's past that no live track holds: fetched ones, and those of tracks that nobody
//! reads any more.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Weak};
use std::time::Duration;

use moq_transfork::path::Path;
use tokio::time::{Instant, interval};
use tokio_util::sync::DropGuard;

use crate::model::group::GroupConsumer;
use crate::shared::lock;

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
        lock(&self.tracks)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::model::cache::Cache;
    use crate::model::group::GroupProducer;

    const MAX_AGE: Duration = Duration::from_secs(5);

    fn group() -> GroupProducer {
        GroupProducer::alone(7, &Cache::default()).expect("there is room")
    }

    #[tokio::test(start_paused = true)]
    async fn whole_groups_stay_for_their_time() {
        let (shelf, path) = (Shelf::default(), Path::default());
        let producer = group();
        shelf.keep(&path, producer.consume(), MAX_AGE);
        assert!(shelf.needs_tidying());
        assert!(!shelf.needs_tidying(), "one is enough");
        producer.finish().expect("whole");
        assert!(shelf.find(&path, 7).is_some());
        assert!(shelf.find(&path, 8).is_none());
        shelf.tidy().await;
        assert!(shelf.find(&path, 7).is_none());
        assert!(shelf.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_that_is_fetched_is_shared_while_anybody_wants_it() {
        let (shelf, path) = (Shelf::default(), Path::default());
        let producer = group();
        let unwanted = CancellationToken::new();
        let wanted = Arc::new(unwanted.clone().drop_guard());
        let weak = Arc::downgrade(&wanted);
        shelf.keep_fetched(&path, producer.consume(), MAX_AGE, weak);
        let shared = shelf.find(&path, 7).expect("wanted");
        drop(wanted);
        assert!(unwanted.cancelled().now_or_never().is_none());
        drop(shared);
        assert!(unwanted.is_cancelled());
        assert!(shelf.find(&path, 7).is_none(), "nobody wants it any more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_that_was_cut_is_no_group() {
        let (shelf, path) = (Shelf::default(), Path::default());
        let producer = group();
        shelf.keep(&path, producer.consume(), MAX_AGE);
        drop(producer);
        assert!(shelf.find(&path, 7).is_none());
    }
}
