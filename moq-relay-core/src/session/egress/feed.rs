//! The groups of one subscription on their way: which goes next, on which stream, and which are
//! given up.

mod backlog;

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moq_transfork::message::Subscribe;
use moq_transfork::path::Path;
use moq_transfork::stream::{GroupWriter, SubscribeWriter};
use tokio::time::{Instant, sleep};
use tracing::{Span, info};
use web_transport_trait as wt;

use crate::error::Error;
use crate::model::consumer::{Found, Ready, Step, Terms, TrackConsumer};
use crate::model::group::GroupConsumer;
use crate::model::subscription::Subscription;
use crate::model::track::TrackInfo;
use crate::session::egress::alarm::Alarm;
use crate::session::egress::delivery::{Delivered, Delivery, Progress};
use crate::session::egress::flights::{Flights, Patience, sooner};
use crate::session::egress::lane::Lane;
use crate::session::egress::moves::Moves;
use crate::session::egress::pace::{Orders, Pace, Told};
use crate::session::egress::stir::{Seldom, Stir};
use crate::session::egress::subscribe::{Heard, hear};
use crate::session::egress::teller::Teller;
use crate::session::state::State;
use crate::source::Source;

/// Groups that wait for the peer's acknowledgement only, for each that is still being sent. With a
/// round trip of a second that is one group a millisecond.
const ACKNOWLEDGED_LATER: usize = 16;

/// The groups of one subscription on their way.
///
/// It holds nothing but the reader's cursor and the groups that are being sent right now. All of it
/// is one task, and a frame wakes just what it is for: everything else is asked again, so what is
/// asked has to be cheap, and what would not be waits among `events`.
pub(super) struct Feed<S: wt::Session> {
    state: Arc<State<S>>,
    source: Arc<dyn Source>,
    id: u64,
    path: Path,
    teller: Teller<S>,
    track: TrackConsumer,
    /// The terms of the last look at the track if it found nothing, and when it has to be repeated.
    seen: Option<(Terms, Option<Instant>)>,
    /// The pace, and where the groups on their way learn of it.
    orders: Orders,
    lane: Lane<S>,
    flights: Flights<S>,
    /// The newest group, if it is being sent. As a rule that is the only one; it has no wake-ups of
    /// its own.
    newest: Option<BoxFuture<'static, Progress<S>>>,
    events: Seldom<Event<S>>,
    /// Wakes the task for everything but the newest group.
    stir: Stir<Told>,
    alarm: Alarm,
    /// True while a delivery that was told to give up has not done so yet.
    shedding: bool,
    moves: Moves,
    /// How the subscription will end once nothing is on its way any more.
    ending: Option<Result<(), Error>>,
}

/// Who is fed.
pub(super) struct Subscriber<S: wt::Session> {
    /// Our half of the subscribe stream.
    pub(super) writer: SubscribeWriter<S>,
    /// What it asks for by now, if that is not what it asked the track for.
    pub(super) wish: Option<Subscription>,
    /// What it says next.
    pub(super) hearing: BoxFuture<'static, Heard<S>>,
}

enum Event<S: wt::Session> {
    /// One of the groups that are not the newest was sent or is over.
    Progress(Progress<S>),
    /// A group that was sent is with the peer, or was given up.
    Delivered(Delivered),
    /// The subscriber has said something.
    Heard(Heard<S>),
    /// It is time to try another publisher.
    Move,
    /// This side is shutting down.
    Draining,
}

impl<S: wt::Session> Feed<S> {
    pub(super) fn new(
        state: Arc<State<S>>,
        source: Arc<dyn Source>,
        subscribe: Subscribe,
        track: TrackConsumer,
        info: TrackInfo,
        subscriber: Subscriber<S>,
    ) -> Self {
        let Subscriber {
            writer,
            wish,
            hearing,
        } = subscriber;
        let draining = state.context.draining.clone().cancelled_owned();
        let mut events = Seldom::new();
        events.push(draining.map(|()| Event::Draining).boxed());
        events.push(hearing.map(Event::Heard).boxed());
        let orders = Orders::new(Pace::new(track.subscription().clone(), info));
        let stir = Stir::new(orders.bell());
        let mut feed = Self {
            state,
            source,
            id: subscribe.id,
            path: subscribe.path,
            teller: Teller::new(writer),
            track,
            seen: None,
            orders,
            lane: Lane::new(),
            flights: Flights::new(),
            newest: None,
            events,
            stir,
            alarm: Alarm::default(),
            shedding: false,
            moves: Moves::default(),
            ending: None,
        };
        if let Some(wish) = wish {
            feed.update(wish);
        }
        feed
    }

