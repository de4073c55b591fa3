//! The groups of a subscription that are on their way, and when each is too old.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use web_transport_trait as wt;

use crate::model::group::GroupConsumer;
use crate::session::egress::delivery::{Delivered, Delivery};
use crate::session::egress::pace::Pace;

/// How long a group that was sent is left alone before its acknowledgement is waited for.
///
/// As a rule another group begins before, and by then it has arrived: a look is much cheaper than
/// to be woken.
pub(super) const LULL: Duration = Duration::from_millis(500);

/// The groups of a subscription that are on their way, until the peer has them.
pub(super) struct Flights<S: wt::Session> {
    /// Those that the transport does not have whole yet.
    sending: Vec<Flight>,
    /// Those that it has, in the order in which it got them.
    sent: VecDeque<Sent<S>>,
    /// The newest group that was ever on its way.
    newest: Option<u64>,
    /// Nothing is due before.
    due: Option<Instant>,
}

/// One group on its way.
struct Flight {
    group: GroupConsumer,
    finished_at: Option<Instant>,
    /// When a newer group was on its way too.
    outrun_at: Option<Instant>,
}

/// One of which only the acknowledgement is missing.
struct Sent<S: wt::Session> {
    flight: Flight,
    at: Instant,
    /// `None` while something else waits for the acknowledgement.
    delivery: Option<Box<Delivery<S>>>,
}

/// When groups are too old.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// After a group's end; zero is never.
    expires: Duration,
    /// After its end and after it was outrun.
    max_backlog: Option<Duration>,
}

/// A group that is too old.
pub(super) enum Late<S: wt::Session> {
    /// It is still being sent, or waited for.
    Flying(u64),
    /// It was sent.
    Sent(Box<Delivery<S>>),
}

