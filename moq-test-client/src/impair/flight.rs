//! Packets under way: delay, jitter and order.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Duration;

use bytes::Bytes;

use crate::impair::queue::Entry;
use crate::impair::settings::Settings;

/// The packets that have left the queue and not arrived.
#[derive(Debug, Default)]
pub(super) struct Flight {
    packets: BinaryHeap<Reverse<Flying>>,
    /// How many have ever entered.
    entered: u64,
    /// No packet that is not held back arrives before this.
    floor: Duration,
    /// One past the highest sequence that has arrived.
    expected: u64,
}

/// A packet that has arrived.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) at: Duration,
    pub(super) packet: Bytes,
    pub(super) order: Order,
}

/// Whether a packet arrived before all that were sent later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Kept,
    Overtaken,
}

#[derive(Debug)]
struct Flying {
    at: Duration,
    /// Decides between those that arrive at the same time.
    turn: u64,
    sequence: u64,
    packet: Bytes,
}

impl Flight {
    /// Sends a packet on its way at the time `from`.
    pub(super) fn enter(&mut self, from: Duration, entry: Entry, settings: &Settings) {
        let at = self.floor.max(from + way(entry.jitter, settings));
        let held = entry
            .reorder
            .is_some_and(|roll| settings.reorder.hits(roll));
        let at = if held {
            at + settings.hold
        } else {
            self.floor = at;
            at
        };
        self.packets.push(Reverse(Flying {
            at,
            turn: self.entered,
            sequence: entry.sequence,
            packet: entry.packet,
        }));
        self.entered += 1;
    }

    /// Lets those that enter from now on overtake those under way, if their way is shorter.
    pub(super) fn change_route(&mut self) {
        self.floor = Duration::ZERO;
    }

    /// Returns when the next one arrives.
    pub(super) fn next(&self) -> Option<Duration> {
        self.packets.peek().map(|Reverse(flying)| flying.at)
    }

    /// Returns the next one that has arrived by the time `now`.
    pub(super) fn pop(&mut self, now: Duration) -> Option<Landed> {
        if self.next()? > now {
            return None;
        }
        let Reverse(flying) = self.packets.pop()?;
        let order = if flying.sequence + 1 < self.expected {
            Order::Overtaken
        } else {
            Order::Kept
        };
        self.expected = self.expected.max(flying.sequence + 1);
        Some(Landed {
            at: flying.at,
            packet: flying.packet,
            order,
        })
    }

    /// Loses all that have not arrived by the time `now`, and returns their bytes and number.
    pub(super) fn sever(&mut self, now: Duration) -> Vec<Bytes> {
        let packets = std::mem::take(&mut self.packets);
        let (landed, lost): (Vec<_>, Vec<_>) = packets
            .into_iter()
            .partition(|Reverse(flying)| flying.at <= now);
        self.packets = landed.into();
        self.floor = Duration::ZERO;
        lost.into_iter()
            .map(|Reverse(flying)| flying.packet)
            .collect()
    }
}

/// Returns how long the way is for one packet.
fn way(roll: u64, settings: &Settings) -> Duration {
    let jitter = settings.jitter.as_nanos();
    let offset = (u128::from(roll) * (2 * jitter + 1)) >> 64;
    let offset = Duration::from_nanos(u64::try_from(offset).unwrap_or(u64::MAX));
    (settings.delay + offset).saturating_sub(settings.jitter)
}

impl Flying {
    fn key(&self) -> (Duration, u64) {
        (self.at, self.turn)
    }
}

impl Ord for Flying {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Flying {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Flying {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Flying {}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn jitter_is_centred_on_the_delay_and_reaches_both_ends() {
        let settings = Settings {
            delay: ms(40),
            jitter: ms(5),
            ..Settings::default()
        };
        assert_eq!(way(0, &settings), ms(35));
        assert_eq!(way(u64::MAX / 2, &settings), ms(40));
        assert_eq!(way(u64::MAX, &settings), ms(45));
    }

    #[test]
    fn nothing_arrives_before_it_was_sent() {
        let settings = Settings {
            delay: ms(1),
            jitter: ms(5),
            ..Settings::default()
        };
        assert_eq!(way(0, &settings), Duration::ZERO);
        assert_eq!(way(u64::MAX, &settings), ms(6));
    }
}
