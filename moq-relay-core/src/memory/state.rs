use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::memory::config::Config;
use crate::memory::error::Error;
use crate::memory::flow::{Duplex, Flow, FlowId, Side};
use crate::memory::link::{Event, Link};
use crate::memory::signals::Effects;

/// Both ends and the links between them, as a state machine without a clock of its own.
///
/// Operations change what their own end knows and send events; [`advance`](Self::advance) moves
/// the events over the links and changes what the other end knows.
pub(super) struct State {
    pub(super) ends: [End; 2],
    /// What each end sends, by sender.
    pub(super) links: [Link; 2],
    pub(super) flows: BTreeMap<FlowId, Flow>,
    next_flow: u64,
    /// The time up to which everything has happened.
    pub(super) now: Instant,
    /// When what is in flight needs attention, as the clock was last told.
    alarm: Option<Instant>,
    pub(super) stream_window: usize,
    pub(super) session_window: usize,
    idle: Option<Duration>,
    cut: bool,
    /// When both ends give up on the cut link.
    timeout: Option<Instant>,
    pub(super) effects: Effects,
}

/// What one end knows.
#[derive(Default)]
pub(super) struct End {
    /// Why the session is over.
    pub(super) error: Option<Error>,
    /// Unidirectional streams that arrived and were not accepted yet.
    pub(super) arrived_uni: VecDeque<FlowId>,
    /// Bidirectional streams that arrived and were not accepted yet.
    pub(super) arrived_bi: VecDeque<Duplex>,
    /// Bytes written to any stream and not yet known to be read.
    pub(super) held: usize,
    /// Flows whose writers wait for the session's window, in the order they came.
    pub(super) blocked: Vec<FlowId>,
    /// Payload bytes that left.
    pub(super) sent: u64,
    /// Payload bytes that arrived.
    pub(super) received: u64,
}

/// What happens next.
#[derive(Clone, Copy)]
enum Step {
    TimeOut,
    /// Something this end sent arrives.
    Arrive(Side),
    /// This end sends a packet.
    Depart(Side),
}

