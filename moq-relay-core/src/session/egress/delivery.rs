//! One group on its way to one subscriber.

use std::sync::Arc;
use std::time::Duration;

use moq_transfork::message::{GroupHeader, GroupOrder};
use moq_transfork::stream::{GroupWriter, StreamError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use web_transport_trait as wt;

use crate::error::Error;
use crate::model::group::GroupConsumer;
use crate::model::subscription::Subscription;
use crate::session::priority::stream_priority;
use crate::session::state::State;

/// What a subscription's deliveries need to know of it while they are under way.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    pub(super) subscription: Subscription,
    /// The order in force: the subscriber's, or the publisher's own.
    pub(super) order: GroupOrder,
    /// The newest group that is on its way.
    pub(super) newest: u64,
    /// Groups before this one are given up.
    pub(super) floor: u64,
    /// Set when the subscriber is gone: everything is given up.
    pub(super) ended: bool,
}

/// How a delivery ended.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) sequence: u64,
    /// `Ok` if the peer has the whole group.
    pub(super) outcome: Result<(), Error>,
}

/// Sends a group to its end, or until it is given up.
pub(super) async fn deliver<S: wt::Session>(
    state: Arc<State<S>>,
    subscribe: u64,
    mut writer: GroupWriter<S>,
    mut group: GroupConsumer,
    mut pace: watch::Receiver<Pace>,
) -> Delivered {
    let sequence = group.sequence();
    let opened = Instant::now();
    let header = GroupHeader {
        subscribe,
        sequence,
    };
    let watched = group.clone();
    let max_backlog = state.context.limits.max_backlog;
    let mut begun = false;
    let outcome = tokio::select! {
        biased;
        error = given_up(&watched, pace.clone(), max_backlog) => Err(error),
        sent = send(&state, &mut writer, header, &mut group, &mut pace, &mut begun) => sent,
    };
    match &outcome {
        Ok(()) => state.context.stats.groups_delivered.add(1),
        Err(error) => {
            state.context.stats.groups_given_up.add(1);
            if begun {
                state.abandon(writer, error.code(), opened);
            } else {
                state.return_unused(writer);
            }
        }
    }
    Delivered { sequence, outcome }
}

/// Sends everything that is there, in one write each time there is more, and the end. Sets `begun`
/// once anything was written.
async fn send<S: wt::Session>(
    state: &State<S>,
    writer: &mut GroupWriter<S>,
    header: GroupHeader,
    group: &mut GroupConsumer,
    pace: &mut watch::Receiver<Pace>,
    begun: &mut bool,
) -> Result<(), Error> {
    let sequence = header.sequence;
    pace.mark_changed();
    loop {
        let bytes = group.read_wire().await?;
        if pace.has_changed().unwrap_or(false) {
            let pace = pace.borrow_and_update();
            let track = pace.subscription.priority;
            writer.set_priority(stream_priority(track, pace.order, sequence));
        }
        if !*begun {
            *begun = true;
            writer.header(&header)?;
        }
        let Some(bytes) = bytes else { break };
        state.context.stats.bytes_delivered.add(bytes.len() as u64);
        writer.write(bytes).await?;
    }
    writer.finish().await?;
    // Until the peer has it, the group can still be given up to make way for newer ones.
    match writer.closed().await {
        // The subscriber did not want the rest, which is its own choice.
        Ok(()) | Err(StreamError::Reset(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits until the group is of no more use to the subscriber, and says why.
async fn given_up(
    group: &GroupConsumer,
    mut pace: watch::Receiver<Pace>,
    max_backlog: Duration,
) -> Error {
    let mut outrun_since = None;
    loop {
        let (deadline, may_expire) = {
            let pace = pace.borrow_and_update();
            if pace.ended || !pace.wants(group.sequence()) {
                return Error::Cancelled;
            }
            if group.sequence() < pace.floor {
                return Error::Expired;
            }
            // A group that its publisher still writes is not late, however many are newer.
            if pace.outran(group.sequence()) && group.finished_at().is_some() {
                outrun_since.get_or_insert_with(Instant::now);
            }
            let outrun = outrun_since.map(|since| since + max_backlog);
            let expires = pace.subscription.expires;
            let expired = group
                .finished_at()
                .filter(|_| !expires.is_zero())
                .map(|at| at + expires);
            // Both count from the group's end.
            let may_expire = !expires.is_zero() || pace.outran(group.sequence());
            (outrun.into_iter().chain(expired).min(), may_expire)
        };
        let open = group.finished_at().is_none();
        tokio::select! {
            biased;
            changed = pace.changed() => {
                if changed.is_err() {
                    return Error::Cancelled;
                }
            }
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                return Error::Expired;
            }
            _at = group.finished(), if open && may_expire => {}
        }
    }
}

impl Pace {
    /// True if the group is in the range that the subscriber wants.
    fn wants(&self, sequence: u64) -> bool {
        self.subscription.min.is_none_or(|min| sequence >= min)
            && self.subscription.max.is_none_or(|max| sequence <= max)
    }

    /// True if a newer group goes before this one.
    fn outran(&self, sequence: u64) -> bool {
        self.order != GroupOrder::Ascending && sequence < self.newest
    }
}
