//! The groups of one subscription on their way: which goes next, on which stream, and which are
//! given up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use moq_transfork::message::{GroupOrder, Subscribe, SubscribeGap};
use moq_transfork::path::Path;
use moq_transfork::stream::{GroupWriter, SubscribeWriter};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, info};
use web_transport_trait as wt;

use crate::error::Error;
use crate::model::consumer::{Ready, TrackConsumer};
use crate::model::group::GroupConsumer;
use crate::model::subscription::{Subscription, effective_order};
use crate::model::track::{Gap, TrackInfo};
use crate::session::egress::delivery::{Delivered, Pace, deliver};
use crate::session::egress::lane::Lane;
use crate::session::state::State;
use crate::source::Source;

/// Publishers that are tried one after the other before a subscription ends.
const MAX_MOVES: u32 = 5;

/// How long the third publisher is waited for; every further one twice as long.
const MOVE_PAUSE: Duration = Duration::from_millis(100);

/// The groups of one subscription on their way.
///
/// It holds nothing but the reader's cursor and the groups that are being sent right now.
pub(super) struct Feed<'a, S: wt::Session> {
    state: Arc<State<S>>,
    source: Arc<dyn Source>,
    id: u64,
    path: Path,
    writer: &'a mut SubscribeWriter<S>,
    track: TrackConsumer,
    own_order: GroupOrder,
    pace: watch::Sender<Pace>,
    lane: Lane<S>,
    /// Everything that is waited for on its own: only what was woken is looked at.
    events: FuturesUnordered<BoxFuture<'static, Event>>,
    on_their_way: BTreeSet<u64>,
    /// True while a delivery that was told to give up has not done so yet.
    shedding: bool,
    /// Publishers that were tried since a group last came.
    moves: u32,
    /// How the last one was lost, while the next one has to wait.
    lost: Option<Error>,
    /// How the subscription will end once nothing is on its way any more.
    ending: Option<Result<(), Error>>,
}

enum Event {
    /// A group has reached its end, or was given up.
    Delivered(Delivered),
    /// The subscriber is gone.
    Left(Result<(), Error>),
    /// It is time to try another publisher.
    Move,
    /// This side is shutting down.
    Draining,
}

impl<'a, S: wt::Session> Feed<'a, S> {
    pub(super) fn new(
        state: Arc<State<S>>,
        source: Arc<dyn Source>,
        subscribe: Subscribe,
        track: TrackConsumer,
        info: TrackInfo,
        writer: &'a mut SubscribeWriter<S>,
    ) -> Self {
        let pace = Pace {
            subscription: track.subscription().clone(),
            order: effective_order(track.subscription().order, info.order),
            newest: 0,
            floor: 0,
            ended: false,
        };
        Self {
            state,
            source,
            id: subscribe.id,
            path: subscribe.path,
            writer,
            own_order: info.order,
            track,
            pace: watch::Sender::new(pace),
            lane: Lane::Idle,
            events: FuturesUnordered::new(),
            on_their_way: BTreeSet::new(),
            shedding: false,
            moves: 0,
            lost: None,
            ending: None,
        }
    }

    /// Feeds the subscriber until the track ends, the subscriber has `left`, or this side drains.
    pub(super) async fn run(
        mut self,
        left: BoxFuture<'static, Result<(), Error>>,
        mut subscription: watch::Receiver<Subscription>,
    ) -> Result<(), Error> {
        let draining = self.state.context.draining.clone().cancelled_owned();
        self.events.push(draining.map(|()| Event::Draining).boxed());
        self.events.push(left.map(Event::Left).boxed());
        loop {
            if self.on_their_way.is_empty()
                && let Some(ending) = self.ending.take()
            {
                if let Some(unused) = self.lane.take() {
                    self.state.return_unused(unused);
                }
                return ending;
            }
            tokio::select! {
                biased;
                Some(event) = self.events.next() => match event {
                    Event::Delivered(delivered) => self.delivered(delivered).await?,
                    Event::Left(outcome) => self.leave(outcome),
                    Event::Move => self.change_publisher(),
                    // What is open may end; nothing new begins.
                    Event::Draining => self.ending = self.ending.take().or(Some(Err(Error::Shutdown))),
                },
                Ok(()) = subscription.changed() => self.update(&subscription.borrow_and_update()),
                opened = self.lane.opened(), if self.lane.is_opening() => {
                    opened?;
                    self.send_next();
                }
                ready = self.track.ready(), if self.wants_more() => self.advance(ready).await?,
            }
        }
    }

