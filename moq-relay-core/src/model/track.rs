//! The producer's side of a track.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Weak};
use std::time::Duration;

use moq_transfork::path::Path;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::Error;
use crate::model::cache::Cache;
use crate::model::consumer::TrackConsumer;
use crate::model::group::{GroupConsumer, GroupProducer};
pub use crate::model::info::{Gap, Latest, TrackInfo};
use crate::model::state::{Extent, TrackShared, TrackState};
use crate::model::subscription::Subscription;
use crate::shared::Shared;

/// The highest group number that the wire can carry.
const LAST: u64 = (1 << 62) - 1;

/// How often all groups of a track are looked at in the time that one may stay. Every second, in a
/// thousand tracks, it takes longer than the groups themselves.
const LOOKS: u32 = 8;

/// The shortest and the longest time between two looks at all groups of a track. In between those
/// that were cut short weigh nothing for the cache and are still there.
const LOOK_PERIOD: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(4);

/// Writes one track.
///
/// Dropping it without [`finish`](Self::finish) is an error for the readers.
#[derive(Debug)]
pub struct TrackProducer {
    track: Arc<TrackShared>,
    /// What lasts as long as the producer, such as its announcements.
    kept: Vec<Box<dyn Kept>>,
}

/// Something that does its work when it is dropped.
trait Kept: fmt::Debug + Send + Sync {}

impl<T: fmt::Debug + Send + Sync> Kept for T {}

/// Refers to a track without keeping it.
#[derive(Debug, Clone)]
pub(crate) struct WeakTrack(Weak<TrackShared>);

impl TrackProducer {
    /// Makes an empty track whose groups are held by `cache`.
    ///
    /// `max_reordering` is how long readers wait for a group that is missing in between.
    pub fn new(path: Path, cache: &Cache, max_reordering: Duration) -> Self {
        let track = TrackShared {
            path,
            account: cache.open_account(),
            max_age: cache.limits().max_age,
            max_reordering,
            state: Shared::default(),
            demand: Notify::new(),
        };
        Self {
            track: Arc::new(track),
            kept: Vec::new(),
        }
    }

    /// The track's path.
    pub fn path(&self) -> &Path {
        &self.track.path
    }

    /// Drops `guard` with the producer.
    pub(crate) fn keep(&mut self, guard: impl fmt::Debug + Send + Sync + 'static) {
        self.kept.push(Box::new(guard));
    }

    /// Says what the track is; readers wait for it. `latest` is the newest group that the
    /// publisher has, if known.
    pub fn set_info(&self, info: TrackInfo, latest: Option<u64>) {
        self.track.state.change(|state| {
            state.info = Some(info);
            state.reach(latest);
        });
        self.track.demand.notify_waiters();
    }

    /// Starts the group that follows the newest one.
    ///
    /// # Errors
    /// As [`create_group`](Self::create_group).
    pub fn append_group(&self) -> Result<GroupProducer, Error> {
        let next = self
            .track
            .state
            .lock()
            .newest
            .map_or(0, |newest| newest + 1);
        self.create_group(next)
    }

    /// Starts a group.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if it exists, [`Error::Bounds`] if its number cannot be sent,
    /// [`Error::Evicted`] if the cache has no room, or the track's own end.
    pub fn create_group(&self, sequence: u64) -> Result<GroupProducer, Error> {
        if sequence > LAST {
            return Err(Error::Bounds("group sequence"));
        }
        let group = GroupProducer::new(sequence, self.track.account.clone())?;
        self.track.state.change(|state| {
            let inserted = state.insert(group.shared());
            state.expire(Instant::now(), self.track.max_age, Extent::Oldest);
            inserted
        })?;
        Ok(group)
    }