impl<S: wt::Session> Flights<S> {
    pub(super) fn new() -> Self {
        Self {
            sending: Vec::new(),
            sent: VecDeque::new(),
            newest: None,
            due: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them.
    pub(super) fn len(&self) -> usize {
        self.sending.len() + self.sent.len()
    }

    /// Those that the transport does not have whole yet.
    pub(super) fn sending(&self) -> usize {
        self.sending.len()
    }

    pub(super) fn oldest(&self) -> Option<u64> {
        self.iter().map(Flight::sequence).min()
    }

    /// True if one has ended of which that is not known here.
    pub(super) fn have_finished(&self) -> bool {
        let mut sending = self.sending.iter();
        sending.any(|flight| flight.finished_at.is_none() && flight.group.finished_at().is_some())
    }

    /// When something has to be looked at again.
    pub(super) fn due(&mut self, patience: Patience) -> Option<Instant> {
        for flight in &mut self.sending {
            if flight.finished_at.is_none() && flight.has_finished() {
                self.due = sooner(self.due, flight.due(patience));
            }
        }
        self.due
    }

    /// A group begins.
    pub(super) fn begin(&mut self, group: GroupConsumer, now: Instant, patience: Patience) {
        let sequence = group.sequence();
        let mut flight = Flight {
            group,
            finished_at: None,
            outrun_at: None,
        };
        flight.has_finished();
        match self.newest {
            Some(newest) if newest > sequence => flight.outrun_at = Some(now),
            outrun => {
                self.newest = Some(sequence);
                self.outrun(outrun, now, patience);
            }
        }
        self.due = sooner(self.due, flight.due(patience));
        if self.sending.is_empty() {
            // As a rule it is the only one.
            self.sending.reserve_exact(1);
        }
        self.sending.push(flight);
    }

    /// Another group is the newest now.
    fn outrun(&mut self, sequence: Option<u64>, now: Instant, patience: Patience) {
        let sent = self.sent.iter_mut().rev().map(|sent| &mut sent.flight);
        let outrun = self
            .sending
            .iter_mut()
            .chain(sent)
            .find(|flight| Some(flight.sequence()) == sequence);
        if let Some(flight) = outrun {
            flight.outrun_at = Some(now);
            self.due = sooner(self.due, flight.due(patience));
        }
    }

    /// The transport has a group whole.
    pub(super) fn sent(&mut self, delivery: Box<Delivery<S>>, now: Instant, patience: Patience) {
        let Some(mut flight) = self.take_sending(delivery.sequence()) else {
            return;
        };
        flight.has_finished();
        let due = sooner(flight.due(patience), Some(now + LULL));
        self.due = sooner(self.due, due);
        if self.sent.is_empty() {
            self.sent.reserve_exact(1);
        }
        self.sent.push_back(Sent {
            flight,
            at: now,
            delivery: Some(delivery),
        });
    }

    /// A group is no longer on its way.
    pub(super) fn end(&mut self, sequence: u64) {
        if self.take_sending(sequence).is_none() {
            self.sent.retain(|sent| sent.flight.sequence() != sequence);
        }
    }

    /// Takes out the first of the sent groups if the peer has it by now.
    pub(super) fn acknowledged(&mut self) -> Option<Delivered> {
        let delivery = self.sent.front_mut()?.delivery.as_mut()?;
        let outcome = delivery.try_acknowledged()?;
        let delivery = self.sent.pop_front()?.delivery?;
        Some(delivery.end(outcome))
    }

    /// Takes out a sent group that its orders do not let stay.
    pub(super) fn review(&mut self) -> Option<Delivered> {
        let (index, error) = self.sent.iter_mut().enumerate().find_map(|(index, sent)| {
            let reviewed = sent.delivery.as_mut()?.review();
            reviewed.err().map(|error| (index, error))
        })?;
        let delivery = self.sent.remove(index)?.delivery?;
        Some(delivery.end(Err(error)))
    }

    /// Hands out the groups that were sent so long ago, for their acknowledgement to be waited for.
    pub(super) fn unacknowledged(&mut self, age: Duration, now: Instant) -> Vec<Box<Delivery<S>>> {
        let sent = self.sent.iter_mut().filter(|sent| sent.at + age <= now);
        sent.filter_map(|sent| sent.delivery.take()).collect()
    }

    /// Hands out the groups that are too old, and sets the time of the next look.
    pub(super) fn late(&mut self, patience: Patience, now: Instant) -> Vec<Late<S>> {
        let is_late = |flight: &Flight| flight.due(patience).is_some_and(|due| due <= now);
        let sending = self.sending.iter().filter(|flight| is_late(flight));
        let mut late: Vec<_> = sending
            .map(|flight| Late::Flying(flight.sequence()))
            .collect();
        for sent in self.sent.iter_mut().filter(|sent| is_late(&sent.flight)) {
            let sequence = sent.flight.sequence();
            late.push(match sent.delivery.take() {
                Some(delivery) => Late::Sent(delivery),
                None => Late::Flying(sequence),
            });
        }
        let lull = self.sent.iter().find(|sent| sent.delivery.is_some());
        let rest = self.iter().filter(|flight| !is_late(flight));
        let due = rest.filter_map(|flight| flight.due(patience)).min();
        self.due = sooner(due, lull.map(|sent| sent.at + LULL));
        late
    }

    /// Takes out a sent group, to be given up.
    pub(super) fn take(&mut self, sequence: u64) -> Option<Box<Delivery<S>>> {
        let mut sent = self.sent.iter_mut();
        sent.find(|sent| sent.flight.sequence() == sequence)?
            .delivery
            .take()
    }

    fn take_sending(&mut self, sequence: u64) -> Option<Flight> {
        let mut sending = self.sending.iter();
        let index = sending.position(|flight| flight.sequence() == sequence)?;
        Some(self.sending.swap_remove(index))
    }

    fn iter(&self) -> impl Iterator<Item = &Flight> {
        self.sending
            .iter()
            .chain(self.sent.iter().map(|sent| &sent.flight))
    }
}

impl Flight {
    fn sequence(&self) -> u64 {
        self.group.sequence()
    }

    fn has_finished(&mut self) -> bool {
        self.finished_at = self.group.finished_at();
        self.finished_at.is_some()
    }

    /// When the group is too old, as far as that is known yet.
    fn due(&self, patience: Patience) -> Option<Instant> {
        // A group that its publisher still writes is not late, however many are newer.
        let finished_at = self.finished_at?;
        let expired = (!patience.expires.is_zero()).then(|| finished_at + patience.expires);
        let outrun = self.outrun_at.zip(patience.max_backlog);
        sooner(expired, outrun.map(|(at, max)| at.max(finished_at) + max))
    }
}

impl Patience {
    pub(super) fn new(pace: &Pace, max_backlog: Duration) -> Self {
        Self {
            expires: pace.expires(),
            max_backlog: pace.is_descending().then_some(max_backlog),
        }
    }
}

/// The sooner of two times, of those that there are.
pub(super) fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::model::cache::Cache;
    use crate::model::group::GroupProducer;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_group_is_late_some_time_after_both_its_end_and_a_newer_ones_beginning() {
        let began = Instant::now();
        let producer = GroupProducer::alone(7, &Cache::default()).expect("there is room");
        let mut flight = Flight {
            group: producer.consume(),
            finished_at: None,
            outrun_at: Some(began),
        };
        let patience = |expires, max_backlog| Patience {
            expires,
            max_backlog,
        };
        let hasty = patience(Duration::ZERO, Some(5 * SECOND));
        assert!(!flight.has_finished());
        assert_eq!(flight.due(hasty), None, "it is still written");
        advance(SECOND).await;
        producer.finish().expect("whole");
        assert!(flight.has_finished());
        assert_eq!(flight.due(hasty), Some(began + 6 * SECOND));
        flight.outrun_at = Some(began + 3 * SECOND);
        assert_eq!(flight.due(hasty), Some(began + 8 * SECOND));
        assert_eq!(
            flight.due(patience(2 * SECOND, Some(5 * SECOND))),
            Some(began + 3 * SECOND)
        );
        assert_eq!(flight.due(patience(Duration::ZERO, None)), None);
        flight.outrun_at = None;
        assert_eq!(flight.due(hasty), None, "nothing newer needs its place");
    }
}
