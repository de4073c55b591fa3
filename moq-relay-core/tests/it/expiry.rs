//! How long a finished group is of use: to the subscriber, to the publisher, to the cache.

use std::time::Duration;

use moq_relay_core::memory::Config;
use moq_relay_core::model::consumer::TrackConsumer;
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::relay::RelayConfig;
use moq_relay_core::source::Source as _;
use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::GroupOrder;
use moq_transfork::stream::StreamError;
use tokio::time::{Instant, sleep};

use crate::raw::{Raw, read_stream, subscribe};
use crate::world::{
    Client, Seen, World, groups, next_group, path, published, read_all, settle, write_group,
    write_groups,
};

/// A relay, a publisher of `clock` and a subscriber who follows it.
struct Followed {
    world: World,
    track: TrackProducer,
    client: Client,
    reader: TrackConsumer,
    _publisher: Client,
}

impl Followed {
    async fn new(expires: Duration) -> Self {
        let mut world = World::new();
        let publisher = world.client(Dialect::Draft03).await;
        let track = publisher.publish_with("clock", expiring(expires));
        published(&world, "clock").await;
        let client = world.client(Dialect::Draft03).await;
        let reader = client.subscribe("clock");
        Self {
            world,
            track,
            client,
            reader,
            _publisher: publisher,
        }
    }
}

