//! One SUBSCRIBE of ours, for as long as it is in force.

use std::sync::Arc;
use std::time::Duration;

use moq_transfork::message::{Subscribe, SubscribeUpdate};
use moq_transfork::stream::{SubscribeReplies, SubscribeRequest, subscribe};
use tokio::time::sleep;
use tracing::debug;
use web_transport_trait as wt;

use crate::error::Error;
use crate::model::subscription::{Reach, Subscription};
use crate::model::track::{Gap, TrackInfo, TrackProducer};
use crate::session::ingest::intake::Intake;
use crate::session::ingest::{known_latest, lost};
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
    subscription: Open<S>,
    /// The publisher's newest group at the beginning.
    latest: u64,
    /// What the SUBSCRIBE brings; `None` if asking for more is of no use.
    reach: Option<Reach>,
}

/// A subscribe stream of ours, which is ended cleanly when it is dropped.
struct Open<S: wt::Session> {
    registration: Registration<S>,
    /// What was asked for, as it stands.
    subscribed: Subscription,
    request: SubscribeRequest<S>,
    replies: SubscribeReplies<S>,
}

/// A subscribe id of ours and where its groups go, for as long as it lives.
struct Registration<S: wt::Session> {
    state: Arc<State<S>>,
    id: u64,
    intake: Arc<Intake>,
}

impl<S: wt::Session> Upstream<S> {
    /// Subscribes with what the readers want by now, and learns what the track is.
    pub(super) async fn open(
        state: &Arc<State<S>>,
        track: &Arc<TrackProducer>,
    ) -> Result<Self, Error> {
        let demand = track.demand().unwrap_or_default();
        let mut subscription = Open::open(state, track, demand).await?;
        let info = subscription.replies.info().await.map_err(lost)?;
        let own = TrackInfo {
            priority: info.priority,
            order: info.order,
            expires: info.expires,
        };
        track.set_info(own, known_latest(&info));
        Ok(Self {
            reach: Some(Reach::new(&subscription.subscribed, info.latest)),
            latest: info.latest,
            subscription,
        })
    }

    /// The publisher's newest group when the SUBSCRIBE came into force.
    pub(super) fn latest(&self) -> u64 {
        self.latest
    }

    /// The publisher gives no more than this.
    pub(super) fn widen_no_more(&mut self) {
        self.reach = None;
    }

    /// Keeps the SUBSCRIBE in force, and up to date, until it is left for whatever reason.
    pub(super) async fn serve(&mut self, track: &TrackProducer) -> Result<Left, Error> {
        let Open {
            registration,
            subscribed,
            request,
            replies,
        } = &mut self.subscription;
        let linger = registration.state.context.limits.linger;
        tokio::select! {
            left = read_gaps(replies, track) => left,
            left = follow_demand(request, track, subscribed, self.reach) => left,
            () = track.superseded() => Ok(Left::Superseded),
            () = unused(track, linger) => Ok(Left::Unused),
        }
    }

    /// Keeps the SUBSCRIBE in force as it is, until it is left for whatever reason. Cancel-safe.
    pub(super) async fn hold(&mut self, track: &TrackProducer) -> Result<Left, Error> {
        let linger = self.subscription.registration.state.context.limits.linger;
        tokio::select! {
            left = read_gaps(&mut self.subscription.replies, track) => left,
            () = unused(track, linger) => Ok(Left::Unused),
        }
    }

    /// Lets the groups up to `latest` end, and leaves: what is newer comes by another SUBSCRIBE.
    pub(super) async fn retire(mut self, latest: u64) {
        let subscription = &mut self.subscription;
        let intake = subscription.registration.intake.clone();
        intake.close_after(latest);
        let update = SubscribeUpdate {
            max: Some(latest),
            ..message(&subscription.subscribed)
        };
        if subscription.request.update(&update).await.is_ok() {
            // Groups may be on their way of which nothing has arrived yet.
            sleep(subscription.registration.state.context.limits.linger).await;
            intake.idle().await;
        }
    }
}

impl<S: wt::Session> Open<S> {
    async fn open(
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
        debug!(subscription = registration.id, "subscribes");
        let opened = subscribe(&state.session, state.dialect, &message).await;
        let (request, replies) = opened.map_err(lost)?;
        Ok(Self {
            registration,
            subscribed: demand,
            request,
            replies,
        })
    }
}

impl<S: wt::Session> Drop for Open<S> {
    fn drop(&mut self) {
        // The replies are stopped as they are dropped.
        let _gone = self.request.finish();
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

/// Passes on what the readers want, until that is more than `reach`.
async fn follow_demand<S: wt::Session>(
    request: &mut SubscribeRequest<S>,
    track: &TrackProducer,
    subscribed: &mut Subscription,
    reach: Option<Reach>,
) -> Result<Left, Error> {
    let mut known = subscribed.clone();
    loop {
        let demand = track.demand_changed(&known).await;
        if reach.is_some_and(|reach| !reach.covers(&demand, track.newest())) {
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

/// Waits until the track is closed because nobody has wanted it for a moment.
pub(super) async fn unused(track: &TrackProducer, linger: Duration) {
    loop {
        track.unused().await;
        tokio::select! {
            () = track.used() => {}
            () = sleep(linger) => {
                if track.close_if_unused() {
                    return;
                }
            }
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
