//! What the groups on their way need to know of their subscription.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use moq_transfork::message::GroupOrder;

use crate::error::Error;
use crate::model::subscription::{Subscription, effective_expires, effective_order};
use crate::model::track::TrackInfo;
use crate::session::egress::stir::Bell;
use crate::session::priority::stream_priority;
use crate::shared::lock;

/// What a subscription's deliveries need to know of it while they are under way.
#[derive(Debug, Default)]
pub(super) struct Pace {
    pub(super) subscription: Subscription,
    /// What the publisher says of the track.
    pub(super) own: TrackInfo,
    /// Groups that are given up and still on their way.
    condemned: Vec<u64>,
    /// Set when the subscriber is gone: everything is given up.
    pub(super) ended: bool,
}

impl Pace {
    pub(super) fn new(subscription: Subscription, own: TrackInfo) -> Self {
        Self {
            subscription,
            own,
            ..Self::default()
        }
    }

    /// The order in force: the subscriber's, or the publisher's own.
    pub(super) fn order(&self) -> GroupOrder {
        effective_order(self.subscription.order, self.own.order)
    }

    /// How long a finished group is of use: the subscriber's time or the publisher's, whichever is
    /// less; zero means for ever.
    pub(super) fn expires(&self) -> Duration {
        effective_expires(self.subscription.expires, self.own.expires)
    }

    /// True if the group is in the range that the subscriber wants.
    pub(super) fn wants(&self, sequence: u64) -> bool {
        self.subscription.min.is_none_or(|min| sequence >= min)
            && self.subscription.max.is_none_or(|max| sequence <= max)
    }

    /// True if newer groups go before older ones.
    pub(super) fn is_descending(&self) -> bool {
        self.order() != GroupOrder::Ascending
    }

    /// Has a group give up with the next order. Returns false if it was told before.
    pub(super) fn condemn(&mut self, sequence: u64) -> bool {
        let is_news = !self.condemned.contains(&sequence);
        if is_news {
            self.condemned.push(sequence);
        }
        is_news
    }

    /// A group is not on its way any more.
    pub(super) fn forget(&mut self, sequence: u64) {
        self.condemned.retain(|condemned| *condemned != sequence);
    }

    /// What is to become of a group on its way.
    fn order_for(&self, sequence: u64) -> Order {
        if self.ended || !self.wants(sequence) {
            Order::GiveUp(Error::Cancelled)
        } else if self.condemned.contains(&sequence) {
            Order::GiveUp(Error::Expired)
        } else {
            let track = self.subscription.priority;
            Order::Send(stream_priority(track, self.order(), sequence))
        }
    }
}

/// What is to become of a group on its way.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    /// It is sent with this priority.
    Send(i32),
    GiveUp(Error),
}

/// What the groups on their way are told: one for each of them, and the subscription's own.
///
/// It wakes nobody: the subscription and the groups are one task, which has all of them look when
/// there is news. They stand beside the task's bell, which is looked at after each frame too.
#[derive(Debug, Default)]
pub(super) struct Orders {
    bell: Arc<Bell<Told>>,
    /// The news that was heeded last.
    heeded: u64,
}

/// The pace of a subscription, and how often its groups were told to look at it.
// In this order, so that what is looked at all the time is next to the bell's mark.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Told {
    /// How many times there was news.
    news: AtomicU64,
    pace: Mutex<Pace>,
}

impl Orders {
    pub(super) fn new(pace: Pace) -> Self {
        let orders = Self::default();
        *orders.pace() = pace;
        orders.tell();
        orders
    }

    /// The bell of the subscription's task.
    pub(super) fn bell(&self) -> Arc<Bell<Told>> {
        self.bell.clone()
    }

    /// The pace, locked. The groups learn of a change by [`tell`](Self::tell).
    pub(super) fn pace(&self) -> MutexGuard<'_, Pace> {
        lock(&self.bell.beside.pace)
    }

    /// Tells all groups of the subscription that there is news, once they look.
    pub(super) fn tell(&self) {
        self.bell.beside.news.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the order in force, if there is news that was not heeded yet.
    pub(super) fn look(&self, sequence: u64) -> Option<Order> {
        let is_news = self.bell.beside.news.load(Ordering::Relaxed) != self.heeded;
        is_news.then(|| self.pace().order_for(sequence))
    }

    /// As [`look`](Self::look), for whoever does what it says.
    pub(super) fn heed(&mut self, sequence: u64) -> Option<Order> {
        let order = self.look(sequence)?;
        self.heeded = self.bell.beside.news.load(Ordering::Relaxed);
        Some(order)
    }
}

impl Clone for Orders {
    fn clone(&self) -> Self {
        Self {
            bell: self.bell.clone(),
            // Another group has heeded nothing yet.
            heeded: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subscribers_wish_goes_before_the_publishers_own() {
        let own = TrackInfo {
            order: GroupOrder::Ascending,
            expires: Duration::from_secs(5),
            ..TrackInfo::default()
        };
        let mut pace = Pace::new(Subscription::default(), own);
        assert!(!pace.is_descending());
        assert_eq!(pace.expires(), Duration::from_secs(5));
        pace.subscription.order = GroupOrder::Descending;
        pace.subscription.expires = Duration::from_secs(3);
        assert!(pace.is_descending());
        assert_eq!(pace.expires(), Duration::from_secs(3));
    }

    #[test]
    fn a_range_includes_both_its_ends() {
        let asked = Subscription {
            min: Some(3),
            max: Some(5),
            ..Subscription::default()
        };
        let pace = Pace::new(asked, TrackInfo::default());
        let wanted: Vec<_> = (0..8).filter(|sequence| pace.wants(*sequence)).collect();
        assert_eq!(wanted, [3, 4, 5]);
    }
}
