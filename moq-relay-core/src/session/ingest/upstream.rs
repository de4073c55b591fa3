//! One SUBSCRIBE of ours, for as long as it is in force.

use std::sync::Arc;
use std::time::Duration;

use moq_transfork::code::Code;
use moq_transfork::message::{Subscribe, SubscribeUpdate};
use moq_transfork::stream::{SubscribeReplies, SubscribeRequest, subscribe};
use tokio::time::sleep;
use tracing::debug;
use web_transport_trait as wt;

use crate::error::Error;
use crate::model::subscription::{Reach, Subscription};
use crate::model::track::{Gap, TrackProducer};
use crate::session::ingest::intake::Intake;
use crate::session::ingest::lost;
use crate::session::state::State;

/// Why a subscription was left.
pub(super) enum Left {
    /// The publisher ended the track.
    Finished,
    /// Nobody wants the track any more.
    Unused,
    /// The readers want more than was subscribed to.
    Widened,
    /// The readers have gone to another publisher.
    Superseded,
}

/// One SUBSCRIBE in force. Dropping it ends it, and with it the groups that are being received.
pub(super) struct Upstream<S: wt::Session> {
    registration: Registration<S>,
    /// What was asked for, as it stands.
    subscribed: Subscription,
    request: SubscribeRequest<S>,
    pub(super) replies: SubscribeReplies<S>,
}

/// A subscribe id of ours and where its groups go, for as long as it lives.
struct Registration<S: wt::Session> {
    state: Arc<State<S>>,
    id: u64,
    intake: Arc<Intake>,
}

impl<S: wt::Session> Upstream<S> {
    pub(super) async fn open(
        state: &Arc<State<S>>,
        track: &Arc<TrackProducer>,
        demand: Subscription,
    ) -> Result<Self, Error> {
        let registration = Registration::new(state, track);
        let message = Subscribe {
            id: registration.id,
            path: track.path().clone(),
            priority: demand.priority,
            order: demand.order,
            expires: demand.expires,
            min: demand.min,
            max: demand.max,
        };
        debug!(id = registration.id, "subscribes");
        let opened = subscribe(&state.session, state.dialect, &message).await;
        let (request, replies) = opened.map_err(lost)?;
        Ok(Self {
            registration,
            subscribed: demand,
            request,
            replies,
        })
    }

    /// Keeps the SUBSCRIBE in force until it is left for whatever reason.
    pub(super) async fn serve(
        &mut self,
        track: &TrackProducer,
        latest: u64,
    ) -> Result<Left, Error> {
        let reach = Reach::new(&self.subscribed, latest);
        let state = &self.registration.state;
        let (request, subscribed) = (&mut self.request, &mut self.subscribed);
        tokio::select! {
            left = read_gaps(&mut self.replies, track) => left,
            left = follow_demand(state, request, track, subscribed, reach) => left,
        }
    }

    /// Ends the subscription.
    pub(super) fn leave(mut self) {
        let _gone = self.request.finish();
        self.replies.stop(Code::CANCEL);
    }

    /// Lets the groups up to `latest` end, and leaves: what is newer comes by another SUBSCRIBE.
    pub(super) async fn retire(mut self, latest: u64) {
        let intake = self.registration.intake.clone();
        intake.close_after(latest);
        let update = SubscribeUpdate {
            max: Some(latest),
            ..message(&self.subscribed)
        };
        if self.request.update(&update).await.is_ok() {
            // Groups may be on their way of which nothing has arrived yet.
            sleep(self.registration.state.context.limits.linger).await;
            intake.idle().await;
        }
        self.leave();
    }
}

/// Learns of groups that will not come, until the publisher ends the track.
async fn read_gaps<S: wt::Session>(
    replies: &mut SubscribeReplies<S>,
    track: &TrackProducer,
) -> Result<Left, Error> {
    while let Some(gap) = replies.gap().await.map_err(lost)? {
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
    subscribed: &mut Subscription,
    reach: Reach,
) -> Result<Left, Error> {
    let mut known = subscribed.clone();
    loop {
        let demand = tokio::select! {
            () = unused(track, state.context.limits.linger) => return Ok(Left::Unused),
            demand = track.demand_changed(&known) => demand,
        };
        if !reach.covers(&demand, track.newest()) {
            return Ok(Left::Widened);
        }
        // The range stays: it could not be widened again for the next reader.
        let update = Subscription {
            min: subscribed.min,
            max: subscribed.max,
            ..demand.clone()
        };
        if update != *subscribed {
            request.update(&message(&update)).await.map_err(lost)?;
            *subscribed = update;
        }
        known = demand;
    }
}

/// Waits until the track is closed for want of readers.
pub(super) async fn unused(track: &TrackProducer, linger: Duration) {
    loop {
        track.unused().await;
        sleep(linger).await;
        if track.close_if_unused() {
            return;
        }
    }
}

fn message(subscription: &Subscription) -> SubscribeUpdate {
    SubscribeUpdate {
        priority: subscription.priority,
        order: subscription.order,
        expires: subscription.expires,
        min: subscription.min,
        max: subscription.max,
    }
}

impl<S: wt::Session> Registration<S> {
    fn new(state: &Arc<State<S>>, track: &Arc<TrackProducer>) -> Self {
        let intake = Arc::new(Intake::new(track.clone()));
        let id = state.add_upstream(intake.clone());
        state.context.stats.upstreams_total.add(1);
        state.context.stats.upstreams.add(1);
        state.tally.upstream_begins();
        Self {
            state: state.clone(),
            id,
            intake,
        }
    }
}

impl<S: wt::Session> Drop for Registration<S> {
    fn drop(&mut self) {
        self.state.remove_upstream(self.id);
        self.state.context.stats.upstreams.subtract(1);
        self.state.tally.upstream_ends();
    }
}
