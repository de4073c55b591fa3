//! Serves SUBSCRIBE: from the request to the feed of groups.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moq_transfork::message::{Subscribe, SubscribeUpdate};
use moq_transfork::path::Path;
use moq_transfork::stream::{SubscribeReader, SubscribeWriter};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::coop::consume_budget;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::{Instrument, Span, debug, info};
use web_transport_trait as wt;

use crate::error::Error;
use crate::model::consumer::TrackConsumer;
use crate::model::subscription::Subscription;
use crate::model::track::Latest;
use crate::session::egress::feed::{Feed, Subscriber};
use crate::session::egress::{Served, info_message};
use crate::session::state::State;
use crate::session::tally::Subscribed;
use crate::source::Source;
use crate::stats::Gauge;

/// SUBSCRIBE_UPDATEs that count as one if they come at once.
const UPDATES_AT_ONCE: usize = 32;

/// How a subscription has ended, and the subscribe stream, if that can still be ended.
type Ended<S> = (Result<(), Error>, Option<SubscribeWriter<S>>);

/// What a subscriber says after its request.
pub(super) enum Heard<S: wt::Session> {
    /// It asks for something else from now on, and may do so again.
    Update(Subscription, SubscribeReader<S>),
    /// It is gone.
    Left(Result<(), Error>),
}

/// A subscription that was asked for, and is to be served by a task of its own.
///
/// What a frame needs is in that task itself: each box on the way to it would be one more wait for
/// memory.
pub(in crate::session) struct Asked<S: wt::Session> {
    /// What [`begin`] makes, unless the subscription ended before.
    begun: BoxFuture<'static, Option<Box<Feed<S>>>>,
    /// The session's.
    span: Span,
    counted: Counted,
}

/// What counts a subscription, from its request to its end.
struct Counted {
    _permit: OwnedSemaphorePermit,
    _feeding: TaskTrackerToken,
    _subscribed: Subscribed,
    _serving: Gauge,
}

impl<S: wt::Session> Asked<S> {
    pub(super) fn new(
        state: Arc<State<S>>,
        source: Arc<dyn Source>,
        permit: OwnedSemaphorePermit,
        subscribe: Subscribe,
        writer: SubscribeWriter<S>,
        reader: SubscribeReader<S>,
    ) -> Self {
        let counted = Counted {
            _permit: permit,
            _feeding: state.context.feeds.token(),
            _subscribed: state.tally.subscribe(),
            _serving: state.context.stats.gauge(|stats| &stats.subscriptions),
        };
        let begun = async move {
            let (id, path) = (subscribe.id, subscribe.path.clone());
            let begun = begin(state, source, subscribe, writer, reader).await;
            begun
                .map_err(|(outcome, writer)| end(id, &path, outcome, writer))
                .ok()
        };
        let span = Span::current();
        Self {
            begun: begun.instrument(span.clone()).boxed(),
            span,
            counted,
        }
    }

    /// Serves it to its end. It enters its span by itself, unless there is just a frame to send.
    ///
    /// It returns what all tasks of a session do: a future around this one would be one more step to
    /// each frame.
    pub(in crate::session) fn serve(self) -> impl Future<Output = Result<Served<S>, Error>> + Send {
        let Self {
            begun,
            span,
            counted,
        } = self;
        async move {
            let Some(feed) = begun.await else {
                return Ok(Served::Over);
            };
            let mut feed = unboxed(feed);
            let outcome = loop {
                if let Some(outcome) = feed.end() {
                    break outcome;
                }
                if poll_fn(|cx| feed.poll(cx, &span)).await {
                    // Others have their turn between the groups of a long past.
                    consume_budget().await;
                }
            };
            let _entered = span.enter();
            let (id, path, writer) = feed.into_parts();
            end(id, &path, outcome, writer);
            // Once the stream has ended, as above. Not in a variable of its own, which would be a second
            // place for it.
            drop(counted);
            Ok(Served::Over)
        }
    }
}

/// Ends the subscribe stream as its subscription has ended.
fn end<S: wt::Session>(
    id: u64,
    path: &Path,
    outcome: Result<(), Error>,
    writer: Option<SubscribeWriter<S>>,
) {
    match outcome {
        Ok(()) | Err(Error::Cancelled) => {
            debug!(subscription = id, %path, "subscription ends");
            let _gone = writer.map(|mut writer| writer.finish());
        }
        Err(error) => {
            info!(subscription = id, %path, %error, "subscription fails");
            if let Some(writer) = writer {
                writer.abort(error.code());
            }
        }
    }
}

