//! A reader of a track: a cursor that hands out groups and tells of those that will not come.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::OptionFuture;
use moq_transfork::code::Code;
use moq_transfork::message::GroupOrder;
use tokio::time::{Instant, sleep_until};

use crate::error::Error;
use crate::model::cursor::Cursor;
use crate::model::group::{GroupConsumer, GroupShared};
use crate::model::info::{Gap, TrackInfo};
use crate::model::place::{Beginning, Place};
use crate::model::state::{TrackShared, TrackState};
use crate::model::subscription::{Subscription, effective_expires, effective_order};
use crate::shared::Seat;

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
    began: Instant,
    seat: Seat,
    /// Groups up to here were missing already at the time given.
    waiting: Option<(u64, Instant)>,
    /// News of missing groups not told yet.
    owed: VecDeque<Gap>,
    /// The place in another publisher's track that the reader comes from. Boxed, since few do.
    came_with: Option<Box<Cursor>>,
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
#[derive(Debug)]
pub(crate) enum Ready {
    /// A group, for [`TrackConsumer::take_found`] now or [`TrackConsumer::take`] later.
    Group(Found),
    /// Groups that will not come; this was the only mention.
    Gap(Gap),
    /// Every group that is wanted was handed out or told missing.
    End,
}

/// The group that is best to deliver right now.
#[derive(Debug)]
pub(crate) struct Found(Arc<GroupShared>);

/// What is taken now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Groups up to this one, and what is told after them, have to wait.
    pub(crate) above: Option<u64>,
    /// How long a group is of use after its end once a newer one was handed out. It does not apply
    /// to what had ended before the reader came.
    pub(crate) max_backlog: Option<Duration>,
}

/// What a look has found.
#[derive(Debug)]
pub(crate) enum Step {
    Ready(Result<Ready, Error>),
    /// Nothing, and it is to be repeated at that time if nothing changes before.
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
            began: Instant::now(),
            seat: Seat::default(),
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
        Ok(match self.ready().await? {
            Ready::Group(found) => Some(TrackEvent::Group(self.take_found(found))),
            Ready::Gap(gap) => Some(TrackEvent::Gap(gap)),
            Ready::End => None,
        })
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

    /// Waits until there is something to take or tell. Cancel-safe.
    async fn ready(&mut self) -> Result<Ready, Error> {
        let mut deadline = None;
        loop {
            let mut timer = pin!(OptionFuture::from(deadline.map(sleep_until)));
            let ready = poll_fn(|cx| match self.poll_ready(cx, &Terms::default()) {
                Step::Ready(ready) => Poll::Ready(Some(ready)),
                Step::Wait(None) => Poll::Pending,
                Step::Wait(at) if at == deadline => timer.as_mut().poll(cx).map(|_| None),
                Step::Wait(at) => {
                    deadline = at;
                    Poll::Ready(None)
                }
            });
            if let Some(ready) = ready.await {
                return ready;
            }
        }
    }

    /// Looks for something to take or tell. If there is nothing the task is woken when there may
    /// be; it has to look again by itself at the time returned, if there is one.
    pub(crate) fn poll_ready(&mut self, cx: &Context<'_>, terms: &Terms) -> Step {
        let track = self.track.clone();
        let state = track.state.lock();
        let step = self.look(&state, terms);
        if let Step::Wait(_) = step {
            state.wait(&mut self.seat, cx.waker());
        }
        step
    }

    /// True if nothing has changed in the track since a look found nothing.
    pub(crate) fn is_quiet(&self) -> bool {
        self.track.state.is_quiet(&self.seat)
    }

    /// Takes the group that is best to deliver now, if there still is one.
    pub(crate) fn take(&mut self, terms: &Terms) -> Option<GroupConsumer> {
        let state = self.track.state.lock();
        let group = self.candidate(&state)?;
        let refusal = self.refusal(&state, group, terms);
        let found = refusal.is_none().then(|| Found(group.clone()));
        drop(state);
        found.map(|found| self.take_found(found))
    }

    /// Takes the group that a look has just found.
    pub(crate) fn take_found(&mut self, found: Found) -> GroupConsumer {
        let sequence = found.0.sequence();
        self.settle(sequence..=sequence);
        GroupConsumer::new(found.0)
    }

