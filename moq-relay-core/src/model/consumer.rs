//! A reader of a track: a cursor that hands out groups and tells of those that will not come.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;

use moq_transfork::code::Code;
use moq_transfork::message::GroupOrder;
use tokio::time::Instant;

use crate::error::Error;
use crate::model::cursor::Cursor;
use crate::model::group::{GroupConsumer, GroupShared};
use crate::model::info::{Gap, TrackInfo};
use crate::model::place::{Beginning, Place};
use crate::model::state::{TrackShared, TrackState};
use crate::model::subscription::{Subscription, effective_expires, effective_order};

/// How far a publisher may be behind another one of the same path for readers to move to it.
/// Publishers that send the same content differ by a group or two.
const MAX_REWIND: u64 = 2;

/// Reads one track.
///
/// Without a first group in the subscription it starts at the newest group there is, from that
/// group's first frame, and then goes on live.
#[derive(Debug)]
pub struct TrackConsumer {
    track: Arc<TrackShared>,
    reader: usize,
    beginning: Beginning,
    subscription: Subscription,
    cursor: Cursor,
    /// Groups up to here were missing already at the time given.
    waiting: Option<(u64, Instant)>,
    /// News of missing groups not told yet.
    owed: VecDeque<Gap>,
    /// The place in another publisher's track that the reader comes from.
    came_with: Option<Cursor>,
}

/// What a track has for a reader.
#[derive(Debug)]
pub enum TrackEvent {
    /// A group; more of it may still come.
    Group(GroupConsumer),
    /// Groups that will not come.
    Gap(Gap),
}

/// What a reader would get next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// [`TrackConsumer::take`] has a group.
    Group,
    /// Groups that will not come; this was the only mention.
    Gap(Gap),
    /// Every group that is wanted was handed out or told missing.
    End,
}

enum Step {
    Ready(Result<Ready, Error>),
    Wait(Option<Instant>),
}

impl TrackConsumer {
    pub(super) fn new(track: Arc<TrackShared>, subscription: Subscription) -> Result<Self, Error> {
        let place = {
            let mut state = track.state.lock();
            if let Some(Err(error)) = &state.end {
                return Err(error.clone());
            }
            Place::take(&mut state, &subscription)
        };
        Ok(Self::registered(track, place, subscription))
    }

    pub(super) fn live(track: Arc<TrackShared>, subscription: Subscription) -> Option<Self> {
        let place = {
            let mut state = track.state.lock();
            if state.end.is_some() {
                return None;
            }
            Place::take(&mut state, &subscription)
        };
        Some(Self::registered(track, place, subscription))
    }

    fn registered(track: Arc<TrackShared>, place: Place, subscription: Subscription) -> Self {
        track.demand.notify_waiters();
        let mut cursor = Cursor::default();
        if let Some(min) = subscription.min {
            cursor.begin(min);
        }
        cursor.narrow(None, subscription.max);
        Self {
            track,
            reader: place.reader,
            beginning: place.beginning,
            subscription,
            cursor,
            waiting: None,
            owed: VecDeque::new(),
            came_with: None,
        }
    }

    /// Waits for what the publisher says of the track. Cancel-safe.
    ///
    /// # Errors
    /// The error that the track was ended with.
    pub async fn info(&self) -> Result<TrackInfo, Error> {
        self.track
            .state
            .wait(|state| match (&state.info, &state.end) {
                (Some(info), _) => Some(Ok(info.clone())),
                (None, Some(end)) => Some(Err(end.clone().err().unwrap_or(Error::NotFound))),
                (None, None) => None,
            })
            .await
    }

    /// The newest group that the publisher is known to have.
    pub fn latest(&self) -> Option<u64> {
        self.track.state.lock().newest
    }

    /// Waits for the next group, or for news of groups that will not come; `None` at the end of
    /// the track or range. Cancel-safe.
    ///
    /// # Errors
    /// The error that the track was ended with, after its whole groups.
    pub async fn next(&mut self) -> Result<Option<TrackEvent>, Error> {
        loop {
            match self.ready(None).await? {
                Ready::Gap(gap) => return Ok(Some(TrackEvent::Gap(gap))),
                Ready::End => return Ok(None),
                Ready::Group => {
                    if let Some(group) = self.take() {
                        return Ok(Some(TrackEvent::Group(group)));
                    }
                }
            }
        }
    }