impl State {
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        Self {
            ends: Default::default(),
            links: Side::BOTH.map(|_| Link::new(config.delay, config.rate, now)),
            flows: BTreeMap::new(),
            next_flow: 0,
            now,
            alarm: None,
            stream_window: config.stream_window.max(1),
            session_window: config.session_window.max(1),
            idle: config.idle,
            cut: false,
            timeout: None,
            effects: Effects::default(),
        }
    }

    /// Opens a stream. The other end learns of it by its first bytes.
    pub(super) fn open_uni(
        &mut self,
        opener: Side,
        permit: OwnedSemaphorePermit,
    ) -> Result<FlowId, Error> {
        self.check(opener)?;
        Ok(self.add(Flow::new(opener, opener, Arc::new(permit))))
    }

    /// Opens a stream. The other end learns of it by its first bytes.
    pub(super) fn open_bi(
        &mut self,
        opener: Side,
        permit: OwnedSemaphorePermit,
    ) -> Result<Duplex, Error> {
        self.check(opener)?;
        let permit = Arc::new(permit);
        let recv = self.add(Flow::new(opener.other(), opener, permit.clone()));
        let answer = Some(recv);
        let send = self.add(Flow {
            answer,
            ..Flow::new(opener, opener, permit)
        });
        Ok(Duplex { send, recv })
    }

    /// Takes the next stream that arrived, even after the session is over.
    pub(super) fn accept_uni(&mut self, side: Side) -> Option<Result<FlowId, Error>> {
        let end = &mut self.ends[side.index()];
        end.arrived_uni
            .pop_front()
            .map(Ok)
            .or_else(|| end.error.clone().map(Err))
    }

    /// Takes the next stream that arrived, even after the session is over.
    pub(super) fn accept_bi(&mut self, side: Side) -> Option<Result<Duplex, Error>> {
        let end = &mut self.ends[side.index()];
        end.arrived_bi
            .pop_front()
            .map(Ok)
            .or_else(|| end.error.clone().map(Err))
    }

    /// Fails once the session is over for an end.
    pub(super) fn check(&self, side: Side) -> Result<(), Error> {
        self.ends[side.index()].error.clone().map_or(Ok(()), Err)
    }

    /// Closes the session from one end. What has not left that end is lost.
    pub(super) fn close(&mut self, side: Side, code: u32, reason: &str) {
        if self.ends[side.index()].error.is_none() {
            self.fail(side, Error::LocallyClosed);
            let reason = reason.to_owned();
            self.post(side, Event::Close { code, reason });
        }
    }

    /// Silences both links for good.
    pub(super) fn cut(&mut self) {
        if !self.cut {
            self.cut = true;
            self.links.iter_mut().for_each(Link::silence);
            self.timeout = self.idle.map(|idle| self.now + idle);
        }
    }

    /// Puts an event that takes no room on the link of the end that sends it.
    pub(super) fn post(&mut self, sender: Side, event: Event) {
        self.links[sender.index()].send(self.now, event);
    }

    /// Lets everything happen that happens until then, in order.
    pub(super) fn advance(&mut self, until: Instant) {
        while let Some((at, step)) = self.next_step() {
            if at > until {
                break;
            }
            self.now = self.now.max(at);
            match step {
                Step::TimeOut => self.time_out(),
                Step::Arrive(sender) => self.arrive(sender),
                Step::Depart(sender) => self.transmit(sender),
            }
        }
        self.now = self.now.max(until);
    }

    /// Notes when something will need attention, and tells if that is sooner than noted before.
    pub(super) fn set_alarm(&mut self) -> bool {
        let next = self.next_step().map(|(at, _)| at);
        let sooner = next.is_some_and(|next| self.alarm.is_none_or(|alarm| next < alarm));
        self.alarm = next;
        sooner
    }

    pub(super) fn alarm(&self) -> Option<Instant> {
        self.alarm
    }

    /// Whether every stream has been forgotten and every window is empty.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.flows.is_empty() && self.ends.iter().all(|end| end.held == 0)
    }

    /// Forgets a flow that nobody can ask for again.
    pub(super) fn sweep(&mut self, id: FlowId) {
        if self.flows.get(&id).is_some_and(Flow::is_over) {
            self.flows.remove(&id);
        }
    }

    /// The earliest step; of those at the same time the one that is listed first.
    fn next_step(&self) -> Option<(Instant, Step)> {
        let [first, second] = &self.links;
        let steps = [
            (self.timeout, Step::TimeOut),
            (first.next_arrival(), Step::Arrive(Side::First)),
            (second.next_arrival(), Step::Arrive(Side::Second)),
            (first.next_departure(self.now), Step::Depart(Side::First)),
            (second.next_departure(self.now), Step::Depart(Side::Second)),
        ];
        let due = steps.into_iter().filter_map(|(at, step)| Some((at?, step)));
        due.min_by_key(|(at, _)| *at)
    }

    fn time_out(&mut self) {
        self.timeout = None;
        for side in Side::BOTH {
            self.fail(side, Error::TimedOut);
        }
    }

    /// Ends the session as one end sees it, and wakes everything that waits there.
    fn fail(&mut self, side: Side, error: Error) {
        let end = &mut self.ends[side.index()];
        if end.error.is_some() {
            return;
        }
        end.error = Some(error);
        self.effects.over(side);
        for flow in self.flows.values_mut() {
            if flow.writer == side {
                self.effects.wake(&mut flow.send.waker);
            } else {
                self.effects.wake(&mut flow.recv.waker);
            }
        }
        self.links[side.index()].drop_schedule();
    }

    /// Lets an end know of the next thing that arrives. After its session is over it does not
    /// listen any more.
    fn arrive(&mut self, sender: Side) {
        let Some(event) = self.links[sender.index()].arrive() else {
            return;
        };
        let side = sender.other();
        if self.ends[side.index()].error.is_some() {
            return;
        }
        match event {
            Event::Data { flow, chunk } => self.on_data(flow, chunk),
            Event::Fin { flow } => self.on_fin(flow),
            Event::Reset { flow, code } => self.on_reset(flow, code),
            Event::Stop { flow, code } => self.on_stop(flow, code),
            Event::Credit { flow, bytes } => self.on_credit(flow, bytes),
            Event::Acked { flow } => self.on_acked(flow),
            Event::Done { flow } => self.on_done(flow),
            Event::Close { code, reason } => self.fail(side, Error::Closed { code, reason }),
        }
    }

    fn add(&mut self, flow: Flow) -> FlowId {
        let id = FlowId(self.next_flow);
        self.next_flow += 1;
        self.flows.insert(id, flow);
        id
    }
}