    /// True if the next group or gap would be dealt with now.
    fn wants_more(&self) -> bool {
        let descending = self.pace.borrow().order != GroupOrder::Ascending;
        let room = self.on_their_way.len() < self.state.context.limits.max_deliveries;
        let may = self.ending.is_none() && self.lost.is_none() && !self.lane.is_opening();
        may && (room || (descending && !self.shedding))
    }

    async fn advance(&mut self, ready: Result<Ready, Error>) -> Result<(), Error> {
        match ready {
            Ok(Ready::Group)
                if self.on_their_way.len() >= self.state.context.limits.max_deliveries =>
            {
                self.shed();
            }
            Ok(Ready::Group) => {
                self.lane.open(&self.state);
                self.send_next();
            }
            Ok(Ready::Gap(gap)) => self.tell(gap).await?,
            Ok(Ready::End) => self.ending = Some(Ok(())),
            Err(error) if error.is_loss() || (self.moves > 0 && error.is_absence()) => {
                self.plan_move(error);
            }
            Err(error) => self.ending = Some(Err(error)),
        }
        Ok(())
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
            None if self.ending.is_some() => self.state.return_unused(writer),
            None => self.lane.put(writer),
        }
    }

    fn start(&mut self, group: GroupConsumer, writer: GroupWriter<S>) {
        let sequence = group.sequence();
        self.moves = 0;
        self.pace.send_if_modified(|pace| {
            let newer = sequence > pace.newest;
            pace.newest = pace.newest.max(sequence);
            newer
        });
        self.on_their_way.insert(sequence);
        let pace = self.pace.subscribe();
        let delivery = deliver(self.state.clone(), self.id, writer, group, pace);
        self.events.push(delivery.map(Event::Delivered).boxed());
    }

    /// Makes the oldest group on its way give up, so that a newer one can go.
    fn shed(&mut self) {
        if let Some(oldest) = self.on_their_way.first() {
            let floor = oldest + 1;
            self.shedding = true;
            self.pace.send_modify(|pace| pace.floor = floor);
        }
    }

    async fn delivered(&mut self, delivered: Delivered) -> Result<(), Error> {
        let sequence = delivered.sequence;
        self.on_their_way.remove(&sequence);
        self.shedding = false;
        let Err(error) = delivered.outcome else {
            return Ok(());
        };
        debug!(group = sequence, %error, "group given up");
        if self.pace.borrow().ended {
            return Ok(());
        }
        self.tell(Gap {
            groups: sequence..=sequence,
            code: error.code(),
        })
        .await
    }

    async fn tell(&mut self, gap: Gap) -> Result<(), Error> {
        let start = *gap.groups.start();
        let count = gap.groups.end() - start;
        self.writer
            .gap(&SubscribeGap {
                start,
                count,
                code: gap.code,
            })
            .await?;
        Ok(())
    }

    fn update(&mut self, subscription: &Subscription) {
        self.track.update(subscription);
        let order = effective_order(subscription.order, self.own_order);
        self.pace.send_modify(|pace| {
            pace.order = order;
            pace.subscription.clone_from(subscription);
        });
    }

    /// Nothing is of use to a subscriber that is gone.
    fn leave(&mut self, outcome: Result<(), Error>) {
        self.pace.send_modify(|pace| pace.ended = true);
        self.ending = Some(outcome.and(Err(Error::Cancelled)));
    }

    /// The publisher is gone: another one is tried at once, and others after some time. What is
    /// said to be published may be gone as well, and the news of it under way.
    fn plan_move(&mut self, error: Error) {
        if self.moves == MAX_MOVES {
            self.ending = Some(Err(error));
            return;
        }
        self.lost = Some(error);
        if self.moves == 0 {
            self.change_publisher();
        } else {
            let pause = MOVE_PAUSE * 2_u32.pow(self.moves - 1);
            self.events.push(sleep(pause).map(|()| Event::Move).boxed());
        }
    }

    /// Goes on with another publisher of the same path, or ends.
    fn change_publisher(&mut self) {
        let Some(error) = self.lost.take().filter(|_| self.ending.is_none()) else {
            return;
        };
        self.moves += 1;
        match self.source.track(&self.path, self.track.rest()) {
            Ok(track) => {
                info!("subscription moves to another publisher");
                self.track.move_to(track);
            }
            Err(_nobody) => self.ending = Some(Err(error)),
        }
    }
}
