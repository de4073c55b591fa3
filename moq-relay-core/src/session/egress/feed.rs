//! The groups of one subscription on their way: which goes next, on which stream, and which are
//! given up.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use moq_transfork::message::{GroupOrder, Subscribe, SubscribeGap};
use moq_transfork::path::Path;
use moq_transfork::stream::{GroupWriter, SubscribeWriter};
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};
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
    deliveries: FuturesUnordered<BoxFuture<'static, Delivered>>,
    on_their_way: BTreeSet<u64>,
    /// True while a delivery that was told to give up has not done so yet.
    shedding: bool,
    /// Publishers that were tried since a group last came.
    moves: u32,
    /// When the next one is tried.
    next_move: Option<(Pin<Box<Sleep>>, Error)>,
    /// How the subscription will end once nothing is on its way any more.
    ending: Option<Result<(), Error>>,
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
            deliveries: FuturesUnordered::new(),
            on_their_way: BTreeSet::new(),
            shedding: false,
            moves: 0,
            next_move: None,
            ending: None,
        }
    }

    /// Feeds the subscriber until the track ends, the subscriber has `left`, or this side drains.
    pub(super) async fn run(
        mut self,
        mut left: Pin<&mut impl Future<Output = Result<(), Error>>>,
        mut subscription: watch::Receiver<Subscription>,
    ) -> Result<(), Error> {
        let draining = self.state.context.draining.clone();
        let mut here = true;
        loop {
            if self.deliveries.is_empty()
                && let Some(ending) = self.ending.take()
            {
                if let Some(unused) = self.lane.take() {
                    self.state.return_unused(unused);
                }
                return ending;
            }
            tokio::select! {
                biased;
                // The subscriber is gone, so nothing is of use to it any more.
                outcome = &mut left, if here => {
                    here = false;
                    self.leave(outcome);
                }
                // What is open may end; nothing new begins.
                () = draining.cancelled(), if self.ending.is_none() => {
                    self.ending = Some(Err(Error::Shutdown));
                }
                Some(delivered) = self.deliveries.next() => self.delivered(delivered).await?,
                Ok(()) = subscription.changed(), if here => {
                    self.update(&subscription.borrow_and_update());
                }
                opened = self.lane.opened(), if self.lane.is_opening() => {
                    opened?;
                    self.send_next();
                }
                error = wait_to_move(&mut self.next_move), if self.ending.is_none() => {
                    self.change_publisher(error);
                }
                ready = self.track.ready(), if self.wants_more() => self.advance(ready).await?,
            }
        }
    }

    /// True if the next group or gap would be dealt with now.
    fn wants_more(&self) -> bool {
        let descending = self.pace.borrow().order != GroupOrder::Ascending;
        let room = self.deliveries.len() < self.state.context.limits.max_deliveries;
        let may = self.ending.is_none() && self.next_move.is_none() && !self.lane.is_opening();
        may && (room || (descending && !self.shedding))
    }

    async fn advance(&mut self, ready: Result<Ready, Error>) -> Result<(), Error> {
        match ready {
            Ok(Ready::Group)
                if self.deliveries.len() >= self.state.context.limits.max_deliveries =>
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
        self.deliveries.push(delivery.boxed());
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

    fn leave(&mut self, outcome: Result<(), Error>) {
        self.pace.send_modify(|pace| pace.ended = true);
        self.ending = Some(outcome.and(Err(Error::Cancelled)));
    }

    /// The publisher is gone: another one is tried at once, and others after some time. What is
    /// said to be published may be gone as well, and the news of it under way.
    fn plan_move(&mut self, error: Error) {
        if self.moves == 0 {
            self.change_publisher(error);
        } else if self.moves < MAX_MOVES {
            let pause = MOVE_PAUSE * 2_u32.pow(self.moves - 1);
            self.next_move = Some((Box::pin(sleep(pause)), error));
        } else {
            self.ending = Some(Err(error));
        }
    }

    /// Goes on with another publisher of the same path, or ends.
    fn change_publisher(&mut self, error: Error) {
        self.next_move = None;
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

/// Waits until another publisher is to be tried, if one is. Cancel-safe.
async fn wait_to_move(next: &mut Option<(Pin<Box<Sleep>>, Error)>) -> Error {
    let Some((pause, error)) = next else {
        return std::future::pending().await;
    };
    pause.await;
    error.clone()
}
