//! What the groups on their way need to know of their subscription.

use std::time::Duration;

use moq_transfork::message::GroupOrder;

use crate::model::subscription::{Subscription, effective_expires, effective_order};
use crate::model::track::TrackInfo;

/// What a subscription's deliveries need to know of it while they are under way.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    pub(super) subscription: Subscription,
    /// What the publisher says of the track.
    pub(super) own: TrackInfo,
    /// Groups before this one are given up.
    pub(super) floor: u64,
    /// Set when the subscriber is gone: everything is given up.
    pub(super) ended: bool,
}

impl Pace {
    pub(super) fn new(subscription: Subscription, own: TrackInfo) -> Self {
        Self {
            subscription,
            own,
            floor: 0,
            ended: false,
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