    /// True if a group above this one could be taken.
    pub(crate) fn waits_above(&self, sequence: u64) -> bool {
        self.candidate(&self.track.state.lock())
            .is_some_and(|candidate| candidate.sequence() > sequence)
    }

    /// What the publisher says of the track, if that is something else than `known`.
    pub(crate) fn new_info(&self, known: &TrackInfo) -> Option<TrackInfo> {
        let state = self.track.state.lock();
        state.info.clone().filter(|info| info != known)
    }

    /// What is still to come of what was asked for, to ask another publisher of the same path.
    pub(crate) fn rest(&self) -> Subscription {
        let cursor = self.came_with.as_deref().unwrap_or(&self.cursor);
        let mut rest = self.subscription.clone();
        rest.min = cursor.first_missing().or(rest.min);
        rest
    }

    /// Goes on in another publisher's track of the same path, from the place this one has come to.
    pub(crate) fn move_to(&mut self, mut track: Self) {
        track.owed = std::mem::take(&mut self.owed);
        let cursor = std::mem::take(&mut self.cursor);
        // A track that was lost before it began has left no place of its own.
        track.came_with = Some(self.came_with.take().unwrap_or_else(|| Box::new(cursor)));
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
            self.cursor = *place;
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

    fn look(&mut self, state: &TrackState, terms: &Terms) -> Step {
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
        if let Some(group) = self.candidate(state) {
            let sequence = group.sequence();
            return match self.refusal(state, group, terms) {
                Some(code) => Step::Ready(Ok(self.gap(sequence..=sequence, code))),
                None if terms.above.is_some_and(|above| sequence <= above) => Step::Wait(None),
                None => Step::Ready(Ok(Ready::Group(Found(group.clone())))),
            };
        }
        if self.cursor.is_complete() {
            return Step::Ready(Ok(Ready::End));
        }
        if let Some((groups, code)) = self.first_gone(state) {
            return Step::Ready(Ok(self.gap(groups, code)));
        }
        self.look_at_holes(state)
    }

    /// Nothing is there to take: what about groups that are missing in between?
    fn look_at_holes(&mut self, state: &TrackState) -> Step {
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
                let now = Instant::now();
                let (until, since) = *self.waiting.get_or_insert((horizon, now));
                let deadline = since + self.track.max_reordering;
                if now < deadline {
                    return Step::Wait(Some(deadline));
                }
                if *hole.start() > until {
                    self.waiting = None;
                    return self.look_at_holes(state);
                }
                let late = *hole.start()..=until.min(*hole.end());
                Step::Ready(Ok(self.gap(late, Code::DROPPED)))
            }
        }
    }

    fn candidate<'a>(&self, state: &'a TrackState) -> Option<&'a Arc<GroupShared>> {
        let asked = self.subscription.order;
        let own = state
            .info
            .as_ref()
            .map_or(GroupOrder::Default, |info| info.order);
        let order = effective_order(asked, own);
        self.cursor.next(&state.groups, order)
    }

    /// Why a group that is there is not to be delivered, if so.
    fn refusal(&self, state: &TrackState, group: &GroupShared, terms: &Terms) -> Option<Code> {
        if let Some(failure) = group.failure() {
            return Some(failure.code());
        }
        let finished_at = group.finished_at()?;
        let own = state.info.as_ref().map(|info| info.expires);
        let expires = effective_expires(self.subscription.expires, own.unwrap_or_default());
        let highest = self.cursor.highest();
        let outrun = highest.is_some_and(|seen| seen > group.sequence());
        let may_wait = !outrun || finished_at < self.began;
        let limits = [
            (!expires.is_zero()).then_some(expires),
            terms.max_backlog.filter(|_| !may_wait),
        ];
        // The clock is asked only if it matters.
        let limit = limits.into_iter().flatten().min()?;
        (finished_at.elapsed() >= limit).then_some(Code::EXPIRED)
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
        self.track.state.leave(&mut self.seat);
        self.track.state.lock().readers.remove(self.reader);
        self.track.demand.notify_waiters();
    }
}
