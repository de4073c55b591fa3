//! A link as one would write it down in an afternoon: no heap, no clock, all looked at again for
//! every question.

use super::*;
use crate::impair::counters::Counters;
use crate::impair::dice::{Dice, Throw};

/// The rate at which a byte takes 4096 ns. Its multiples by 2 and 4 give exact times, too.
pub(super) const SLOWEST: u64 = 1_953_125;

/// What happens to a link; the times of a list are in order.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Push(Duration, usize),
    Change(Duration, Settings),
}

/// What a link has done in the end.
#[derive(Debug, Default)]
pub(super) struct Naive {
    settings: Settings,
    now: u64,
    queue: Vec<Waiting>,
    /// Everything that is under way or has arrived, in the order of entry.
    flown: Vec<(u64, u32)>,
    /// No packet in order may arrive before this.
    floor: u64,
    pub(super) counters: Counters,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    number: u32,
    jitter: u64,
    /// `None` for a copy.
    reorder: Option<u64>,
    /// What is left to send: the time it takes at the slowest rate.
    left: u64,
}

impl Naive {
    pub(super) fn run(seed: u64, steps: &[Step]) -> Self {
        let mut naive = Self::default();
        let mut dice = Dice::new(seed);
        let mut number = 0;
        for step in steps {
            match step {
                Step::Push(at, len) => {
                    naive.transmit(nanos(*at));
                    naive.push(dice.throw(), number, *len);
                    number += 1;
                }
                Step::Change(at, settings) => {
                    naive.transmit(nanos(*at));
                    naive.change(*settings);
                }
            }
        }
        naive.transmit(1 << 60);
        naive
    }

    /// Returns the time and the number of every departure.
    pub(super) fn departures(&self) -> Vec<(Duration, u32)> {
        let mut sorted = self.flown.clone();
        sorted.sort_by_key(|(at, _number)| *at);
        let departure = |(at, number)| (Duration::from_nanos(at), number);
        sorted.into_iter().map(departure).collect()
    }

    /// Counts departures after one of a higher number.
    pub(super) fn reordered(&self) -> usize {
        let departures = self.departures();
        let is_late = |index: &usize| {
            let number = departures[*index].1;
            departures[..*index]
                .iter()
                .any(|(_at, other)| *other > number)
        };
        (0..departures.len()).filter(is_late).count()
    }

    fn speed(&self) -> Option<u64> {
        let times = [1, 2, 4];
        let rate = self.settings.rate?.to_string();
        let named = |times: &&u64| rate == format!("{}bit", SLOWEST * **times);
        times.iter().find(named).copied()
    }

    /// Sends for as long as it takes until the time `until`.
    fn transmit(&mut self, until: u64) {
        while let (Some(speed), Some(first)) = (self.speed(), self.queue.first_mut()) {
            let need = first.left / speed;
            assert_eq!(need * speed, first.left, "the test needs exact times");
            if self.now + need > until {
                first.left -= (until - self.now) * speed;
                break;
            }
            self.now += need;
            let first = self.queue.remove(0);
            self.fly(first);
        }
        self.now = until;
    }

    fn push(&mut self, throw: Throw, number: u32, len: usize) {
        self.counters.packets += 1;
        self.counters.bytes += len as u64;
        if self.settings.cut {
            self.counters.cut += 1;
        } else if self.settings.loss.hits(throw.loss) {
            self.counters.lost += 1;
        } else {
            let left = len as u64 * 4096;
            let reorder = Some(throw.reorder);
            self.enter(Waiting {
                number,
                jitter: throw.jitter,
                reorder,
                left,
            });
            if self.settings.duplicate.hits(throw.duplicate) {
                self.counters.duplicated += 1;
                self.enter(Waiting {
                    number,
                    jitter: throw.copy,
                    reorder: None,
                    left,
                });
            }
        }
    }

    fn enter(&mut self, waiting: Waiting) {
        let Some(speed) = self.speed() else {
            return self.fly(waiting);
        };
        let ahead: u64 = self.queue.iter().map(|waiting| waiting.left).sum();
        if ahead / speed > nanos(self.settings.queue) {
            self.counters.dropped += 1;
            return;
        }
        self.counters.queued += u64::from(ahead > 0);
        self.queue.push(waiting);
    }

    fn fly(&mut self, waiting: Waiting) {
        let jitter = nanos(self.settings.jitter);
        let offset = u128::from(waiting.jitter) * u128::from(2 * jitter + 1) / (1 << 64);
        let way = nanos(self.settings.delay) + u64::try_from(offset).unwrap();
        let mut at = (self.now + way.saturating_sub(jitter)).max(self.floor);
        match waiting.reorder {
            Some(roll) if self.settings.reorder.hits(roll) => at += nanos(self.settings.hold),
            _ => self.floor = at,
        }
        self.flown.push((at, waiting.number));
    }

    fn change(&mut self, settings: Settings) {
        let old = std::mem::replace(&mut self.settings, settings);
        if old.delay != settings.delay || old.jitter != settings.jitter {
            self.floor = 0;
        }
        if settings.cut {
            let now = self.now;
            let before = self.queue.len() + self.flown.len();
            self.queue.clear();
            self.flown.retain(|(at, _number)| *at <= now);
            self.counters.cut += (before - self.flown.len()) as u64;
            self.floor = 0;
        }
        if settings.rate.is_none() {
            for waiting in std::mem::take(&mut self.queue) {
                self.fly(waiting);
            }
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap()
}