fn expiring(expires: Duration) -> TrackInfo {
    TrackInfo {
        expires,
        ..TrackInfo::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_too_old_for_a_late_joiner_is_told_missing() {
    let mut followed = Followed::new(Duration::ZERO).await;
    for sequence in 0..5 {
        write_groups(&followed.track, [sequence]);
        assert_eq!(read_all(&mut followed.reader).await, groups([sequence]));
        sleep(Duration::from_secs(1)).await;
    }
    // Ages are now 5, 4, 3, 2 and 1 second and a few milliseconds.
    let patient = followed.world.client(Dialect::Draft03).await;
    let hasty = Raw::connect(&mut followed.world, Dialect::Draft03).await;
    let mut message = subscribe(0, "clock");
    message.min = Some(0);
    message.order = GroupOrder::Ascending;
    message.expires = Duration::from_millis(2500);
    let mut downstream = hasty.subscribe(&message).await;
    downstream.info().await;
    assert_eq!(hasty.whole_group().await.0, 3);
    assert_eq!(hasty.whole_group().await.0, 4);
    assert_eq!(
        downstream.gaps().await,
        [0, 1, 2].map(|sequence| (sequence, sequence, Code::EXPIRED))
    );
    let all = Subscription {
        min: Some(0),
        ..Subscription::default()
    };
    let mut reader = patient.subscribe_with("clock", all);
    let mut seen = read_all(&mut reader).await;
    seen.sort();
    assert_eq!(seen, groups(0..5));
}

#[tokio::test(start_paused = true)]
async fn the_smaller_of_both_lives_counts() {
    for (own, asked, dies_after) in [
        (0, 0, None),
        (2000, 0, Some(2000)),
        (0, 3000, Some(3000)),
        (2000, 3000, Some(2000)),
        (3000, 2000, Some(2000)),
    ] {
        let mut world = World::new();
        let publisher = world.client(Dialect::Draft03).await;
        let track = publisher.publish_with("clock", expiring(Duration::from_millis(own)));
        published(&world, "clock").await;
        let stalled = Config {
            stream_window: 10,
            ..Config::default()
        };
        let raw = Raw::connect_over(&mut world, Dialect::Draft03, stalled).await;
        let mut message = subscribe(0, "clock");
        message.expires = Duration::from_millis(asked);
        let mut downstream = raw.subscribe(&message).await;
        assert_eq!(downstream.info().await.expires, Duration::from_millis(own));
        let mut group = track.append_group().expect("live");
        group.write_frame("more than ten bytes").expect("room");
        let (_, reader) = raw.group().await;
        // An open group does not grow old.
        sleep(Duration::from_secs(20)).await;
        assert_eq!(downstream.gaps().await, []);
        group.finish().expect("whole");
        let finished = Instant::now();
        let Some(dies_after) = dies_after else {
            sleep(Duration::from_secs(600)).await;
            assert_eq!(downstream.gaps().await, []);
            assert!(read_stream(reader).await.is_ok());
            continue;
        };
        assert_eq!(downstream.gap().await, Ok(Some((0, 0, Code::EXPIRED))));
        let age = finished.elapsed().as_millis();
        assert!(
            (dies_after..dies_after + 10).contains(&age),
            "{age} for {own}, {asked}"
        );
        assert_eq!(
            read_stream(reader).await,
            Err(StreamError::Reset(Code::EXPIRED))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_expired_is_gone_from_memory_and_from_the_past() {
    let mut followed = Followed::new(Duration::from_secs(4)).await;
    write_group(&followed.track, &["x".repeat(100_000).as_str()]);
    assert_eq!(read_all(&mut followed.reader).await.len(), 1);
    assert!(followed.world.relay.stats().cache_bytes > 100_000);
    sleep(Duration::from_secs(6)).await;
    assert_eq!(
        followed.world.relay.stats().cache_bytes,
        0,
        "also the newest"
    );
    let mut late = followed.client.subscribe_with(
        "clock",
        Subscription {
            min: Some(0),
            ..Subscription::default()
        },
    );
    assert_eq!(read_all(&mut late).await, [Seen::Gap(0, 0, Code::EXPIRED)]);
}

#[tokio::test(start_paused = true)]
async fn the_past_of_a_track_is_given_up_in_time_also_when_it_has_fallen_silent() {
    let mut followed = Followed::new(Duration::ZERO).await;
    for _ in 0..3 {
        write_group(&followed.track, &["x".repeat(100_000).as_str()]);
        assert_eq!(read_all(&mut followed.reader).await.len(), 1);
    }
    let held = async |seconds| {
        sleep(Duration::from_secs(seconds)).await;
        followed.world.relay.stats().cache_bytes / 100_000
    };
    assert_eq!(held(29).await, 3);
    assert_eq!(held(6).await, 1, "all but the newest");
}

/// The oldest that is there tells how old those after it are, as a rule.
#[tokio::test(start_paused = true)]
async fn a_group_that_is_finished_late_does_not_keep_those_after_it() {
    let mut followed = Followed::new(Duration::ZERO).await;
    let mut late = followed.track.append_group().expect("live");
    late.write_frame("x".repeat(100_000)).expect("room");
    let open = next_group(&mut followed.reader).await;
    for _ in 0..2 {
        write_group(&followed.track, &["x".repeat(100_000).as_str()]);
        drop(next_group(&mut followed.reader).await);
    }
    sleep(Duration::from_secs(25)).await;
    assert_eq!(followed.world.relay.stats().cache_bytes / 100_000, 3);
    late.finish().expect("whole");
    for _ in 0..10 {
        write_group(&followed.track, &["new"]);
        sleep(Duration::from_secs(1)).await;
    }
    drop(open);
    assert_eq!(followed.world.relay.stats().cache_bytes / 100_000, 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_in_this_process_is_told_of_what_is_too_old() {
    let world = World::new();
    for (own, asked) in [(2000, 0), (0, 2000), (2000, 60_000), (60_000, 2000)] {
        let name = path(&format!("clock/{own}/{asked}"));
        let info = expiring(Duration::from_millis(own));
        let track = world.relay.publish(name.clone(), info).expect("free");
        write_groups(&track, [0]);
        sleep(Duration::from_secs(3)).await;
        let subscription = Subscription {
            min: Some(0),
            expires: Duration::from_millis(asked),
            ..Subscription::default()
        };
        let mut reader = world
            .relay
            .origin()
            .track(&name, subscription)
            .expect("published");
        let seen = read_all(&mut reader).await;
        assert_eq!(seen, [Seen::Gap(0, 0, Code::EXPIRED)], "{own} and {asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_cache_keeps_the_newest_group_and_others_for_their_time() {
    let mut config = RelayConfig::default();
    config.cache.max_age = Duration::from_secs(10);
    let mut world = World::with(config);
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let mut downstream = raw.subscribe(&subscribe(0, "clock")).await;
    downstream.info().await;
    // An open group in front does not keep the others from growing old.
    let mut open = track.append_group().expect("live");
    open.write_frame("begun").expect("room");
    let (_, _open_reader) = raw.group().await;
    let payload = "x".repeat(10_000);
    for sequence in 1..21 {
        write_group(&track, &[&payload]);
        assert_eq!(raw.whole_group().await.0, sequence);
        sleep(Duration::from_secs(1)).await;
    }
    // Ten of ten seconds, and the open one.
    let held = world.relay.stats().cache_bytes;
    assert!((9 * 10_000..13 * 10_000).contains(&held), "{held}");
    sleep(Duration::from_secs(60)).await;
    let held = world.relay.stats().cache_bytes;
    assert!(
        (10_000..20_000).contains(&held),
        "{held}: the newest and the open one"
    );
    let late = Raw::connect(&mut world, Dialect::Draft03).await;
    let _downstream = late.subscribe(&subscribe(0, "clock")).await;
    assert_eq!(late.whole_group().await.0, 20);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_expired_while_it_waited_for_a_stream_costs_none() {
    let mut world = World::new();
    let track = world
        .relay
        .publish(path("clock"), TrackInfo::default())
        .expect("free");
    let few = Config {
        max_uni_streams: 1,
        ..Config::default()
    };
    let raw = Raw::connect_over(&mut world, Dialect::Draft03, few).await;
    let mut message = subscribe(0, "clock");
    message.expires = Duration::from_secs(2);
    message.order = GroupOrder::Ascending;
    let mut downstream = raw.subscribe(&message).await;
    downstream.info().await;
    let mut open = track.append_group().expect("live");
    open.write_frame("0").expect("room");
    settle().await;
    let (_, first) = raw.group().await;
    write_groups(&track, [1]);
    sleep(Duration::from_secs(3)).await;
    write_groups(&track, [2]);
    settle().await;
    open.finish().expect("whole");
    assert!(read_stream(first).await.is_ok());
    assert_eq!(raw.whole_group().await.0, 2);
    assert_eq!(downstream.gaps().await, [(1, 1, Code::EXPIRED)]);
}