    /// Waits for the next group, passing over those that will not come; `None` at the end of the
    /// track or range. Cancel-safe.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn next_group(&mut self) -> Result<Option<GroupConsumer>, Error> {
        loop {
            match self.next().await? {
                Some(TrackEvent::Group(group)) => return Ok(Some(group)),
                Some(TrackEvent::Gap(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// Changes what is asked of the track; the range only ever shrinks.
    pub fn update(&mut self, update: &Subscription) {
        self.subscription.update(update);
        self.cursor
            .narrow(self.subscription.min, self.subscription.max);
        if let Some(reader) = self.track.state.lock().readers.get_mut(self.reader) {
            reader.clone_from(&self.subscription);
        }
        self.track.demand.notify_waiters();
    }

    /// What is asked of the track.
    pub fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// Waits until there is something to take or tell. Groups up to `above`, and what is told after
    /// them, have to wait. Cancel-safe.
    pub(crate) async fn ready(&mut self, above: Option<u64>) -> Result<Ready, Error> {
        let track = self.track.clone();
        loop {
            // Made before the look: a change between the two is not missed.
            let rung = track.state.rung();
            let step = self.look(&track.state.lock(), above, Instant::now());
            match step {
                Step::Ready(ready) => return ready,
                Step::Wait(None) => rung.await,
                Step::Wait(Some(deadline)) => {
                    let _either = tokio::time::timeout_at(deadline, rung).await;
                }
            }
        }
    }

    /// Takes the group that is best to deliver now, if there still is one.
    pub(crate) fn take(&mut self) -> Option<GroupConsumer> {
        let state = self.track.state.lock();
        let sequence = self.candidate(&state)?;
        let group = state.groups.get(&sequence)?.clone();
        drop(state);
        self.settle(sequence..=sequence);
        Some(GroupConsumer::new(group))
    }

    /// True if a group above this one could be taken.
    pub(crate) fn waits_above(&self, sequence: u64) -> bool {
        self.candidate(&self.track.state.lock())
            .is_some_and(|candidate| candidate > sequence)
    }

    /// What the publisher says of the track, if it has.
    pub(crate) fn known_info(&self) -> Option<TrackInfo> {
        self.track.state.lock().info.clone()
    }

    /// What is still to come of what was asked for, to ask another publisher of the same path.
    pub(crate) fn rest(&self) -> Subscription {
        let cursor = self.came_with.as_ref().unwrap_or(&self.cursor);
        let mut rest = self.subscription.clone();
        rest.min = cursor.first_missing().or(rest.min);
        rest
    }

    /// Goes on in another publisher's track of the same path, from the place this one has come to.
    pub(crate) fn move_to(&mut self, mut track: Self) {
        track.owed = std::mem::take(&mut self.owed);
        let cursor = std::mem::take(&mut self.cursor);
        // A track that was lost before it began has left no place of its own.
        track.came_with = Some(self.came_with.take().unwrap_or(cursor));
        *self = track;
    }

    /// Takes up the place a reader came with, once it is known how far the new publisher is.
    ///
    /// # Errors
    /// [`Error::Restarted`] if it numbers its groups from anew: what it sends next would look
    /// like the past.
    fn settle_in(&mut self, state: &TrackState) -> Result<(), Error> {
        let Some(latest) = state.newest.filter(|_| state.info.is_some()) else {
            return Ok(());
        };
        let Some(place) = self.came_with.take() else {
            return Ok(());
        };
        if place
            .highest()
            .is_some_and(|seen| latest + MAX_REWIND < seen)
        {
            return Err(Error::Restarted);
        }
        if place.start().is_some() {
            self.cursor = place;
            // With a first group in the subscription the publisher tells itself what it lacks.
            if self.subscription.min.is_none() {
                self.give_up_before(state, latest);
            }
        }
        Ok(())
    }

    /// Tells of groups that were lost between two publishers: the new one starts at its latest.
    fn give_up_before(&mut self, state: &TrackState, latest: u64) {
        let Some(horizon) = latest.checked_sub(1) else {
            return;
        };
        let is_lost = |run: &RangeInclusive<u64>| state.groups.range(run.clone()).next().is_none();
        let lost: Vec<_> = self.cursor.missing(horizon).filter(is_lost).collect();
        for groups in lost {
            self.settle(groups.clone());
            self.owed.push_back(Gap {
                groups,
                code: Code::DROPPED,
            });
        }
    }

    fn settle(&mut self, groups: RangeInclusive<u64>) {
        if let Some(hole) = self.cursor.settle(groups) {
            self.owed.push_back(Gap {
                groups: hole,
                code: Code::DROPPED,
            });
        }
    }

    fn look(&mut self, state: &TrackState, above: Option<u64>, now: Instant) -> Step {
        if let Some(gap) = self.owed.pop_front() {
            return Step::Ready(Ok(Ready::Gap(gap)));
        }
        if self.came_with.is_some() {
            if let Err(error) = self.settle_in(state) {
                return Step::Ready(Err(error));
            }
            if let Some(gap) = self.owed.pop_front() {
                return Step::Ready(Ok(Ready::Gap(gap)));
            }
        }
        if self.came_with.is_some() || self.cursor.start().is_none() {
            match self
                .beginning
                .find(state)
                .filter(|_| self.came_with.is_none())
            {
                Some(start) => self.cursor.begin(start),
                None => {
                    return match &state.end {
                        None => Step::Wait(None),
                        Some(Ok(())) => Step::Ready(Ok(Ready::End)),
                        Some(Err(error)) => Step::Ready(Err(error.clone())),
                    };
                }
            }
        }
        if let Some(sequence) = self.candidate(state) {
            return match self.refusal(state, sequence, now) {
                Some(code) => Step::Ready(Ok(self.gap(sequence..=sequence, code))),
                None if above.is_some_and(|above| sequence <= above) => Step::Wait(None),
                None => Step::Ready(Ok(Ready::Group)),
            };
        }
        if self.cursor.is_complete() {
            return Step::Ready(Ok(Ready::End));
        }
        if let Some((groups, code)) = self.first_gone(state) {
            return Step::Ready(Ok(self.gap(groups, code)));
        }
        self.look_at_holes(state, now)
    }

    /// Nothing is there to take: what about groups that are missing in between?
    fn look_at_holes(&mut self, state: &TrackState, now: Instant) -> Step {
        let horizon = state.horizon.unwrap_or_default();
        let hole = state
            .horizon
            .and_then(|horizon| self.cursor.missing(horizon).next());
        match (&state.end, hole) {
            (Some(Ok(())), Some(hole)) => Step::Ready(Ok(self.gap(hole, Code::DROPPED))),
            (Some(Ok(())), None) => Step::Ready(Ok(Ready::End)),
            (Some(Err(error)), _) => Step::Ready(Err(error.clone())),
            (None, None) => {
                self.waiting = None;
                Step::Wait(None)
            }
            (None, Some(hole)) => {
                let (until, since) = *self.waiting.get_or_insert((horizon, now));
                let deadline = since + self.track.max_reordering;
                if now < deadline {
                    return Step::Wait(Some(deadline));
                }
                if *hole.start() > until {
                    self.waiting = None;
                    return self.look_at_holes(state, now);
                }
                let late = *hole.start()..=until.min(*hole.end());
                Step::Ready(Ok(self.gap(late, Code::DROPPED)))
            }
        }
    }

    fn candidate(&self, state: &TrackState) -> Option<u64> {
        let asked = self.subscription.order;
        let own = state
            .info
            .as_ref()
            .map_or(GroupOrder::Default, |info| info.order);
        self.cursor.next(&state.groups, effective_order(asked, own))
    }

    /// Why a group that is there is not to be delivered, if so.
    fn refusal(&self, state: &TrackState, sequence: u64, now: Instant) -> Option<Code> {
        let group: &Arc<GroupShared> = state.groups.get(&sequence)?;
        if let Some(failure) = group.failure() {
            return Some(failure.code());
        }
        let own = state.info.as_ref().map(|info| info.expires);
        let expires = effective_expires(self.subscription.expires, own.unwrap_or_default());
        let age = now.saturating_duration_since(group.finished_at()?);
        (!expires.is_zero() && age >= expires).then_some(Code::EXPIRED)
    }

    fn first_gone(&self, state: &TrackState) -> Option<(RangeInclusive<u64>, Code)> {
        self.cursor.missing(state.horizon?).find_map(|missing| {
            let (gone, code) = state.gone.overlapping(missing.clone()).next()?;
            let start = *gone.start().max(missing.start());
            let end = *gone.end().min(missing.end());
            Some((start..=end, *code))
        })
    }

    fn gap(&mut self, groups: RangeInclusive<u64>, code: Code) -> Ready {
        self.settle(groups.clone());
        Ready::Gap(Gap { groups, code })
    }
}

impl Drop for TrackConsumer {
    fn drop(&mut self) {
        self.track.state.lock().readers.remove(self.reader);
        self.track.demand.notify_waiters();
    }
}
