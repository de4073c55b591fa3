//! Shutting down.

use std::time::Duration;

use futures_util::future::join;
use moq_relay_core::announced::Announcement;
use moq_relay_core::error::Error;
use moq_relay_core::memory::Config;
use moq_relay_core::source::Source as _;
use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::stream::StreamError;
use moq_transfork::wt::{SendStream as _, Session as _};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};

use crate::raw::{Downstream, Raw, Told, Upstream, closed, read_stream, subscribe};
use crate::world::{INSTANT, World, path, published, read_all, settle, soon, wire};

const GRACE: Duration = Duration::from_secs(5);

/// A publisher, and a subscriber that has begun to read group 0.
struct Busy {
    world: World,
    publisher: Raw,
    told: Told,
    upstream: Upstream,
    subscriber: Raw,
    downstream: Downstream,
}

impl Busy {
    async fn new() -> Self {
        let mut world = World::new();
        let (publisher, told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
        let subscriber = Raw::connect(&mut world, Dialect::Draft03).await;
        let mut downstream = subscriber.subscribe(&subscribe(0, "clock")).await;
        let mut upstream = publisher.subscribed().await;
        upstream.accept(0).await;
        downstream.info().await;
        Self {
            world,
            publisher,
            told,
            upstream,
            subscriber,
            downstream,
        }
    }

    fn id(&self) -> u64 {
        self.upstream.subscribe.id
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_relay_is_shut_down_at_once_and_refuses_whoever_comes() {
    let mut world = World::new();
    let mut raws = Vec::new();
    for dialect in Dialect::ALL {
        raws.push(Raw::connect(&mut world, dialect).await);
    }
    sleep(Duration::from_secs(2)).await;
    let began = Instant::now();
    world.relay.drain(GRACE).await;
    for raw in &raws {
        assert_eq!(raw.closed().await, (0, "shutting down".to_owned()));
    }
    assert!(
        began.elapsed() < Duration::from_millis(100),
        "{:?}",
        began.elapsed()
    );
    while let Some(served) = world.served.join_next().await {
        assert_eq!(served.expect("no panic"), Ok(()));
    }
    let late = world.accept(Config::default());
    assert_eq!(closed(&late).await, (0, "shutting down".to_owned()));
    let served = world.served.join_next().await.expect("one more");
    assert_eq!(served.expect("no panic"), Err(Error::Shutdown));
    world.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_group_on_its_way_is_finished_and_no_other_begins() {
    let mut busy = Busy::new().await;
    let mut open = busy
        .publisher
        .begin_group(busy.id(), 0, &wire(&["one"]))
        .await;
    let (_, group) = busy.subscriber.group().await;
    let began = Instant::now();
    let relay = busy.world.relay.clone();
    let draining = async {
        relay.drain(GRACE).await;
        began.elapsed()
    };
    let (id, subscriber) = (busy.id(), &busy.subscriber);
    let meanwhile = async {
        settle().await;
        busy.publisher.send(id, 1).await;
        assert!(!subscriber.has_group().await, "nothing new begins");
        let mut refused = subscriber.subscribe(&subscribe(1, "clock")).await;
        assert!(soon(refused.replies.info()).await.is_err());
        sleep(Duration::from_secs(2)).await;
        open.write_all(&wire(&["two"])).await.expect("open");
        open.finish().expect("open");
        assert_eq!(read_stream(group).await, Ok(wire(&["one", "two"])));
        began.elapsed()
    };
    let (drained, finished) = tokio::join!(draining, meanwhile);
    assert!(
        drained < finished + Duration::from_millis(100),
        "{drained:?}"
    );
    assert_eq!(
        busy.publisher.closed().await,
        (0, "shutting down".to_owned())
    );
    assert_eq!(
        busy.subscriber.closed().await,
        (0, "shutting down".to_owned())
    );
    assert!(busy.downstream.gap().await.is_err());
    drop(busy.told);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_outlasts_the_grace_is_cut_and_not_ended() {
    let busy = Busy::new().await;
    let _open = busy
        .publisher
        .begin_group(busy.id(), 0, &wire(&["one"]))
        .await;
    let (_, group) = busy.subscriber.group().await;
    let began = Instant::now();
    let relay = busy.world.relay.clone();
    let (end, ()) = tokio::join!(read_stream(group), relay.drain(GRACE));
    assert_eq!(began.elapsed().as_secs(), GRACE.as_secs());
    assert!(
        matches!(
            end,
            Err(StreamError::Reset(_) | StreamError::Session { .. })
        ),
        "{end:?}"
    );
    assert_eq!(busy.subscriber.closed().await.0, 0);
}

#[tokio::test(start_paused = true)]
async fn handshakes_and_subscriptions_that_wait_do_not_use_up_the_grace() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
    let subscriber = Raw::connect(&mut world, Dialect::Draft03).await;
    // INFO never comes.
    let _downstream = subscriber.subscribe(&subscribe(0, "clock")).await;
    let _upstream = publisher.subscribed().await;
    let silent = world.accept(Config::default());
    let undetected = Raw::connect(&mut world, Dialect::Fork04).await;
    settle().await;
    let began = Instant::now();
    world.relay.drain(GRACE).await;
    assert!(
        began.elapsed() < Duration::from_millis(100),
        "{:?}",
        began.elapsed()
    );
    for transport in [
        &publisher.transport,
        &subscriber.transport,
        &silent,
        &undetected.transport,
    ] {
        assert_eq!(closed(transport).await.1, "shutting down");
    }
    world.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_stalled_subscriber_holds_a_shutdown_for_no_longer_than_the_grace() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let stalled = Config {
        stream_window: 4,
        ..Config::default()
    };
    let raw = Raw::connect_over(&mut world, Dialect::Draft03, stalled).await;
    let downstream = raw.subscribe(&subscribe(0, "clock")).await;
    crate::world::write_group(&track, &["more than four bytes"]);
    settle().await;
    let began = Instant::now();
    world.relay.drain(GRACE).await;
    assert_eq!(began.elapsed().as_secs(), GRACE.as_secs());
    assert_eq!(raw.closed().await, (0, "shutting down".to_owned()));
    drop(downstream);
    drop((publisher, track));
    world.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn tracks_that_others_read_end_with_an_error_for_the_publishers() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let client = world.client(Dialect::Draft03).await;
    let mut reader = client.subscribe("clock");
    crate::world::write_groups(&track, [0]);
    assert_eq!(read_all(&mut reader).await, crate::world::groups([0]));
    world.relay.drain(GRACE).await;
    let seen = read_all(&mut reader).await;
    assert!(
        matches!(seen[..], [crate::world::Seen::Failed(_)]),
        "{seen:?}"
    );
    // The publisher's own track has lost its reader, and lives.
    soon(track.unused()).await;
    assert!(track.append_group().is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_close_reaches_peers_over_a_long_link_in_one_trip() {
    let mut world = World::new();
    let far = Config {
        delay: Duration::from_millis(200),
        rate: Some(100_000),
        ..Config::default()
    };
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let raw = Raw::connect_over(&mut world, Dialect::Draft03, far).await;
    let mut downstream = raw.subscribe(&subscribe(0, "clock")).await;
    downstream.info().await;
    // Ten seconds' worth for the link, of which nobody reads a byte.
    crate::world::write_group(&track, &["x".repeat(1_000_000).as_str()]);
    settle().await;
    let relay = world.relay.clone();
    let began = Instant::now();
    let (code, ()) = tokio::join!(raw.closed(), relay.drain(Duration::from_secs(1)));
    assert_eq!(code, (0, "shutting down".to_owned()));
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    assert!(timeout(INSTANT, track.used()).await.is_err());
    assert_eq!(Error::Shutdown.code(), Code::CANCEL);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_begins_just_then_is_refused_and_leaves_nothing() {
    for turns in 0..12 {
        let mut world = World::new();
        let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
        let subscriber = Raw::connect(&mut world, Dialect::Draft03).await;
        settle().await;
        let mut downstream = subscriber.subscribe(&subscribe(0, "clock")).await;
        for _ in 0..turns {
            yield_now().await;
        }
        let began = Instant::now();
        world.relay.drain(GRACE).await;
        assert!(began.elapsed() < Duration::from_millis(100), "{turns}");
        assert!(soon(downstream.replies.info()).await.is_err(), "{turns}");
        assert_eq!(closed(&publisher.transport).await.1, "shutting down");
        world.assert_nothing_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_whose_subscriber_is_lost_just_then_leaves_nothing() {
    for turns in 0..12 {
        let mut world = World::new();
        let (_publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
        let subscriber = Raw::connect(&mut world, Dialect::Draft03).await;
        settle().await;
        let _downstream = subscriber.subscribe(&subscribe(0, "clock")).await;
        for _ in 0..turns {
            yield_now().await;
        }
        subscriber.transport.close(0, "");
        settle().await;
        let stats = world.stats().await;
        assert_eq!((stats.sessions, stats.subscriptions), (1, 0), "{turns}");
        let began = Instant::now();
        world.relay.drain(GRACE).await;
        assert!(began.elapsed() < Duration::from_millis(100), "{turns}");
        world.assert_nothing_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_announces_once_its_session_is_over_is_not_heard() {
    let mut world = World::new();
    let far = Config {
        delay: Duration::from_millis(100),
        ..Config::default()
    };
    let raw = Raw::connect_over(&mut world, Dialect::Draft03, far).await;
    let mut told = raw.asked_for_announcements().await;
    told.active("before").await;
    published(&world, "before").await;
    told.active("after").await;
    told.ended("before").await;
    let heard = async {
        let mut announced = world.relay.origin().announced(&path(""));
        let mut heard = Vec::new();
        while let Ok(news) = timeout(Duration::from_secs(1), announced.next()).await {
            heard.extend(news);
        }
        heard
    };
    let (heard, ()) = join(heard, world.relay.drain(Duration::ZERO)).await;
    let before = path("before");
    assert_eq!(
        heard,
        [
            Announcement::Active(before.clone()),
            Announcement::Live,
            Announcement::Ended(before)
        ]
    );
}
