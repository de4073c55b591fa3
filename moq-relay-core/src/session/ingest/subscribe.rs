//! Subscribes to a track of a peer, once, with the demand of all its readers.

use std::sync::Arc;
use std::time::Duration;

use moq_transfork::code::Code;
use moq_transfork::message::{Subscribe, SubscribeUpdate};
use moq_transfork::stream::{SubscribeReplies, SubscribeRequest, subscribe};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{Instrument, debug, info, info_span};
use web_transport_trait as wt;

use crate::error::Error;
use crate::model::subscription::Subscription;
use crate::model::track::{Gap, TrackInfo, TrackProducer};
use crate::session::ingest::known_latest;
use crate::session::peer::Peer;
use crate::session::state::State;

/// How often a track gives up groups that are too old, whether new ones come or not.
const EXPIRE_PERIOD: Duration = Duration::from_secs(1);

/// Why a subscription was left.
enum Left {
    /// The publisher ended the track.
    Finished,
    /// Nobody wants the track any more.
    Unused,
    /// The readers want more than was subscribed to.
    Widened,
    /// The readers have gone to another publisher.
    Superseded,
}

/// One SUBSCRIBE in force. Dropping it ends the track, if nothing else has.
struct Upstream<S: wt::Session> {
    state: Arc<State<S>>,
    id: u64,
}

/// Takes the track out of the peer's table, whichever way the task ends.
struct Entry<S: wt::Session> {
    state: Arc<State<S>>,
    peer: Peer,
    track: Arc<TrackProducer>,
}

/// Keeps a track fed for as long as anybody reads it, and a moment longer.
pub(in crate::session) async fn run<S: wt::Session>(
    state: Arc<State<S>>,
    peer: Peer,
    track: TrackProducer,
) -> Result<(), Error> {
    let span = info_span!("upstream", path = %track.path());
    let entry = Entry {
        state: state.clone(),
        peer,
        track: Arc::new(track),
    };
    async {
        let track = &entry.track;
        let outcome = tokio::select! {
            outcome = follow(&state, track) => outcome,
            never = expire(track) => never,
        };
        match outcome {
            Ok(()) => debug!("subscription ends"),
            Err(ref error) => info!(%error, "subscription fails"),
        }
        track.end(outcome);
    }
    .instrument(span)
    .await;
    Ok(())
}

/// Subscribes, and again whenever the readers want more than a SUBSCRIBE in force can give.
async fn follow<S: wt::Session>(
    state: &Arc<State<S>>,
    track: &Arc<TrackProducer>,
) -> Result<(), Error> {
    // The one before stays in force until the next one is.
    let mut before = None;
    loop {
        let demand = track.demand().unwrap_or_default();
        let upstream = Upstream::new(state, track);
        let (mut request, mut replies) = upstream.subscribe(track, &demand).await?;
        let info = replies.info().await?;
        let own = TrackInfo {
            priority: info.priority,
            order: info.order,
            expires: info.expires,
        };
        track.set_info(own, known_latest(&info));
        drop(before.take());
        let left = tokio::select! {
            left = read_gaps(&mut replies, track) => left?,
            left = follow_demand(state, &mut request, track, demand) => left?,
            () = track.superseded() => Left::Superseded,
        };
        match left {
            Left::Finished => {
                // Groups may still be under way: they travel on streams of their own.
                sleep(state.context.limits.linger).await;
                return Ok(());
            }
            Left::Superseded => {
                // The peer would cut the groups that are still under way.
                let settled = track.settled();
                let _cut = timeout(state.context.limits.max_backlog, settled).await;
                let _gone = request.finish();
                replies.stop(Code::CANCEL);
                return Ok(());
            }
            Left::Unused => {
                let _gone = request.finish();
                replies.stop(Code::CANCEL);
                return Ok(());
            }
            Left::Widened => before = Some((upstream, request, replies)),
        }
    }
}

/// Learns of groups that will not come, until the publisher ends the track.
async fn read_gaps<S: wt::Session>(
    replies: &mut SubscribeReplies<S>,
    track: &TrackProducer,
) -> Result<Left, Error> {
    while let Some(gap) = replies.gap().await? {
        let end = gap.start.saturating_add(gap.count);
        track.skip(Gap {
            groups: gap.start..=end,
            code: gap.code,
        });
    }
    Ok(Left::Finished)
}

/// Passes on what the readers want, until nobody is left.
async fn follow_demand<S: wt::Session>(
    state: &State<S>,
    request: &mut SubscribeRequest<S>,
    track: &TrackProducer,
    mut demand: Subscription,
) -> Result<Left, Error> {
    let subscribed = demand.clone();
    loop {
        tokio::select! {
            () = unused(track, state.context.limits.linger) => return Ok(Left::Unused),
            changed = track.demand_changed(&demand) => demand = changed,
        }
        if !subscribed.covers(&demand) {
            return Ok(Left::Widened);
        }
        if state.dialect.has_subscribe_update() {
            // The range stays: it could not be widened again for the next reader.
            let update = SubscribeUpdate {
                priority: demand.priority,
                order: demand.order,
                expires: demand.expires,
                min: subscribed.min,
                max: subscribed.max,
            };
            request.update(&update).await?;
        }
    }
}

/// Waits until the track is closed for want of readers.
async fn unused(track: &TrackProducer, linger: Duration) {
    loop {
        track.unused().await;
        sleep(linger).await;
        if track.close_if_unused() {
            return;
        }
    }
}

async fn expire(track: &TrackProducer) -> Result<(), Error> {
    let mut ticks = interval(EXPIRE_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        track.expire();
    }
}

impl<S: wt::Session> Upstream<S> {
    fn new(state: &Arc<State<S>>, track: &Arc<TrackProducer>) -> Self {
        let id = state.add_upstream(track.clone());
        state.context.stats.upstreams_total.add(1);
        state.context.stats.upstreams.add(1);
        state.tally.upstream_begins();
        Self {
            state: state.clone(),
            id,
        }
    }

    async fn subscribe(
        &self,
        track: &TrackProducer,
        demand: &Subscription,
    ) -> Result<(SubscribeRequest<S>, SubscribeReplies<S>), Error> {
        let message = Subscribe {
            id: self.id,
            path: track.path().clone(),
            priority: demand.priority,
            order: demand.order,
            expires: demand.expires,
            min: demand.min,
            max: demand.max,
        };
        debug!(id = self.id, "subscribes");
        Ok(subscribe(&self.state.session, self.state.dialect, &message).await?)
    }
}

impl<S: wt::Session> Drop for Upstream<S> {
    fn drop(&mut self) {
        self.state.remove_upstream(self.id);
        self.state.context.stats.upstreams.subtract(1);
        self.state.tally.upstream_ends();
    }
}

impl<S: wt::Session> Drop for Entry<S> {
    fn drop(&mut self) {
        self.track.end(Err(Error::Dropped));
        self.peer.shelve(&self.track);
        if let Some(tidy) = self.peer.tidy() {
            self.state.chore(tidy);
        }
    }
}
