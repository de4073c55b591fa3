//! What becomes of the groups on their way: which are with the peer, and which are given up.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use tracing::debug;
use web_transport_trait as wt;

use super::{Event, Feed};
use crate::error::Error;
use crate::model::track::Gap;
use crate::session::egress::delivery::{Delivered, Delivery};
use crate::session::egress::flights::{LULL, Late};

impl<S: wt::Session> Feed<S> {
    /// Looks which of the groups that were sent the peer has by now.
    pub(super) fn settle(&mut self) {
        while let Some(delivered) = self.flights.acknowledged() {
            self.delivered(delivered);
        }
    }

    /// Makes the oldest group on its way give up, so that a newer one can go.
    pub(super) fn shed(&mut self) {
        let before = self.flights.len();
        self.settle();
        if self.flights.len() == before
            && let Some(oldest) = self.flights.oldest()
        {
            self.shedding = true;
            match self.flights.take(oldest) {
                Some(delivery) => self.give_up(*delivery),
                None => {
                    if self.orders.pace().condemn(oldest) {
                        self.order();
                    }
                }
            }
        }
    }

    /// True if a group on its way may be made to give up for a newer one.
    pub(super) fn may_shed(&self) -> bool {
        self.is_descending() && !self.shedding
    }

    /// Makes way if a newer group than those on their way waits for a stream.
    fn shed_for_newer(&mut self) {
        self.lane.wait_again();
        let oldest = self.flights.oldest();
        if self.may_shed() && oldest.is_some_and(|oldest| self.track.waits_above(oldest)) {
            self.shed();
        }
    }

    /// Something is due, or was.
    pub(super) fn look_at_time(&mut self) {
        self.seen = None;
        let now = Instant::now();
        let mut news = false;
        for late in self.flights.late(self.patience(), now) {
            match late {
                Late::Sent(delivery) => self.give_up(*delivery),
                Late::Flying(sequence) => news |= self.orders.pace().condemn(sequence),
            }
        }
        if news {
            self.order();
        }
        self.settle();
        self.await_acknowledgements(LULL, now);
        let overdue = self.lane.overdue(self.state.context.limits.max_backlog);
        // No stream has come free in all that time.
        if overdue.is_some_and(|overdue| overdue <= now) {
            self.shed_for_newer();
        }
    }

    /// Waits for the peer to acknowledge the groups that were sent so long ago.
    pub(super) fn await_acknowledgements(&mut self, age: Duration, now: Instant) {
        for delivery in self.flights.unacknowledged(age, now) {
            let acknowledged = delivery.acknowledged().map(Event::Delivered);
            self.events.push(acknowledged.boxed());
        }
    }

    /// Gives up a group that was sent, unless the peer has it.
    fn give_up(&mut self, mut delivery: Delivery<S>) {
        let outcome = delivery.try_acknowledged();
        let delivered = delivery.end(outcome.unwrap_or(Err(Error::Expired)));
        self.delivered(delivered);
    }

    pub(super) fn delivered(&mut self, delivered: Delivered) {
        let sequence = delivered.sequence;
        self.flights.end(sequence);
        self.orders.pace().forget(sequence);
        self.shedding = false;
        let Err(error) = delivered.outcome else {
            return;
        };
        let (id, path) = (self.id, &self.path);
        debug!(subscription = id, %path, group = sequence, %error, "group given up");
        if !self.has_left() {
            self.teller.tell(Gap {
                groups: sequence..=sequence,
                code: error.code(),
            });
        }
    }

    /// Tells the groups on their way of the pace, and has all of them look.
    pub(super) fn order(&mut self) {
        self.orders.tell();
        while let Some(delivered) = self.flights.review() {
            self.delivered(delivered);
        }
        self.events.look_again();
        self.stir.waker().wake_by_ref();
    }
}
