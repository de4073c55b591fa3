//! What a track's producer and its readers share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use moq_transfork::code::Code;
use moq_transfork::path::Path;
use rangemap::RangeInclusiveMap;
use slab::Slab;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::Error;
use crate::model::cache::Account;
use crate::model::group::GroupShared;
use crate::model::info::{Gap, TrackInfo};
use crate::model::subscription::{self, Subscription};
use crate::shared::Shared;

/// Runs of missing groups that a track remembers for readers to come. Above that the oldest is
/// forgotten, and readers learn of it when the groups stay missing.
const MAX_GONE: usize = 64;

#[derive(Debug)]
pub(super) struct TrackShared {
    pub(super) path: Path,
    pub(super) account: Arc<Account>,
    pub(super) max_age: Duration,
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
    /// The newest group when there was one for the first time.
    pub(super) first: Option<u64>,
    /// The highest group that is known to exist or to be gone.
    pub(super) horizon: Option<u64>,
    pub(super) end: Option<Result<(), Error>>,
    pub(super) readers: Slab<Subscription>,
    /// True once the readers were told to read from another publisher.
    pub(super) superseded: bool,
}

/// Which groups are looked at for their age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// The oldest, up to the first that stays; cheap enough for every new group.
    Oldest,
    All,
}

impl TrackShared {
    /// How long a finished group stays: as the cache or the publisher allows.
    pub(super) fn max_age(&self, state: &TrackState) -> Duration {
        let expires = state.expires();
        expires.map_or(self.max_age, |expires| expires.min(self.max_age))
    }

    /// Waits until `check` returns something, looking again when the demand may have changed.
    pub(super) async fn wait_for_demand<R>(&self, check: impl Fn(&TrackState) -> Option<R>) -> R {
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
    pub(super) fn insert(&mut self, group: &Arc<GroupShared>) -> Result<(), Error> {
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
        self.reach(Some(sequence));
        self.horizon = self.horizon.max(Some(sequence));
        Ok(())
    }

    /// Notes that the publisher has come as far as this group.
    pub(super) fn reach(&mut self, newest: Option<u64>) {
        self.newest = self.newest.max(newest);
        self.first = self.first.or(self.newest);
    }

    pub(super) fn forget(&mut self, gap: Gap) {
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

    /// Gives up the groups that are older than the publisher allows, or than `max_age`, and forgets
    /// those that were cut short. The newest stays as long as its publisher allows.
    pub(super) fn expire(&mut self, now: Instant, max_age: Duration, extent: Extent) {
        let expires = self.expires();
        let mut gone = Vec::new();
        for (sequence, group) in &self.groups {
            let age = group
                .finished_at()
                .map(|at| now.saturating_duration_since(at));
            let is_newest = self.newest == Some(*sequence);
            let code = if age.is_some_and(|age| expires.is_some_and(|expires| age >= expires)) {
                Some(Code::EXPIRED)
            } else if is_newest {
                None
            } else if let Some(failure) = group.failure() {
                Some(failure.code())
            } else {
                age.filter(|age| *age >= max_age).map(|_| Code::EVICTED)
            };
            match code {
                Some(code) => gone.push((*sequence, code)),
                // Open groups tell nothing of those that follow.
                None if age.is_some() && extent == Extent::Oldest => break,
                None => {}
            }
        }
        for (sequence, code) in gone {
            self.groups.remove(&sequence);
            self.forget(Gap {
                groups: sequence..=sequence,
                code,
            });
        }
    }

    /// How long the publisher lets a finished group stay, if it says so.
    pub(super) fn expires(&self) -> Option<Duration> {
        let expires = self.info.as_ref().map(|info| info.expires);
        expires.filter(|expires| !expires.is_zero())
    }

    pub(super) fn demand(&self) -> Option<Subscription> {
        subscription::union(self.readers.iter().map(|(_, reader)| reader), self.newest)
    }
}
