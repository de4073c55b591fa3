//! Serves SUBSCRIBE: from the request to the feed of groups.

use std::sync::Arc;

use futures_util::FutureExt;
use moq_transfork::code::Code;
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
use crate::session::egress::feed::Feed;
use crate::session::egress::info_message;
use crate::session::state::State;
use crate::source::Source;

pub(super) async fn serve<S: wt::Session>(
    state: Arc<State<S>>,
    source: Arc<dyn Source>,
    subscribe: Subscribe,
    mut writer: SubscribeWriter<S>,
    reader: SubscribeReader<S>,
) {
    if !state.claim_id(subscribe.id) {
        debug!("subscribe id used twice");
        writer.abort(Code::DUPLICATE);
        return;
    }
    state.context.stats.subscriptions_total.add(1);
    let _serving = state.context.stats.gauge(|stats| &stats.subscriptions);
    let asked = Subscription {
        priority: subscribe.priority,
        order: subscribe.order,
        expires: subscribe.expires,
        min: subscribe.min,
        max: subscribe.max,
    };
    let (updates, subscription) = watch::channel(asked.clone());
    let mut left = follow(reader, updates).boxed();
    let opened = tokio::select! {
        biased;
        left = &mut left => left.and(Err(Error::Cancelled)),
        () = state.context.draining.cancelled() => Err(Error::Shutdown),
        opened = open(&source, &subscribe.path, asked) => opened,
    };
    let (outcome, writer) = match opened {
        Ok((track, latest)) => {
            info!(latest = latest.latest, "subscribed");
            match writer.info(&info_message(latest.clone())).await {
                Ok(()) => {
                    // Boxed, so that what came before it takes no room beside it.
                    let feed = Feed::new(state, source, subscribe, track, latest.info, writer);
                    Box::new(feed).run(left, subscription).boxed().await
                }
                Err(error) => (Err(error.into()), Some(writer)),
            }
        }
        Err(error) => (Err(error), Some(writer)),
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
async fn follow<S: wt::Session>(
    mut reader: SubscribeReader<S>,
    updates: watch::Sender<Subscription>,
) -> Result<(), Error> {
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
}
