//! The groups of one subscription on their way: which goes next, on which stream, and which are
//! given up.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use moq_transfork::message::Subscribe;
use moq_transfork::path::Path;
use moq_transfork::stream::{GroupWriter, SubscribeWriter};
use tokio::sync::{oneshot, watch};
use tracing::{debug, info};
use web_transport_trait as wt;

use crate::error::Error;
use crate::model::consumer::{Ready, TrackConsumer};
use crate::model::group::GroupConsumer;
use crate::model::subscription::Subscription;
use crate::model::track::{Gap, TrackInfo};
use crate::session::egress::delivery::{Delivered, Delivery, Progress};
use crate::session::egress::lane::Lane;
use crate::session::egress::pace::Pace;
use crate::session::egress::teller::Teller;
use crate::session::state::State;
use crate::source::Source;

/// Groups that wait for the peer's acknowledgement only, for each that is still being sent. With a
/// round trip of a second that is one group a millisecond.
const ACKNOWLEDGED_LATER: usize = 16;

/// The groups of one subscription on their way.
///
/// It holds nothing but the reader's cursor and the groups that are being sent right now.
pub(super) struct Feed<S: wt::Session> {
    state: Arc<State<S>>,
    source: Arc<dyn Source>,
    id: u64,
    path: Path,
    teller: Teller<S>,
    track: TrackConsumer,
    pace: watch::Sender<Pace>,
    lane: Lane<S>,
    /// Everything that is waited for on its own: only what was woken is looked at.
    events: FuturesUnordered<BoxFuture<'static, Event>>,
    /// Groups that are on their way, until the peer has them.
    on_their_way: BTreeSet<u64>,
    /// How many of them the transport does not have whole yet.
    sending: usize,
    /// The newest group that was started, and what its delivery is told by when that changes.
    newest: Option<(u64, oneshot::Sender<()>)>,
    /// True while a delivery that was told to give up has not done so yet.
    shedding: bool,
    /// How the subscription will end once nothing is on its way any more.
    ending: Option<Result<(), Error>>,
}

