//! What a subscriber asks of a track, and what all subscribers of a track ask together.

use std::time::Duration;

use moq_transfork::message::{GroupOrder, Priority};

/// What a subscriber asks of a track (draft-03, SUBSCRIBE).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscription {
    /// Higher goes first, over everything in the subscriber's session.
    pub priority: Priority,
    /// Which group goes first when several wait.
    pub order: GroupOrder,
    /// How long a finished group is still of use; zero means for ever.
    pub expires: Duration,
    /// First group wanted; `None` means the latest at the time.
    pub min: Option<u64>,
    /// Last group wanted; `None` means no end.
    pub max: Option<u64>,
}

impl Subscription {
    /// Takes the parts of `update`; the range only ever shrinks (draft-03, SUBSCRIBE_UPDATE).
    pub fn update(&mut self, update: &Self) {
        self.priority = update.priority;
        self.order = update.order;
        self.expires = update.expires;
        self.min = self.min.max(update.min);
        self.max = narrower_max(self.max, update.max);
    }

    /// Returns what both want together: the highest priority, the widest range, the longest
    /// life; the publisher's own order where they differ.
    ///
    /// `newest` is the track's newest group: whoever wants "the latest" wants what follows it.
    fn join(&self, other: &Self, newest: Option<u64>) -> Self {
        Self {
            priority: self.priority.max(other.priority),
            order: if self.order == other.order {
                self.order
            } else {
                GroupOrder::Default
            },
            expires: if self.expires.is_zero() || other.expires.is_zero() {
                Duration::ZERO
            } else {
                self.expires.max(other.expires)
            },
            min: match (self.min, other.min) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (explicit, None) | (None, explicit) => {
                    explicit.filter(|min| newest.is_some_and(|newest| *min <= newest))
                }
            },
            max: match (self.max, other.max) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (None, _) | (_, None) => None,
            },
        }
    }
}

/// The groups that a SUBSCRIBE in force brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reach {
    first: u64,
    last: Option<u64>,
}

impl Reach {
    /// What `subscription` brings from a publisher whose newest group was `latest` at the time.
    pub(crate) fn new(subscription: &Subscription, latest: u64) -> Self {
        Self {
            first: subscription.min.unwrap_or(latest),
            last: subscription.max,
        }
    }

    /// True if every group that `demand` wants is one of these; `newest` is the newest group now.
    pub(crate) fn covers(&self, demand: &Subscription, newest: Option<u64>) -> bool {
        let first = demand.min.or(newest).unwrap_or_default();
        let last = match (self.last, demand.max) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(last), Some(max)) => max <= last,
        };
        self.first <= first && last
    }
}

/// The order in force: the one asked for, or else the publisher's own.
pub(crate) fn effective_order(asked: GroupOrder, own: GroupOrder) -> GroupOrder {
    if asked == GroupOrder::Default {
        own
    } else {
        asked
    }
}

/// How long a finished group is of use: the lesser of both times, where zero means for ever.
pub(crate) fn effective_expires(asked: Duration, own: Duration) -> Duration {
    if asked.is_zero() || own.is_zero() {
        asked.max(own)
    } else {
        asked.min(own)
    }
}

/// Returns what all subscriptions want together, or `None` if there are none.
pub(super) fn union<'a>(
    subscriptions: impl Iterator<Item = &'a Subscription>,
    newest: Option<u64>,
) -> Option<Subscription> {
    subscriptions.fold(None, |all, one| match all {
        None => Some(one.clone()),
        Some(all) => Some(all.join(one, newest)),
    })
}

fn narrower_max(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(min: Option<u64>, max: Option<u64>) -> Subscription {
        Subscription {
            min,
            max,
            ..Subscription::default()
        }
    }

    #[test]
    fn a_union_covers_every_member() {
        let all = [
            range(Some(4), Some(9)),
            range(Some(2), Some(5)),
            range(Some(3), None),
        ];
        let union = union(all.iter(), Some(20)).expect("there are members");
        assert_eq!(union, range(Some(2), None));
        let reach = Reach::new(&union, 20);
        assert!(all.iter().all(|one| reach.covers(one, Some(20))));
    }

    #[test]
    fn a_subscription_to_the_latest_group_reaches_whoever_comes_later() {
        let latest = Reach::new(&range(None, None), 20);
        assert!(latest.covers(&range(None, None), Some(25)));
        assert!(latest.covers(&range(Some(20), None), Some(25)));
        assert!(latest.covers(&range(Some(30), Some(40)), Some(25)));
        assert!(!latest.covers(&range(Some(19), None), Some(25)));
    }

    #[test]
    fn a_subscription_to_some_groups_reaches_no_others() {
        let some = Reach::new(&range(Some(10), Some(30)), 5);
        assert!(some.covers(&range(Some(10), Some(30)), Some(5)));
        assert!(some.covers(&range(None, Some(12)), Some(10)));
        assert!(!some.covers(&range(None, Some(12)), Some(9)));
        assert!(!some.covers(&range(None, Some(12)), None));
        assert!(!some.covers(&range(Some(10), Some(31)), Some(5)));
        assert!(!some.covers(&range(Some(10), None), Some(5)));
    }

    #[test]
    fn whoever_wants_the_latest_does_not_wait_for_a_future_group() {
        let all = [range(None, None), range(Some(30), None)];
        assert_eq!(union(all.iter(), Some(20)), Some(range(None, None)));
        assert_eq!(union(all.iter(), Some(40)), Some(range(Some(30), None)));
        assert_eq!(union(all.iter(), None), Some(range(None, None)));
    }

    #[test]
    fn the_highest_priority_and_the_longest_life_win() {
        let hasty = Subscription {
            priority: Priority::new(200),
            order: GroupOrder::Ascending,
            expires: Duration::from_millis(50),
            ..Subscription::default()
        };
        let patient = Subscription {
            order: GroupOrder::Descending,
            expires: Duration::from_millis(900),
            ..Subscription::default()
        };
        let union = union([&hasty, &patient].into_iter(), None).expect("there are members");
        assert_eq!(union.priority, Priority::new(200));
        assert_eq!(union.order, GroupOrder::Default);
        assert_eq!(union.expires, Duration::from_millis(900));
    }

    #[test]
    fn the_shorter_life_counts_and_zero_is_no_limit() {
        let ms = Duration::from_millis;
        assert_eq!(effective_expires(ms(0), ms(0)), ms(0));
        assert_eq!(effective_expires(ms(5), ms(0)), ms(5));
        assert_eq!(effective_expires(ms(0), ms(7)), ms(7));
        assert_eq!(effective_expires(ms(5), ms(7)), ms(5));
    }

    #[test]
    fn an_update_never_widens_the_range() {
        let mut subscription = range(Some(5), Some(10));
        subscription.update(&range(Some(3), None));
        assert_eq!(subscription, range(Some(5), Some(10)));
        subscription.update(&range(Some(7), Some(8)));
        assert_eq!(subscription, range(Some(7), Some(8)));
    }
}
