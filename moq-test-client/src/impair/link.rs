//! One direction of a network, without sockets and without a clock.

use std::time::Duration;

use bytes::Bytes;

use crate::impair::counters::Counters;
use crate::impair::dice::Dice;
use crate::impair::flight::{Flight, Order};
use crate::impair::queue::{Admission, Entry, Queue};
use crate::impair::settings::Settings;

/// What a link holds at most, in bytes; what comes on top is lost.
///
/// This is 1 s at 134 Mbit/s, or 40 ms at 3.3 Gbit/s.
pub const MAX_HELD: usize = 16 << 20;

/// What a packet costs beside its bytes, so that a flood of tiny ones is bounded too.
const OVERHEAD: usize = 128;

/// One direction of a network: packets go in with the time they arrive and come out with the time
/// they depart.
///
/// Time is what the caller says it is, counted from any moment, and never goes back: a call with
/// an earlier time than one before it counts as made at that one. When a packet departs does not
/// depend on how often or how late [`pop`](Self::pop) is called, and what chance decides about the
/// n-th packet depends on the seed and n alone.
#[derive(Debug)]
pub struct Link {
    settings: Settings,
    dice: Dice,
    now: Duration,
    /// How many packets have arrived.
    arrived: u64,
    queue: Queue,
    flight: Flight,
    /// What all packets in the queue and under way cost.
    held: usize,
    counters: Counters,
}

/// A packet that is to be passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// When it departs: not after the `now` of the call that returned it.
    pub at: Duration,
    /// The packet as it arrived.
    pub packet: Bytes,
}

impl Link {
    /// Makes a link at time zero.
    #[must_use]
    pub fn new(seed: u64, settings: Settings) -> Self {
        Self {
            settings,
            dice: Dice::new(seed),
            now: Duration::ZERO,
            arrived: 0,
            queue: Queue::default(),
            flight: Flight::default(),
            held: 0,
            counters: Counters::default(),
        }
    }

    /// Takes a packet that arrives at the time `now`.
    pub fn push(&mut self, now: Duration, packet: Bytes) {
        self.advance(now);
        let throw = self.dice.throw();
        let first = Entry {
            sequence: self.arrived,
            jitter: throw.jitter,
            reorder: Some(throw.reorder),
            packet,
        };
        self.arrived += 1;
        self.counters.packets += 1;
        self.counters.bytes += first.packet.len() as u64;
        if self.settings.cut {
            self.counters.cut += 1;
            return;
        }
        if self.settings.loss.hits(throw.loss) {
            self.counters.lost += 1;
            return;
        }
        let duplicate = self.settings.duplicate.hits(throw.duplicate);
        let copy = duplicate.then(|| Entry {
            jitter: throw.copy,
            reorder: None,
            ..first.clone()
        });
        self.admit(first);
        if let Some(copy) = copy {
            self.counters.duplicated += 1;
            self.admit(copy);
        }
    }

    /// Returns the earliest packet that departs by the time `now`.
    pub fn pop(&mut self, now: Duration) -> Option<Departure> {
        self.advance(now);
        let landed = self.flight.pop(self.now)?;
        self.held -= cost(&landed.packet);
        self.counters.delivered += 1;
        self.counters.delivered_bytes += landed.packet.len() as u64;
        if landed.order == Order::Overtaken {
            self.counters.reordered += 1;
        }
        Some(Departure {
            at: landed.at,
            packet: landed.packet,
        })
    }

    /// Returns when [`pop`](Self::pop) should be called next: a packet may depart then, and none
    /// does before. `None` when nothing is under way.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        match (self.queue.next(), self.flight.next()) {
            (Some(sent), Some(lands)) => Some(sent.min(lands)),
            (sent, lands) => sent.or(lands),
        }
    }

    /// Goes on with other settings from the time `now`.
    ///
    /// A rate counts for what waits already. Delay, jitter and reordering count for what has not
    /// left the queue; a shorter way lets later packets overtake those under way.
    pub fn change(&mut self, now: Duration, settings: Settings) {
        self.advance(now);
        if settings.cut {
            self.sever(now);
        }
        let old = std::mem::replace(&mut self.settings, settings);
        if (old.delay, old.jitter) != (settings.delay, settings.jitter) {
            self.flight.change_route();
        }
        match (old.rate, settings.rate) {
            (Some(old), Some(new)) => self.queue.convert(self.now, old, new),
            (Some(_), None) => {
                for entry in self.queue.drain() {
                    self.flight.enter(self.now, entry, &settings);
                }
            }
            (None, _) => {}
        }
    }

    /// Loses all that is queued and under way at the time `now`, as a cut does.
    pub fn sever(&mut self, now: Duration) {
        self.advance(now);
        let queued = self.queue.drain().map(|entry| entry.packet);
        let flying = self.flight.sever(self.now);
        for packet in queued.chain(flying) {
            self.held -= cost(&packet);
            self.counters.cut += 1;
        }
    }

    /// Returns what happened since the last call of this.
    pub fn take_counters(&mut self) -> Counters {
        std::mem::take(&mut self.counters)
    }

    /// Sends on what the rate allows by the time `now`.
    fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
        let Some(rate) = self.settings.rate else {
            return;
        };
        while let Some((sent, entry)) = self.queue.pop(self.now, rate) {
            self.flight.enter(sent, entry, &self.settings);
        }
    }

    fn admit(&mut self, entry: Entry) {
        let cost = cost(&entry.packet);
        if self.held + cost > MAX_HELD {
            self.counters.overflowed += 1;
            return;
        }
        let Some(rate) = self.settings.rate else {
            self.held += cost;
            self.flight.enter(self.now, entry, &self.settings);
            return;
        };
        let limit = self.settings.queue;
        match self.queue.admit(self.now, entry, rate, limit) {
            Admission::Full => {
                self.counters.dropped += 1;
                return;
            }
            Admission::Waits => self.counters.queued += 1,
            Admission::Sent => {}
        }
        self.held += cost;
    }
}

fn cost(packet: &Bytes) -> usize {
    packet.len() + OVERHEAD
}