    /// Goes on by one step. Returns true if a group has begun. It enters the span by itself, unless
    /// there is just a frame to send.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, span: &Span) -> Poll<bool> {
        let newest = self.poll_newest(cx);
        // As a rule a frame of the newest group is what the task was woken for.
        if newest.is_pending() && !self.stir.take(cx) && !self.flights.have_finished() {
            return Poll::Pending;
        }
        let _entered = span.enter();
        let polled = match newest {
            Poll::Ready(progress) => {
                self.progress(progress);
                Poll::Ready(false)
            }
            Poll::Pending => {
                let waker = self.stir.waker();
                self.poll_rest(&mut Context::from_waker(&waker))
            }
        };
        if polled.is_ready() {
            self.stir.again();
        }
        polled
    }

    /// The subscription's id and path, and our half of the subscribe stream, if that can still be
    /// ended.
    pub(super) fn into_parts(self) -> (u64, Path, Option<SubscribeWriter<S>>) {
        (self.id, self.path, self.teller.into_writer())
    }

    /// How the subscription ends, once it is to and nothing is on its way any more, and everything
    /// was told to whoever still listens.
    pub(super) fn end(&mut self) -> Option<Result<(), Error>> {
        self.ending.as_ref()?;
        self.await_acknowledgements(Duration::ZERO, Instant::now());
        let is_over = self.flights.is_empty() && (self.teller.is_quiet() || self.has_left());
        self.ending.take_if(|_| is_over)
    }

    /// Goes on with the newest group, until there is news of it.
    fn poll_newest(&mut self, cx: &mut Context<'_>) -> Poll<Progress<S>> {
        let Some(sending) = &mut self.newest else {
            return Poll::Pending;
        };
        let progress = ready!(sending.as_mut().poll(cx));
        self.newest = None;
        Poll::Ready(progress)
    }

    /// Goes on with everything but the newest group, by one step. Returns true if a group begins.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if let Poll::Ready(event) = self.events.poll(cx) {
            self.follow_event(event);
            return Poll::Ready(false);
        }
        if !self.teller.is_quiet()
            && let Poll::Ready(told) = self.teller.poll(cx)
        {
            if let Err(error) = told {
                self.leave(Err(error));
            }
            return Poll::Ready(false);
        }
        if let Poll::Ready(opened) = self.lane.poll(cx) {
            return Poll::Ready(self.start(opened, None));
        }
        let mut due = self.flights.due(self.patience());
        if self.wants_more() {
            match self.poll_track(cx) {
                Step::Ready(ready) => return Poll::Ready(self.advance(ready, cx)),
                Step::Wait(at) => due = sooner(due, at),
            }
        }
        let overdue = self.lane.overdue(self.state.context.limits.max_backlog);
        self.alarm.poll(cx, sooner(due, overdue)).map(|()| {
            self.look_at_time();
            false
        })
    }

    /// Looks for something to send or tell, unless a look has found nothing and nothing is new.
    fn poll_track(&mut self, cx: &Context<'_>) -> Step {
        let terms = self.terms();
        if let Some((before, at)) = &self.seen
            && *before == terms
            && self.track.is_quiet()
        {
            return Step::Wait(*at);
        }
        let step = self.track.poll_ready(cx, &terms);
        self.seen = match step {
            Step::Wait(at) => Some((terms, at)),
            Step::Ready(_) => None,
        };
        step
    }

    fn progress(&mut self, progress: Progress<S>) {
        match progress {
            Progress::Sent(delivery) => {
                let (patience, now) = (self.patience(), Instant::now());
                self.flights.sent(delivery, now, patience);
                if self.flights.len() >= self.most() {
                    self.await_acknowledgements(Duration::ZERO, now);
                }
            }
            Progress::Ended(delivered) => self.delivered(delivered),
        }
    }

    fn follow_event(&mut self, event: Event<S>) {
        match event {
            Event::Progress(progress) => self.progress(progress),
            Event::Delivered(delivered) => self.delivered(delivered),
            Event::Heard(Heard::Update(update, reader)) => {
                self.events.push(hear(reader).map(Event::Heard).boxed());
                let mut wish = self.orders.pace().subscription.clone();
                wish.update(&update);
                self.update(wish);
            }
            Event::Heard(Heard::Left(outcome)) => self.leave(outcome),
            Event::Move => self.change_publisher(),
            // What is open may end; nothing new begins.
            Event::Draining => self.ending = self.ending.take().or(Some(Err(Error::Shutdown))),
        }
    }

    /// With no room for another group, the oldest that is on its way: only what is newer than that
    /// is of interest.
    fn crowd(&self) -> Option<u64> {
        let max = self.state.context.limits.max_deliveries;
        let room = self.flights.sending() < max && self.flights.len() < self.most();
        if room { None } else { self.flights.oldest() }
    }

    /// How many groups may be on their way, acknowledged or not.
    fn most(&self) -> usize {
        self.state.context.limits.max_deliveries * ACKNOWLEDGED_LATER
    }

    fn terms(&self) -> Terms {
        let max_backlog = self.state.context.limits.max_backlog;
        Terms {
            above: self.crowd(),
            max_backlog: self.is_descending().then_some(max_backlog),
        }
    }

    fn patience(&self) -> Patience {
        Patience::new(&self.orders.pace(), self.state.context.limits.max_backlog)
    }

    fn is_descending(&self) -> bool {
        self.orders.pace().is_descending()
    }

    /// True once the subscriber is gone.
    fn has_left(&self) -> bool {
        self.orders.pace().ended
    }

    /// True if the next group or gap would be dealt with now.
    fn wants_more(&self) -> bool {
        self.ending.is_none()
            && !self.moves.is_planned()
            && !self.lane.is_opening()
            && !self.teller.is_full()
            && (self.may_shed() || self.crowd().is_none())
    }

    /// Does what a look at the track has found. Returns true if a group begins.
    fn advance(&mut self, ready: Result<Ready, Error>, cx: &mut Context<'_>) -> bool {
        match ready {
            Ok(Ready::Group(_)) if self.crowd().is_some() => self.shed(),
            Ok(Ready::Group(found)) => {
                self.follow_info();
                if let Poll::Ready(opened) = self.lane.open(&self.state, cx) {
                    return self.start(opened, Some(found));
                }
            }
            Ok(Ready::Gap(gap)) => self.teller.tell(gap),
            Ok(Ready::End) => self.ending = Some(Ok(())),
            Err(error) if self.moves.heal(&error) => self.plan_move(error),
            Err(error) => self.ending = Some(Err(error)),
        }
        false
    }

    /// Learns what another publisher says of the track.
    fn follow_info(&mut self) {
        let news = self.track.new_info(&self.orders.pace().own);
        if let Some(own) = news {
            self.orders.pace().own = own;
            self.order();
        }
    }

    /// Starts the group that a look has just found, or the one that is best by now; returns false if
    /// there is none.
    fn start(&mut self, opened: Result<GroupWriter<S>, Error>, found: Option<Found>) -> bool {
        let writer = match opened {
            Ok(writer) => writer,
            Err(error) => {
                self.leave(Err(error));
                return false;
            }
        };
        self.settle();
        let Some(group) = self.take(found) else {
            self.state.return_unused(writer);
            return false;
        };
        self.moves.succeed();
        let (patience, now) = (self.patience(), Instant::now());
        self.flights.begin(group.clone(), now, patience);
        let (state, orders) = (self.state.clone(), self.orders.clone());
        let sending = Delivery::new(state, writer, group, orders, now).send(self.id);
        if let Some(outrun) = self.newest.replace(sending) {
            self.events.push(outrun.map(Event::Progress).boxed());
        }
        true
    }

    fn take(&mut self, found: Option<Found>) -> Option<GroupConsumer> {
        match (&self.ending, found) {
            (Some(_), _) => None,
            (None, Some(found)) => Some(self.track.take_found(found)),
            (None, None) => self.track.take(&self.terms()),
        }
    }

    /// The subscriber asks for something else from now on.
    fn update(&mut self, wish: Subscription) {
        self.track.update(&wish);
        self.orders.pace().subscription = wish;
        self.order();
        self.look_at_time();
    }

    /// Nothing is of use to a subscriber that is gone.
    fn leave(&mut self, outcome: Result<(), Error>) {
        self.orders.pace().ended = true;
        self.ending = Some(outcome.and(Err(Error::Cancelled)));
        self.order();
    }

    /// The publisher is gone.
    fn plan_move(&mut self, error: Error) {
        match self.moves.plan(error) {
            Ok(Duration::ZERO) => self.change_publisher(),
            Ok(pause) => self.events.push(sleep(pause).map(|()| Event::Move).boxed()),
            Err(error) => self.ending = Some(Err(error)),
        }
    }

    /// Goes on with another publisher of the same path, or ends.
    fn change_publisher(&mut self) {
        let Some(error) = self.moves.begin().filter(|_| self.ending.is_none()) else {
            return;
        };
        match self.source.track(&self.path, self.track.rest()) {
            Ok(track) => {
                let (id, path) = (self.id, &self.path);
                info!(subscription = id, %path, "subscription moves to another publisher");
                self.track.move_to(track);
            }
            Err(_nobody) => self.ending = Some(Err(error)),
        }
    }
}