enum Event {
    /// How far a group has come that was being sent.
    Progress(Progress),
    /// A group that was sent is with the peer, or was given up.
    Delivered(Delivered),
    /// The subscriber is gone.
    Left(Result<(), Error>),
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
        writer: SubscribeWriter<S>,
    ) -> Self {
        let pace = Pace::new(track.subscription().clone(), info);
        Self {
            state,
            source,
            id: subscribe.id,
            path: subscribe.path,
            teller: Teller::new(writer),
            track,
            pace: watch::Sender::new(pace),
            lane: Lane::Idle,
            events: FuturesUnordered::new(),
            on_their_way: BTreeSet::new(),
            sending: 0,
            newest: None,
            shedding: false,
            ending: None,
        }
    }

    /// Feeds the subscriber until the track ends, the subscriber has `left`, or this side drains.
    /// Returns how it ended and the subscribe stream, if that can still be ended.
    pub(super) async fn run(
        mut self,
        left: BoxFuture<'static, Result<(), Error>>,
        mut subscription: watch::Receiver<Subscription>,
    ) -> (Result<(), Error>, Option<SubscribeWriter<S>>) {
        let draining = self.state.context.draining.clone().cancelled_owned();
        self.events.push(draining.map(|()| Event::Draining).boxed());
        self.events.push(left.map(Event::Left).boxed());
        loop {
            if self.is_over()
                && let Some(ending) = self.ending.take()
            {
                if let Some(unused) = self.lane.take() {
                    self.state.return_unused(unused);
                }
                return (ending, self.teller.into_writer());
            }
            let above = self.crowd();
            let overdue = self.lane.overdue(self.state.context.limits.max_backlog);
            tokio::select! {
                biased;
                Some(event) = self.events.next() => self.follow_event(event),
                Ok(()) = subscription.changed() => self.update(&subscription.borrow_and_update()),
                told = self.teller.told(), if !self.teller.is_quiet() => {
                    if let Err(error) = told {
                        self.leave(Err(error));
                    }
                }
                opened = self.lane.opened(), if self.lane.is_opening() => match opened {
                    Ok(()) => self.send_next(),
                    Err(error) => self.leave(Err(error)),
                },
                // No stream has come free in all that time.
                () = overdue, if self.lane.is_opening() => self.shed_for_newer(),
                ready = self.track.ready(above), if self.wants_more() => self.advance(ready, above),
            }
        }
    }

    /// True if nothing is on its way any more and everything was told to whoever still listens.
    fn is_over(&self) -> bool {
        self.on_their_way.is_empty() && (self.teller.is_quiet() || self.pace.borrow().ended)
    }

    fn follow_event(&mut self, event: Event) {
        match event {
            Event::Progress(Progress::Sent(rest)) => {
                self.sending -= 1;
                self.events.push(rest.map(Event::Delivered).boxed());
            }
            Event::Progress(Progress::Ended(delivered)) => {
                self.sending -= 1;
                self.delivered(delivered);
            }
            Event::Delivered(delivered) => self.delivered(delivered),
            Event::Left(outcome) => self.leave(outcome),
            // What is open may end; nothing new begins.
            Event::Draining => self.ending = self.ending.take().or(Some(Err(Error::Shutdown))),
        }
    }

    /// With no room for another group, the oldest that is on its way: only what is newer than that
    /// is of interest.
    fn crowd(&self) -> Option<u64> {
        let max = self.state.context.limits.max_deliveries;
        let room = self.sending < max && self.on_their_way.len() < max * ACKNOWLEDGED_LATER;
        self.on_their_way.first().copied().filter(|_| !room)
    }

    /// True if the next group or gap would be dealt with now.
    fn wants_more(&self) -> bool {
        let may_shed = self.is_descending() && !self.shedding;
        self.ending.is_none()
            && !self.lane.is_opening()
            && !self.teller.is_full()
            && (may_shed || self.crowd().is_none())
    }

    fn is_descending(&self) -> bool {
        self.pace.borrow().is_descending()
    }

    fn advance(&mut self, ready: Result<Ready, Error>, above: Option<u64>) {
        match ready {
            Ok(Ready::Group) if above.is_some() => self.shed(),
            Ok(Ready::Group) => {
                self.follow_info();
                self.lane.open(&self.state);
                self.send_next();
            }
            Ok(Ready::Gap(gap)) => self.teller.tell(gap),
            Ok(Ready::End) => self.ending = Some(Ok(())),
            Err(error) if error.is_loss() => self.change_publisher(error),
            Err(error) => self.ending = Some(Err(error)),
        }
    }

    /// Learns what another publisher says of the track.
    fn follow_info(&self) {
        let Some(own) = self.track.known_info() else {
            return;
        };
        self.pace.send_if_modified(|pace| {
            let other = own != pace.own;
            pace.own = own;
            other
        });
    }

    /// Starts the group that is best by now, if the stream for it is open.
    fn send_next(&mut self) {
        let Some(writer) = self.lane.take() else {
            return;
        };
        let group = if self.ending.is_none() {
            self.track.take()
        } else {
            None
        };
        match group {
            Some(group) => self.start(group, writer),
            None => self.state.return_unused(writer),
        }
    }

    fn start(&mut self, group: GroupConsumer, writer: GroupWriter<S>) {
        let sequence = group.sequence();
        self.on_their_way.insert(sequence);
        let (is_newest, outrun) = oneshot::channel();
        if self
            .newest
            .as_ref()
            .is_none_or(|(newest, _)| *newest < sequence)
        {
            self.newest = Some((sequence, is_newest));
        }
        let delivery = Delivery::new(self.state.clone(), writer, group, self.pace.subscribe());
        self.sending += 1;
        let sent = delivery.run(self.id, outrun).map(Event::Progress);
        self.events.push(sent.boxed());
    }

    /// Makes the oldest group on its way give up, so that a newer one can go.
    fn shed(&mut self) {
        if let Some(oldest) = self.on_their_way.first() {
            let floor = oldest + 1;
            self.shedding = true;
            self.pace.send_modify(|pace| pace.floor = floor);
        }
    }

    /// Makes way if a newer group than those on their way waits for a stream.
    fn shed_for_newer(&mut self) {
        self.lane.wait_again();
        let oldest = self.on_their_way.first();
        let may_shed = self.is_descending() && !self.shedding;
        if may_shed && oldest.is_some_and(|oldest| self.track.waits_above(*oldest)) {
            self.shed();
        }
    }

    fn delivered(&mut self, delivered: Delivered) {
        let sequence = delivered.sequence;
        self.on_their_way.remove(&sequence);
        self.shedding = false;
        let Err(error) = delivered.outcome else {
            return;
        };
        debug!(group = sequence, %error, "group given up");
        if !self.pace.borrow().ended {
            self.teller.tell(Gap {
                groups: sequence..=sequence,
                code: error.code(),
            });
        }
    }

    fn update(&mut self, subscription: &Subscription) {
        self.track.update(subscription);
        self.pace
            .send_modify(|pace| pace.subscription.clone_from(subscription));
    }

    /// Nothing is of use to a subscriber that is gone.
    fn leave(&mut self, outcome: Result<(), Error>) {
        self.pace.send_modify(|pace| pace.ended = true);
        self.ending = Some(outcome.and(Err(Error::Cancelled)));
    }

    /// The publisher is gone: goes on with another one of the same path, or ends.
    fn change_publisher(&mut self, error: Error) {
        match self.source.track(&self.path, self.track.rest()) {
            Ok(track) => {
                info!("subscription moves to another publisher");
                self.track.move_to(track);
            }
            Err(_nobody) => self.ending = Some(Err(error)),
        }
    }
}
