//! One group on its way to one subscriber.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moq_transfork::message::GroupHeader;
use moq_transfork::stream::{GroupWriter, StreamError};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};
use web_transport_trait as wt;

use crate::error::Error;
use crate::model::group::GroupConsumer;
use crate::session::egress::pace::Pace;
use crate::session::priority::stream_priority;
use crate::session::state::State;

/// How far a delivery has come.
pub(super) enum Progress {
    /// The transport has the whole group. What remains is that the peer acknowledges it.
    Sent(BoxFuture<'static, Delivered>),
    /// It is over.
    Ended(Delivered),
}

/// How a delivery ended.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) sequence: u64,
    /// `Ok` if the peer has the whole group.
    pub(super) outcome: Result<(), Error>,
}

/// One group on its way.
pub(super) struct Delivery<S: wt::Session> {
    state: Arc<State<S>>,
    writer: GroupWriter<S>,
    group: GroupConsumer,
    pace: watch::Receiver<Pace>,
    opened: Instant,
    /// True once anything was written.
    begun: bool,
}

impl<S: wt::Session> Delivery<S> {
    pub(super) fn new(
        state: Arc<State<S>>,
        writer: GroupWriter<S>,
        group: GroupConsumer,
        mut pace: watch::Receiver<Pace>,
    ) -> Self {
        // The first look at the pace sets the stream's priority.
        pace.mark_changed();
        Self {
            state,
            writer,
            group,
            pace,
            opened: Instant::now(),
            begun: false,
        }
    }

    /// Sends the group to its end, or until it is given up. The other end of `outrun` is dropped
    /// when a newer group of the track is on its way.
    pub(super) async fn run(mut self, subscribe: u64, outrun: oneshot::Receiver<()>) -> Progress {
        let mut use_of = Use {
            group: self.group.clone(),
            pace: self.pace.clone(),
            max_backlog: self.state.context.limits.max_backlog,
            finished_at: None,
            outrun,
            outrun_at: None,
        };
        let sent = tokio::select! {
            biased;
            error = use_of.ended() => Err(error),
            sent = self.send(subscribe) => sent,
        };
        match sent {
            Ok(()) => Progress::Sent(self.acknowledged(use_of).boxed()),
            Err(error) => Progress::Ended(self.end(Err(error))),
        }
    }

    /// Sends everything that is there, in one write each time there is more, and the end.
    async fn send(&mut self, subscribe: u64) -> Result<(), Error> {
        loop {
            let bytes = self.group.read_wire().await?;
            if self.pace.has_changed().unwrap_or(false) {
                self.follow_priority();
            }
            if !self.begun {
                self.begun = true;
                let sequence = self.group.sequence();
                self.writer.header(&GroupHeader {
                    subscribe,
                    sequence,
                })?;
            }
            let Some(bytes) = bytes else { break };
            let stats = &self.state.context.stats;
            stats.bytes_delivered.add(bytes.len() as u64);
            tokio::select! {
                biased;
                written = self.writer.write(bytes) => written?,
                // The subscriber is slow, and what it waits for is gone.
                error = self.group.cut() => return Err(error),
            }
        }
        Ok(self.writer.finish().await?)
    }

    /// Waits until the peer has it all: until then the group can still be given up to make way for
    /// newer ones.
    async fn acknowledged(mut self, mut use_of: Use) -> Delivered {
        let outcome = loop {
            tokio::select! {
                biased;
                error = use_of.ended() => break Err(error),
                Ok(()) = self.pace.changed() => self.follow_priority(),
                closed = self.writer.closed() => break match closed {
                    // The subscriber did not want the rest, which is its own choice.
                    Ok(()) | Err(StreamError::Reset(_)) => Ok(()),
                    Err(error) => Err(error.into()),
                },
            }
        };
        self.end(outcome)
    }

    fn follow_priority(&mut self) {
        let pace = self.pace.borrow_and_update();
        let track = pace.subscription.priority;
        let priority = stream_priority(track, pace.order(), self.group.sequence());
        self.writer.set_priority(priority);
    }

    fn end(self, outcome: Result<(), Error>) -> Delivered {
        let stats = &self.state.context.stats;
        match &outcome {
            Ok(()) => stats.groups_delivered.add(1),
            Err(error) => {
                stats.groups_given_up.add(1);
                if self.begun {
                    self.state.abandon(self.writer, error.code(), self.opened);
                } else {
                    self.state.return_unused(self.writer);
                }
            }
        }
        Delivered {
            sequence: self.group.sequence(),
            outcome,
        }
    }
}

/// Of what use a group still is to its subscriber.
struct Use {
    group: GroupConsumer,
    pace: watch::Receiver<Pace>,
    max_backlog: Duration,
    finished_at: Option<Instant>,
    outrun: oneshot::Receiver<()>,
    /// When a newer group was seen to be on its way.
    outrun_at: Option<Instant>,
}

impl Use {
    /// Waits until the group is of no more use, and says why. Cancel-safe.
    async fn ended(&mut self) -> Error {
        loop {
            if let Some(error) = self.given_up() {
                return error;
            }
            let due = self.due();
            let may_expire = self.may_expire();
            tokio::select! {
                biased;
                changed = self.pace.changed() => {
                    if changed.is_err() {
                        return Error::Cancelled;
                    }
                }
                _newer = &mut self.outrun, if self.outrun_at.is_none() => {
                    self.outrun_at = Some(Instant::now());
                }
                at = self.group.finished(), if self.finished_at.is_none() && may_expire => {
                    self.finished_at = Some(at);
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    return Error::Expired;
                }
            }
        }
    }

    fn given_up(&mut self) -> Option<Error> {
        let pace = self.pace.borrow_and_update();
        let sequence = self.group.sequence();
        if pace.ended || !pace.wants(sequence) {
            return Some(Error::Cancelled);
        }
        (sequence < pace.floor).then_some(Error::Expired)
    }

    /// True if a time to live counts from the group's end, or will.
    fn may_expire(&self) -> bool {
        let pace = self.pace.borrow();
        !pace.expires().is_zero() || (pace.is_descending() && self.outrun_at.is_some())
    }

    /// When the group is too old, as far as that is known yet.
    fn due(&self) -> Option<Instant> {
        // A group that its publisher still writes is not late, however many are newer.
        let finished_at = self.finished_at?;
        let pace = self.pace.borrow();
        let expires = pace.expires();
        let expired = (!expires.is_zero()).then(|| finished_at + expires);
        let outrun_at = self.outrun_at.filter(|_| pace.is_descending());
        let outrun = outrun_at.map(|at| at.max(finished_at) + self.max_backlog);
        outrun.into_iter().chain(expired).min()
    }
}
