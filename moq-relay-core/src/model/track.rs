//! A track: a log of groups by sequence, in any order of arrival, that one producer writes.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Weak};
use std::time::Duration;

use moq_transfork::code::Code;
use moq_transfork::message::{GroupOrder, Priority};
use moq_transfork::path::Path;
use rangemap::RangeInclusiveMap;
use slab::Slab;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::Error;
use crate::model::cache::{Account, Cache};
use crate::model::consumer::TrackConsumer;
use crate::model::group::{GroupConsumer, GroupProducer, GroupShared};
use crate::model::subscription::{self, Subscription};
use crate::shared::Shared;

/// Runs of missing groups that a track remembers for readers to come. Above that the oldest is
/// forgotten, and readers learn of it when the groups stay missing.
const MAX_GONE: usize = 64;

/// The highest group number that the wire can carry.
const LAST: u64 = (1 << 62) - 1;

/// What a publisher says of a track (draft-03, INFO).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackInfo {
    /// The publisher's own priority, which decides where subscribers' priorities are equal.
    pub priority: Priority,
    /// The publisher's own order, for subscribers that do not ask for one.
    pub order: GroupOrder,
    /// How long a finished group is of use; zero means for ever.
    pub expires: Duration,
}

/// What a track is, and how far it has come (draft-03, INFO).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latest {
    /// What the publisher says of the track.
    pub info: TrackInfo,
    /// The newest group, if there is one yet.
    pub latest: Option<u64>,
}

/// A run of groups that a reader will not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// First and last group of the run.
    pub groups: RangeInclusive<u64>,
    /// Why.
    pub code: Code,
}

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

#[derive(Debug)]
pub(super) struct TrackShared {
    path: Path,
    account: Arc<Account>,
    max_age: Duration,
    pub(super) max_reordering: Duration,
    pub(super) state: Shared<TrackState>,
    /// Rings when what the readers want may have changed, apart from the readers' own bell: they
    /// would all wake for each that comes or goes.
    pub(super) demand: Notify,
}

#[derive(Debug, Default)]
pub(super) struct TrackState {
    pub(super) info: Option<TrackInfo>,
    pub(super) groups: BTreeMap<u64, Arc<GroupShared>>,
    /// Groups known not to come, and why.
    pub(super) gone: RangeInclusiveMap<u64, Code>,
    /// The newest group that was ever here, or that the publisher says it has.
    pub(super) newest: Option<u64>,
    /// The highest group that is known to exist or to be gone.
    pub(super) horizon: Option<u64>,
    pub(super) end: Option<Result<(), Error>>,
    pub(super) readers: Slab<Subscription>,
}

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
            state.newest = state.newest.max(latest);
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
        self.track
            .state
            .change(|state| state.insert(group.shared()))?;
        self.expire();
        Ok(group)
    }

    /// Says that groups will not come.
    pub fn skip(&self, gap: Gap) {
        self.track.state.change(|state| state.forget(gap));
    }

    /// Gives up finished groups that are older than the publisher or the cache allows.
    ///
    /// New groups do this too; call it now and then on a track that has none.
    pub fn expire(&self) {
        let now = Instant::now();
        let mut state = self.track.state.lock();
        let expires = state
            .info
            .as_ref()
            .map_or(Duration::ZERO, |info| info.expires);
        while let Some(oldest) = state.groups.first_entry() {
            let sequence = *oldest.key();
            let age = oldest
                .get()
                .finished_at()
                .map(|at| now.saturating_duration_since(at));
            let code = if let Some(failure) = oldest.get().failure() {
                failure.code()
            } else if age.is_some_and(|age| !expires.is_zero() && age >= expires) {
                Code::EXPIRED
            } else if age.is_some_and(|age| age >= self.track.max_age) {
                Code::EVICTED
            } else {
                return;
            };
            if state.newest == Some(sequence) && code != Code::EXPIRED {
                return;
            }
            state.groups.remove(&sequence);
            state.forget(Gap {
                groups: sequence..=sequence,
                code,
            });
        }
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

    /// Waits until the track has no reader. Cancel-safe.
    pub async fn unused(&self) {
        self.track
            .wait_for_demand(|state| state.readers.is_empty().then_some(()))
            .await;
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

    /// True if both refer to the same track.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

impl TrackShared {
    async fn wait_for_demand<R>(&self, check: impl Fn(&TrackState) -> Option<R>) -> R {
        loop {
            // Made before the check: a ring between the two is not missed.
            let rung = self.demand.notified();
            if let Some(result) = check(&self.state.lock()) {
                return result;
            }
            rung.await;
        }
    }
}

impl TrackState {
    fn insert(&mut self, group: &Arc<GroupShared>) -> Result<(), Error> {
        if let Some(end) = &self.end {
            return Err(end.clone().err().unwrap_or(Error::Cancelled));
        }
        let sequence = group.sequence();
        if self
            .groups
            .get(&sequence)
            .is_some_and(|group| group.failure().is_none())
        {
            return Err(Error::Duplicate);
        }
        self.groups.insert(sequence, group.clone());
        self.gone.remove(sequence..=sequence);
        self.newest = self.newest.max(Some(sequence));
        self.horizon = self.horizon.max(Some(sequence));
        Ok(())
    }

    fn forget(&mut self, gap: Gap) {
        self.horizon = self.horizon.max(Some(*gap.groups.end()));
        self.gone.insert(gap.groups, gap.code);
        if self.gone.len() > MAX_GONE
            && let Some(oldest) = self
                .gone
                .first_range_value()
                .map(|(range, _)| range.clone())
        {
            self.gone.remove(oldest);
        }
    }

    pub(super) fn demand(&self) -> Option<Subscription> {
        subscription::union(self.readers.iter().map(|(_, reader)| reader), self.newest)
    }
}
