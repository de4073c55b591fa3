use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::memory::flow::FlowId;

/// What travels from one end to the other.
#[derive(Debug)]
pub(super) enum Event {
    // From a flow's writer.
    Data {
        flow: FlowId,
        chunk: Bytes,
    },
    Fin {
        flow: FlowId,
    },
    Reset {
        flow: FlowId,
        code: u32,
    },
    // From a flow's reader.
    /// The reader asks the writer to stop.
    Stop {
        flow: FlowId,
        code: u32,
    },
    /// The reader has read or discarded this many bytes.
    Credit {
        flow: FlowId,
        bytes: usize,
    },
    /// The reader has read everything up to the end.
    Acked {
        flow: FlowId,
    },
    /// The reader needs nothing more.
    Done {
        flow: FlowId,
    },
    // From an end.
    Close {
        code: u32,
        reason: String,
    },
}

/// One direction between the ends: what waits to be sent, and what is on its way.
pub(super) struct Link {
    /// Flows with something to send, in quinn's order.
    schedule: BinaryHeap<Slot>,
    /// Numbers the schedule's entries, to be first come first served within a priority.
    turn: u64,
    /// Sent, by time of arrival. Arrivals never overtake each other.
    flight: VecDeque<(Instant, Event)>,
    /// When the packet being sent has left.
    busy_until: Instant,
    delay: Duration,
    /// Nothing gets through any more.
    silent: bool,
    /// Bytes per second.
    pub(super) rate: Option<u64>,
}

/// An entry of the schedule; the greatest is next.
///
/// The priority is the one at the time of entry, as in quinn: a change takes effect with the
/// flow's next packet but one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    priority: i32,
    turn: Reverse<u64>,
    flow: FlowId,
}

impl Link {
    pub(super) fn new(delay: Duration, rate: Option<u64>, now: Instant) -> Self {
        Self {
            schedule: BinaryHeap::new(),
            turn: 0,
            flight: VecDeque::new(),
            busy_until: now,
            delay,
            silent: false,
            rate,
        }
    }

    /// Queues a flow behind those of the same priority.
    pub(super) fn schedule(&mut self, flow: FlowId, priority: i32) {
        if self.silent {
            return;
        }
        self.turn += 1;
        let turn = Reverse(self.turn);
        self.schedule.push(Slot {
            priority,
            turn,
            flow,
        });
    }

    /// Takes the flow that may send the next packet.
    pub(super) fn next_flow(&mut self) -> Option<FlowId> {
        self.schedule.pop().map(|slot| slot.flow)
    }

    /// The most bytes the next packet may carry.
    pub(super) fn packet_size(&self) -> usize {
        match self.rate {
            Some(_) => PACKET_SIZE,
            None => usize::MAX,
        }
    }

    /// Sends the payload of a stream, which keeps the link busy.
    pub(super) fn send_data(&mut self, now: Instant, flow: FlowId, chunk: Bytes) {
        let taken = self
            .rate
            .map_or(Duration::ZERO, |rate| time_on_link(chunk.len(), rate));
        self.busy_until = self.busy_until.max(now) + taken;
        self.send(now, Event::Data { flow, chunk });
    }

    /// Sends what takes no room, behind the packet that is being sent.
    pub(super) fn send(&mut self, now: Instant, event: Event) {
        if self.silent {
            return;
        }
        let due = self.busy_until.max(now) + self.delay;
        self.flight.push_back((due, event));
    }

    /// When the next event arrives.
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        self.flight.front().map(|(due, _)| *due)
    }

    /// When the next packet may be sent, if there is something to send.
    pub(super) fn next_departure(&self, now: Instant) -> Option<Instant> {
        (!self.schedule.is_empty()).then_some(self.busy_until.max(now))
    }

    /// Takes the next event to arrive.
    pub(super) fn arrive(&mut self) -> Option<Event> {
        self.flight.pop_front().map(|(_, event)| event)
    }

    /// Forgets what waits to be sent.
    pub(super) fn drop_schedule(&mut self) {
        self.schedule.clear();
    }

    /// Loses everything, from now on.
    pub(super) fn silence(&mut self) {
        self.silent = true;
        self.schedule.clear();
        self.flight.clear();
    }
}

/// How long so many bytes keep a link of this rate busy, rounded up to a nanosecond.
fn time_on_link(bytes: usize, rate: u64) -> Duration {
    let nanos = (bytes as u64 * 1_000_000_000).div_ceil(rate.max(1));
    Duration::from_nanos(nanos)
}

/// The payload of a packet, which is as large as quinn's before it has probed the path.
const PACKET_SIZE: usize = 1200;
