//! A connection that subscribes, counts and checks.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::{GroupOrder, Priority, Subscribe};
use moq_transfork::setup;
use moq_transfork::stream::{self, GroupReader, Request, SubscribeReplies};
use tokio::time::{Instant, sleep_until, timeout};
use web_transport_quinn::{RecvStream, Session};

use super::board::{Board, Subscription, lock};
use super::connection::{Connector, Pace};
use super::frames::Frames;
use super::plan::Plan;
use super::tally::{Fresh, GroupEnd};

/// The most that is taken from a stream at once.
const READ: usize = 64 << 10;

/// One subscriber.
pub(super) struct Subscriber {
    session: Session,
    dialect: Dialect,
    board: Arc<Board>,
    /// By the number that the wire knows them by.
    subscriptions: Vec<Arc<Subscription>>,
    throttle: Option<Throttle>,
}

/// Lets a reader read only so much in a time.
struct Throttle {
    rate: u64,
    free_at: Mutex<Instant>,
}

/// Connects, subscribes as the plan says, and reads until dropped, or for as long as the plan has
/// it stay.
///
/// # Errors
///
/// Why there is no session, or no longer.
pub(super) async fn run(
    connector: Connector,
    plan: Arc<Plan>,
    index: usize,
    board: Arc<Board>,
) -> anyhow::Result<()> {
    let pace = if plan.is_slow(index) {
        Pace::Slow(plan.slow_rate)
    } else {
        Pace::Full
    };
    let connection = connector.connect(pace).await?;
    let session = connection.session.clone();
    let dialect = plan.dial.dialect;
    let _established = setup::connect(&session, &[dialect]).await?;
    board.connections.count();

    let mut subscriber = Subscriber {
        session: session.clone(),
        dialect,
        board: Arc::clone(&board),
        subscriptions: Vec::new(),
        throttle: Throttle::new(pace),
    };
    let mut requests = Vec::new();
    let replies = FuturesUnordered::new();
    for (id, track) in plan.tracks_of(index).enumerate() {
        let subscription = board.subscribe(track, pace == Pace::Full);
        let wanted = subscribe(id as u64, plan.path(track)?);
        let (request, reply) = stream::subscribe(&session, dialect, &wanted).await?;
        requests.push(request);
        replies.push(follow(reply, Arc::clone(&subscription), Arc::clone(&board)));
        subscriber.subscriptions.push(subscription);
    }
    let Some(stay) = plan.stay else {
        return subscriber.read(replies).await;
    };
    match timeout(stay, subscriber.read(replies)).await {
        Ok(ended) => ended,
        Err(_time_to_go) => {
            subscriber
                .subscriptions
                .iter()
                .for_each(|left| left.leave());
            connection.close().await;
            Ok(())
        }
    }
}

fn subscribe(id: u64, path: moq_transfork::path::Path) -> Subscribe {
    Subscribe {
        id,
        path,
        priority: Priority::default(),
        order: GroupOrder::Default,
        expires: Duration::ZERO,
        min: None,
        max: None,
    }
}

/// Reads what the relay says of a subscription; returns at its end.
async fn follow(mut replies: SubscribeReplies<Session>, to: Arc<Subscription>, board: Arc<Board>) {
    if replies.info().await.is_err() {
        tracing::debug!(track = to.track, "the relay refused a subscription");
        return board.failed.count();
    }
    board.subscribed.count();
    while let Ok(Some(gap)) = replies.gap().await {
        to.prove(gap.start.saturating_add(gap.count));
    }
}

impl Subscriber {
    async fn read(
        &self,
        mut replies: FuturesUnordered<impl Future<Output = ()>>,
    ) -> anyhow::Result<()> {
        let mut groups = FuturesUnordered::new();
        let mut answers = pin!(answer(&self.session, self.dialect));
        loop {
            tokio::select! {
                Some(()) = groups.next(), if !groups.is_empty() => {}
                stream = self.session.accept_uni() => groups.push(self.group(stream?)),
                Some(()) = replies.next(), if !replies.is_empty() => {}
                result = &mut answers => return result,
            }
        }
    }

    async fn group(&self, stream: RecvStream) {
        let Ok((header, mut reader)) = GroupReader::accept(stream, self.dialect).await else {
            return;
        };
        let id = usize::try_from(header.subscribe).unwrap_or(usize::MAX);
        let Some(subscription) = self.subscriptions.get(id) else {
            return reader.stop(Code::NOT_FOUND);
        };
        match subscription.begin(header.sequence) {
            Fresh::Yes => {
                let end = self
                    .frames(&mut reader, subscription, header.sequence)
                    .await;
                subscription.end(end);
            }
            Fresh::No => reader.stop(Code::DUPLICATE),
        }
    }

    async fn frames(
        &self,
        reader: &mut GroupReader<Session>,
        subscription: &Subscription,
        group: u64,
    ) -> GroupEnd {
        let (mut frames, mut index, mut count) = (Frames::default(), 0, None);
        loop {
            let mut piece = match reader.read(READ).await {
                Ok(Some(piece)) => piece,
                Ok(None) if frames.at_boundary() && count == Some(index) => return GroupEnd::Whole,
                Ok(None) | Err(_) => return GroupEnd::Cut,
            };
            if let Some(throttle) = &self.throttle {
                throttle.take(piece.len()).await;
            }
            loop {
                match frames.next(&mut piece) {
                    Ok(Some(frame)) => {
                        let stamp = self
                            .board
                            .frame(subscription, group, index, &frame, || self.session.rtt());
                        count = stamp.map(|stamp| stamp.frames).or(count);
                        index += 1;
                    }
                    Ok(None) => break,
                    Err(_too_large) => return GroupEnd::Cut,
                }
            }
        }
    }
}

impl Throttle {
    fn new(pace: Pace) -> Option<Self> {
        match pace {
            Pace::Full => None,
            Pace::Slow(rate) => Some(Self {
                rate: rate.max(1),
                free_at: Mutex::new(Instant::now()),
            }),
        }
    }

    async fn take(&self, bytes: usize) {
        let time = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
        let until = {
            let mut free_at = lock(&self.free_at);
            *free_at = (*free_at).max(Instant::now()) + time;
            *free_at
        };
        sleep_until(until).await;
    }
}

/// Answers a relay's own requests: there is nothing to be had here.
///
/// # Errors
///
/// Why the session ended; it does not return before.
pub(super) async fn answer(session: &Session, dialect: Dialect) -> anyhow::Result<()> {
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            stream = session.accept_bi() => {
                let (send, recv) = stream?;
                open.push(async move {
                    match Request::<Session>::accept(send, recv, dialect).await {
                        Ok(Request::Announce(_please, mut writer, mut reader)) => {
                            if writer.live().await.is_ok() {
                                // The stream stays open for as long as the relay wants it.
                                let _ended = reader.closed().await;
                            }
                        }
                        Ok(Request::Subscribe(_, writer, _)) => writer.abort(Code::NOT_FOUND),
                        Ok(Request::Fetch(_, writer, _)) => writer.abort(Code::NOT_FOUND),
                        Ok(Request::Info(_, writer)) => writer.abort(Code::NOT_FOUND),
                        Err(_) => {}
                    }
                });
            }
            Some(()) = open.next(), if !open.is_empty() => {}
        }
    }
}
