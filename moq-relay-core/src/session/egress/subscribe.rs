//! Serves SUBSCRIBE: from the request to the feed of groups.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moq_transfork::message::Subscribe;
use moq_transfork::path::Path;
use moq_transfork::stream::{SubscribeReader, SubscribeWriter};
use tokio::sync::watch;
use tracing::{debug, info};
use web_transport_trait as wt;

use crate::error::Error;
use crate::model::consumer::TrackConsumer;
use crate::model::subscription::Subscription;
use crate::model::track::Latest;
use crate::session::egress::feed::{Feed, Subscriber};
use crate::session::egress::info_message;
use crate::session::state::State;
use crate::source::Source;

/// How a subscription has ended, and the subscribe stream, if that can still be ended.
type Ended<S> = (Result<(), Error>, Option<SubscribeWriter<S>>);

/// Serves a subscription from its beginning, which [`begin`] makes, to its end.
///
/// What a frame needs is in this one future: each box on the way to it would be one more wait for
/// memory.
pub(super) async fn serve<S: wt::Session>(
    state: Arc<State<S>>,
    begun: BoxFuture<'static, Result<Box<Feed<S>>, Ended<S>>>,
) {
    let _subscribed = state.tally.subscribe();
    let _serving = state.context.stats.gauge(|stats| &stats.subscriptions);
    let (outcome, writer) = match begun.await {
        Ok(feed) => {
            let mut feed = *feed;
            (feed.run().await, feed.into_writer())
        }
        Err(ended) => ended,
    };
    match outcome {
        Ok(()) | Err(Error::Cancelled) => {
            debug!("subscription ends");
            let _gone = writer.map(|mut writer| writer.finish());
        }
        Err(error) => {
            info!(%error, "subscription fails");
            if let Some(writer) = writer {
                writer.abort(error.code());
            }
        }
    }
}

/// Takes a subscription up to where groups can flow.
///
/// Apart from [`serve`], so that nothing of it takes room while groups flow.
pub(super) async fn begin<S: wt::Session>(
    state: Arc<State<S>>,
    source: Arc<dyn Source>,
    subscribe: Subscribe,
    mut writer: SubscribeWriter<S>,
    reader: SubscribeReader<S>,
) -> Result<Box<Feed<S>>, Ended<S>> {
    if !state.claim_id(subscribe.id) {
        return Err((Err(Error::Duplicate), Some(writer)));
    }
    state.context.stats.subscriptions_total.add(1);
    let asked = Subscription {
        priority: subscribe.priority,
        order: subscribe.order,
        expires: subscribe.expires,
        min: subscribe.min,
        max: subscribe.max,
    };
    let (updates, subscription) = watch::channel(asked.clone());
    let mut left = follow(reader, updates);
    let opened = tokio::select! {
        biased;
        left = &mut left => left.and(Err(Error::Cancelled)),
        () = state.context.draining.cancelled() => Err(Error::Shutdown),
        opened = open(&source, &subscribe.path, asked) => opened,
    };
    let (track, latest) = match opened {
        Ok(opened) => opened,
        Err(error) => return Err((Err(error), Some(writer))),
    };
    info!(latest = latest.latest, "subscribed");
    if let Err(error) = writer.info(&info_message(latest.clone())).await {
        return Err((Err(error.into()), Some(writer)));
    }
    let subscriber = Subscriber {
        writer,
        subscription,
        left,
    };
    let feed = Feed::new(state, source, subscribe, track, latest.info, subscriber);
    Ok(Box::new(feed))
}

/// Finds the track and waits for what its publisher says of it.
async fn open(
    source: &Arc<dyn Source>,
    path: &Path,
    subscription: Subscription,
) -> Result<(TrackConsumer, Latest), Error> {
    let track = source.track(path, subscription)?;
    let info = track.info().await?;
    let latest = track.latest();
    Ok((track, Latest { info, latest }))
}

/// Takes SUBSCRIBE_UPDATEs until the subscriber leaves.
fn follow<S: wt::Session>(
    mut reader: SubscribeReader<S>,
    updates: watch::Sender<Subscription>,
) -> BoxFuture<'static, Result<(), Error>> {
    let follow = async move {
        while let Some(update) = reader.update().await? {
            updates.send_modify(|subscription| {
                subscription.update(&Subscription {
                    priority: update.priority,
                    order: update.order,
                    expires: update.expires,
                    min: update.min,
                    max: update.max,
                });
            });
        }
        Ok(())
    };
    follow.boxed()
}