/// Takes a subscription up to where groups can flow.
///
/// Apart from [`Asked::serve`], so that nothing of it takes room while groups flow.
async fn begin<S: wt::Session>(
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
    let mut wish = None;
    let mut hearing = hear(reader);
    let opened = {
        let mut opening = pin!(open(&source, &subscribe.path, asked.clone()));
        loop {
            tokio::select! {
                biased;
                heard = &mut hearing => match heard {
                    Heard::Update(update, reader) => {
                        wish.get_or_insert_with(|| asked.clone()).update(&update);
                        hearing = hear(reader);
                    }
                    Heard::Left(left) => break left.and(Err(Error::Cancelled)),
                },
                () = state.context.draining.cancelled() => break Err(Error::Shutdown),
                opened = &mut opening => break opened,
            }
        }
    };
    let (track, latest) = match opened {
        Ok(opened) => opened,
        Err(error) => return Err((Err(error), Some(writer))),
    };
    let (id, path) = (subscribe.id, &subscribe.path);
    info!(subscription = id, %path, latest = latest.latest, "subscribed");
    if let Err(error) = writer.info(&info_message(latest.clone())).await {
        return Err((Err(error.into()), Some(writer)));
    }
    let subscriber = Subscriber {
        writer,
        wish,
        hearing,
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

/// Waits for what the subscriber says next.
pub(super) fn hear<S: wt::Session>(mut reader: SubscribeReader<S>) -> BoxFuture<'static, Heard<S>> {
    let hearing = async move {
        // Others have their turn, however much it says.
        consume_budget().await;
        match reader.update().await {
            Ok(Some(update)) => Heard::Update(with_others(&update, &mut reader), reader),
            Ok(None) => Heard::Left(Ok(())),
            Err(error) => Heard::Left(Err(error.into())),
        }
    };
    hearing.boxed()
}

/// Adds what else has arrived by now to an update: each that counts by itself is work for every
/// group on its way.
fn with_others<S: wt::Session>(
    update: &SubscribeUpdate,
    reader: &mut SubscribeReader<S>,
) -> Subscription {
    let mut all = wish(update);
    for _ in 1..UPDATES_AT_ONCE {
        // An end or an error is there for whoever reads next, too.
        let Some(Ok(Some(update))) = reader.update().now_or_never() else {
            break;
        };
        all.update(&wish(&update));
    }
    all
}

fn wish(update: &SubscribeUpdate) -> Subscription {
    Subscription {
        priority: update.priority,
        order: update.order,
        expires: update.expires,
        min: update.min,
        max: update.max,
    }
}

/// What is in a box, which is gone then: a box that is only moved out of lasts as long as its name.
#[expect(clippy::boxed_local, reason = "the box is to be gone")]
fn unboxed<T>(boxed: Box<T>) -> T {
    *boxed
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use moq_transfork::dialect::Dialect;
    use moq_transfork::message::{GroupOrder, Priority};
    use moq_transfork::stream::{self, Request};
    use web_transport_trait::Session as _;

    use super::*;
    use crate::memory;

    #[tokio::test]
    async fn updates_that_come_at_once_count_as_one() {
        let (client, server) = memory::pair(memory::Config::default());
        let asked = Subscribe {
            id: 0,
            path: Path::new(["clock"]).expect("short"),
            priority: Priority::NEUTRAL,
            order: GroupOrder::Default,
            expires: Duration::ZERO,
            min: None,
            max: None,
        };
        let dialect = Dialect::Draft03;
        let subscribed = stream::subscribe(&client, dialect, &asked).await;
        let (mut request, _replies) = subscribed.expect("open");
        for number in 1..=UPDATES_AT_ONCE as u64 + 1 {
            let update = SubscribeUpdate {
                min: Some(number),
                ..SubscribeUpdate::default()
            };
            request.update(&update).await.expect("open");
        }
        request.finish().expect("open");
        let (send, recv) = server.accept_bi().await.expect("open");
        let accepted = Request::<memory::Session>::accept(send, recv, dialect).await;
        let Ok(Request::Subscribe(_, _writer, mut reader)) = accepted else {
            panic!("it subscribes");
        };
        for number in [UPDATES_AT_ONCE as u64, UPDATES_AT_ONCE as u64 + 1] {
            let Heard::Update(wish, rest) = hear(reader).await else {
                panic!("an update");
            };
            assert_eq!(wish.min, Some(number));
            reader = rest;
        }
        assert!(matches!(hear(reader).await, Heard::Left(Ok(()))));
    }
}
