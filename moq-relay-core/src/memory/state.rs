use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::flow::{Duplex, Flow, FlowId, Side};
use super::link::{Event, Link};
use super::shared::Effects;
use super::{Config, Error};

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
    /// When what is in flight needs attention, as the task was last told.
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
    pub(super) arrived_uni: Arrivals<FlowId>,
    pub(super) arrived_bi: Arrivals<Duplex>,
    /// Who waits for the session to be over.
    watchers: Vec<Waker>,
    /// Bytes written to any stream and not yet known to be read.
    pub(super) held: usize,
    /// Flows whose writers wait for the session's window, in the order they came.
    pub(super) blocked: Vec<FlowId>,
    pub(super) sent: u64,
    pub(super) received: u64,
}

/// Streams of one kind that arrived and were not accepted yet.
pub(super) struct Arrivals<T> {
    streams: VecDeque<T>,
    acceptors: Vec<Waker>,
}

/// What happens next on a link.
enum Step {
    TimeOut,
    Arrive(Side),
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

    pub(super) fn poll_accept_uni(
        &mut self,
        side: Side,
        waker: &Waker,
    ) -> Poll<Result<FlowId, Error>> {
        let end = &mut self.ends[side.index()];
        end.arrived_uni.poll(&end.error, waker)
    }

    pub(super) fn poll_accept_bi(
        &mut self,
        side: Side,
        waker: &Waker,
    ) -> Poll<Result<Duplex, Error>> {
        let end = &mut self.ends[side.index()];
        end.arrived_bi.poll(&end.error, waker)
    }

    pub(super) fn poll_closed(&mut self, side: Side, waker: &Waker) -> Poll<Error> {
        let end = &mut self.ends[side.index()];
        if let Some(error) = &end.error {
            return Poll::Ready(error.clone());
        }
        register(&mut end.watchers, waker);
        Poll::Pending
    }

    /// Closes the session from one end, with what has not left it yet lost.
    pub(super) fn close(&mut self, side: Side, code: u32, reason: &str) {
        if self.ends[side.index()].error.is_none() {
            self.fail(side, Error::LocallyClosed);
            let reason = reason.to_owned();
            self.post(side, Event::Close { code, reason });
        }
    }

    /// Ends the session as one end sees it.
    pub(super) fn fail(&mut self, side: Side, error: Error) {
        let end = &mut self.ends[side.index()];
        if end.error.is_some() {
            return;
        }
        end.error = Some(error);
        self.effects.wake_all(&mut end.watchers);
        self.effects.wake_all(&mut end.arrived_uni.acceptors);
        self.effects.wake_all(&mut end.arrived_bi.acceptors);
        for flow in self.flows.values_mut() {
            let waker = if flow.writer == side {
                &mut flow.send.waker
            } else {
                &mut flow.recv.waker
            };
            self.effects.wake(waker);
        }
        self.links[side.index()].drop_schedule();
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
        if !self.cut {
            self.links[sender.index()].send(self.now, event);
        }
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
                Step::Arrive(sender) => {
                    if let Some(event) = self.links[sender.index()].arrive() {
                        self.apply(sender.other(), event);
                    }
                }
                Step::Depart(sender) => self.transmit(sender),
            }
        }
        self.now = self.now.max(until);
    }

    /// Notes when something will need attention; whether that is sooner than noted before.
    pub(super) fn set_alarm(&mut self) -> bool {
        let next = self.next_step().map(|(at, _)| at);
        let sooner = next.is_some_and(|next| self.alarm.is_none_or(|alarm| next < alarm));
        self.alarm = next;
        sooner
    }

    pub(super) fn alarm(&self) -> Option<Instant> {
        self.alarm
    }

    fn next_step(&self) -> Option<(Instant, Step)> {
        let timeout = self.timeout.map(|at| (at, Step::TimeOut));
        let arrivals = Side::BOTH.into_iter().filter_map(|sender| {
            let at = self.links[sender.index()].next_arrival()?;
            Some((at, Step::Arrive(sender)))
        });
        let departures = Side::BOTH.into_iter().filter_map(|sender| {
            let at = self.links[sender.index()].next_departure()?;
            Some((at.max(self.now), Step::Depart(sender)))
        });
        let steps = timeout.into_iter().chain(arrivals).chain(departures);
        steps.min_by_key(|(at, _)| *at)
    }

    fn time_out(&mut self) {
        self.timeout = None;
        for side in Side::BOTH {
            self.fail(side, Error::TimedOut);
        }
    }

    /// Lets an end know of what has arrived. After its session is over it listens no more.
    fn apply(&mut self, side: Side, event: Event) {
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

    fn check(&self, side: Side) -> Result<(), Error> {
        self.ends[side.index()].error.clone().map_or(Ok(()), Err)
    }

    fn add(&mut self, flow: Flow) -> FlowId {
        let id = FlowId(self.next_flow);
        self.next_flow += 1;
        self.flows.insert(id, flow);
        id
    }

    /// Forgets a flow that nobody can ask for again.
    pub(super) fn sweep(&mut self, id: FlowId) {
        if self.flows.get(&id).is_some_and(Flow::is_over) {
            self.flows.remove(&id);
        }
    }
}

impl<T> Arrivals<T> {
    pub(super) fn push(&mut self, stream: T, effects: &mut Effects) {
        self.streams.push_back(stream);
        effects.wake_all(&mut self.acceptors);
    }

    /// Takes the next stream. What arrived before the session was over can still be taken.
    fn poll(&mut self, over: &Option<Error>, waker: &Waker) -> Poll<Result<T, Error>> {
        if let Some(stream) = self.streams.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        if let Some(error) = over {
            return Poll::Ready(Err(error.clone()));
        }
        register(&mut self.acceptors, waker);
        Poll::Pending
    }
}

impl<T> Default for Arrivals<T> {
    fn default() -> Self {
        Self {
            streams: VecDeque::new(),
            acceptors: Vec::new(),
        }
    }
}

/// Adds a waker unless it is there already, so that polling again does not grow the list.
fn register(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers.iter().any(|known| known.will_wake(waker)) {
        wakers.push(waker.clone());
    }
}