    /// The newest group that was ever here, or that the publisher is known to have.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.track.state.lock().newest
    }

    /// Says that groups will not come.
    pub fn skip(&self, gap: Gap) {
        self.track.state.change(|state| state.forget(gap));
    }

    /// Gives up finished groups that are older than the publisher or the cache allows, and forgets
    /// those that were cut short.
    ///
    /// New groups do this for the oldest ones; call it now and then for the others.
    pub fn expire(&self) {
        let mut state = self.track.state.lock();
        state.expire(Instant::now(), self.track.max_age, Extent::All);
    }

    /// How long to wait before the next [`expire`](Self::expire).
    pub(crate) fn look_period(&self) -> Duration {
        let (shortest, longest) = LOOK_PERIOD.into_inner();
        let state = self.track.state.lock();
        // What the publisher allows is not known yet.
        if state.info.is_none() {
            return shortest;
        }
        (self.track.max_age(&state) / LOOKS).clamp(shortest, longest)
    }

    /// How long a finished group stays: as the cache or the publisher allows.
    pub(crate) fn max_age(&self) -> Duration {
        self.track.max_age(&self.track.state.lock())
    }

    /// Readers of the groups that are whole.
    pub(crate) fn whole_groups(&self) -> Vec<GroupConsumer> {
        let state = self.track.state.lock();
        let whole = state
            .groups
            .values()
            .filter(|group| group.finished_at().is_some());
        whole
            .map(|group| GroupConsumer::new(group.clone()))
            .collect()
    }

    /// Ends the track: no group follows, and those open still end on their own.
    pub fn finish(self) {
        self.end(Ok(()));
    }

    /// Ends the track with an error. Whole groups stay readable.
    pub fn abort(self, error: Error) {
        self.end(Err(error));
    }

    pub(crate) fn end(&self, end: Result<(), Error>) {
        self.track.state.change(|state| {
            state.end.get_or_insert(end);
        });
    }

    /// Returns a reader.
    ///
    /// # Errors
    /// The error that the track was ended with.
    pub fn consume(&self, subscription: Subscription) -> Result<TrackConsumer, Error> {
        TrackConsumer::new(self.track.clone(), subscription)
    }

    /// Waits until the track has a reader. Cancel-safe.
    pub async fn used(&self) {
        let used = |state: &TrackState| (!state.readers.is_empty()).then_some(());
        self.track.wait_for_demand(used).await;
    }

    /// Waits until the track has no reader. Cancel-safe.
    pub async fn unused(&self) {
        self.track
            .wait_for_demand(|state| state.readers.is_empty().then_some(()))
            .await;
    }

    /// Waits until the readers were told to read from another publisher. Cancel-safe.
    pub(crate) async fn superseded(&self) {
        let superseded = |state: &mut TrackState| state.superseded.then_some(());
        self.track.state.wait(superseded).await;
    }

    /// Ends the track if it has no reader: after that nobody can become one.
    pub(crate) fn close_if_unused(&self) -> bool {
        let mut state = self.track.state.lock();
        if state.readers.is_empty() {
            state.end.get_or_insert(Err(Error::Cancelled));
        }
        state.readers.is_empty()
    }

    /// What all readers want together, if there are any.
    pub fn demand(&self) -> Option<Subscription> {
        self.track.state.lock().demand()
    }

    /// Waits until the readers together want something else than `known`. Cancel-safe.
    pub(crate) async fn demand_changed(&self, known: &Subscription) -> Subscription {
        let differs = |state: &TrackState| state.demand().filter(|demand| demand != known);
        self.track.wait_for_demand(differs).await
    }

    pub(crate) fn downgrade(&self) -> WeakTrack {
        WeakTrack(Arc::downgrade(&self.track))
    }
}

impl Drop for TrackProducer {
    fn drop(&mut self) {
        self.end(Err(Error::Dropped));
    }
}

impl WeakTrack {
    /// Returns a reader if the track is still live. Whether it is, and that it now has a reader,
    /// is decided under one lock.
    pub(crate) fn consume(&self, subscription: Subscription) -> Option<TrackConsumer> {
        TrackConsumer::live(self.0.upgrade()?, subscription)
    }

    /// Returns what is known of the track, and its newest group.
    pub(crate) fn info(&self) -> Option<Latest> {
        let track = self.0.upgrade()?;
        let state = track.state.lock();
        state.info.clone().map(|info| Latest {
            info,
            latest: state.newest,
        })
    }

    /// Returns a reader of a group that is in the cache.
    pub(crate) fn group(&self, sequence: u64) -> Option<GroupConsumer> {
        let track = self.0.upgrade()?;
        let group = track.state.lock().groups.get(&sequence).cloned()?;
        group.failure().is_none().then(|| GroupConsumer::new(group))
    }

    /// Ends the track for its readers, who have a better publisher to go to.
    pub(crate) fn supersede(&self) {
        if let Some(track) = self.0.upgrade() {
            track.state.change(|state| {
                state.superseded = true;
                state.end.get_or_insert(Err(Error::Dropped));
            });
        }
    }

    /// True if both refer to the same track.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}
