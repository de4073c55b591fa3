//! Subscribers that are slower than the track.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use moq_relay_core::limits::Limits;
use moq_relay_core::memory::{Config, Session};
use moq_relay_core::model::track::TrackProducer;
use moq_relay_core::relay::RelayConfig;
use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::GroupOrder;
use moq_transfork::stream::{GroupReader, StreamError};
use moq_transfork::wt::Session as _;
use tokio::time::{Instant, sleep};

use crate::raw::{Downstream, Raw, read_stream, subscribe};
use crate::world::{
    INSTANT, World, groups, path, published, read_all, settle, wire, write_group, write_groups,
};

fn limited(limits: impl FnOnce(&mut Limits)) -> RelayConfig {
    let mut config = RelayConfig::default();
    limits(&mut config.limits);
    config
}

/// A relay that publishes "clock" itself, and a subscriber over a link of its own.
pub(crate) async fn subscribed(
    world: &mut World,
    dialect: Dialect,
    order: GroupOrder,
    link: Config,
) -> (TrackProducer, Raw, Downstream) {
    let track = world
        .relay
        .publish(path("clock"), Default::default())
        .expect("free");
    let raw = Raw::connect_over(world, dialect, link).await;
    std::mem::forget(raw.asked_for_announcements().await);
    let mut message = subscribe(0, "clock");
    message.order = order;
    let mut downstream = raw.subscribe(&message).await;
    downstream.info().await;
    (track, raw, downstream)
}

/// The groups that arrive whole, until none has come for so long. Those that are reset, also before
/// their header was read, are passed over.
pub(crate) async fn whole_groups(raw: &Raw, patience: Duration) -> Vec<u64> {
    let mut whole = Vec::new();
    while let Ok(Ok(recv)) = tokio::time::timeout(patience, raw.transport.accept_uni()).await {
        let Ok((header, reader)) = GroupReader::<Session>::accept(recv, raw.dialect).await else {
            continue;
        };
        if let Ok(bytes) = read_stream(reader).await {
            assert!(!bytes.is_empty(), "groups of these tests have frames");
            whole.push(header.sequence);
        }
    }
    whole
}

/// Asserts that each group was either whole or told missing, and never both; returns the former.
async fn assert_settled(
    whole: Vec<u64>,
    downstream: &mut Downstream,
    all: RangeInclusive<u64>,
) -> BTreeSet<u64> {
    let mut settled = whole.clone();
    for (first, last, code) in downstream.gaps().await {
        assert_eq!(code, Code::EXPIRED);
        settled.extend(first..=last);
    }
    settled.sort_unstable();
    assert_eq!(settled, all.collect::<Vec<_>>());
    whole.into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn a_stalled_subscriber_costs_the_others_nothing() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Fork02).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let stalled = Raw::connect_over(
        &mut world,
        Dialect::Draft03,
        Config {
            session_window: 1000,
            ..Config::default()
        },
    )
    .await;
    let mut downstream = stalled.subscribe(&subscribe(0, "clock")).await;
    downstream.info().await;
    let healthy = world.client(Dialect::Draft03).await;
    let mut reader = healthy.subscribe("clock");
    settle().await;
    let mut written = Vec::new();
    for sequence in 0..500 {
        write_groups(&track, [sequence]);
        let began = Instant::now();
        written.push(began);
        assert_eq!(read_all(&mut reader).await, groups([sequence]));
        assert!(began.elapsed() <= 2 * INSTANT);
        sleep(Duration::from_millis(20)).await;
    }
    // It took as many streams as it granted, gave up what was on them, and waits.
    let stats = world.stats().await;
    assert_eq!((stats.subscriptions, stats.groups_given_up), (2, 100));
    // Once it reads, the newest comes first, what has waited for too long comes no more, and each
    // group is settled.
    let max_backlog = Limits::default().max_backlog;
    let first = written.partition_point(|at| at.elapsed() >= max_backlog);
    assert!((250..270).contains(&first), "{first}");
    let whole = whole_groups(&stalled, Duration::from_secs(1)).await;
    assert_eq!(whole.first(), Some(&499));
    let whole = assert_settled(whole, &mut downstream, 0..=499).await;
    assert_eq!(whole, (first as u64..500).collect());
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_falls_behind_by_whole_groups_and_is_told_of_each() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        // Bursts of 200 KB over a link that takes seven seconds for one.
        let slow = Config {
            rate: Some(30_000),
            delay: Duration::from_millis(20),
            ..Config::default()
        };
        let (track, raw, mut downstream) =
            subscribed(&mut world, dialect, GroupOrder::Default, slow).await;
        let payload = "x".repeat(10_000);
        write_groups(&track, [0]);
        assert_eq!(whole_groups(&raw, Duration::from_secs(1)).await, [0]);
        for burst in 0..3 {
            for _ in 0..20 {
                write_group(&track, &[&payload]);
            }
            let whole = whole_groups(&raw, Duration::from_secs(8)).await;
            let all = 20 * burst + 1..=20 * burst + 20;
            let newest_first: Vec<_> = all.clone().rev().take(whole.len()).collect();
            assert!(whole.iter().all(|sequence| newest_first.contains(sequence)));
            let whole = assert_settled(whole, &mut downstream, all).await;
            // What fits in the five seconds of the backlog.
            assert!((13..=15).contains(&whole.len()), "{dialect}: {whole:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_never_catches_up_still_gets_the_newest_group_in_the_end() {
    let mut world = World::new();
    let slow = Config {
        rate: Some(30_000),
        ..Config::default()
    };
    let (track, raw, mut downstream) =
        subscribed(&mut world, Dialect::Draft03, GroupOrder::Default, slow).await;
    let writing = async {
        let payload = "x".repeat(10_000);
        for _ in 0..300 {
            write_group(&track, &[&payload]);
            sleep(Duration::from_millis(100)).await;
        }
    };
    let (whole, ()) = tokio::join!(whole_groups(&raw, Duration::from_secs(10)), writing);
    let whole = assert_settled(whole, &mut downstream, 0..=299).await;
    assert!(whole.contains(&299), "{whole:?}");
}

#[tokio::test(start_paused = true)]
async fn ascending_order_waits_and_loses_nothing() {
    let mut world = World::with(limited(|limits| limits.max_deliveries = 4));
    let slow = Config {
        rate: Some(30_000),
        ..Config::default()
    };
    let (track, raw, mut downstream) =
        subscribed(&mut world, Dialect::Draft03, GroupOrder::Ascending, slow).await;
    let payload = "x".repeat(10_000);
    let writing = async {
        for _ in 0..60 {
            write_group(&track, &[&payload]);
            sleep(Duration::from_millis(100)).await;
        }
    };
    let reading = async {
        for sequence in 0..60 {
            let (got, bytes) = raw.whole_group().await;
            assert_eq!(got, sequence);
            assert_eq!(bytes.map(|bytes| bytes.len()), Ok(10_002));
        }
    };
    tokio::join!(writing, reading);
    assert_eq!(downstream.gaps().await, []);
}

#[tokio::test(start_paused = true)]
async fn of_more_groups_than_may_be_on_their_way_the_oldest_go() {
    let mut world = World::with(limited(|limits| {
        limits.max_deliveries = 3;
        limits.max_backlog = Duration::from_secs(3600);
    }));
    let stalled = Config {
        stream_window: 5,
        ..Config::default()
    };
    let (track, raw, mut downstream) = subscribed(
        &mut world,
        Dialect::Draft03,
        GroupOrder::Descending,
        stalled,
    )
    .await;
    for _ in 0..10 {
        write_group(&track, &["longer than the window"]);
        settle().await;
    }
    let given_up: Vec<_> = (0..7)
        .map(|sequence| (sequence, sequence, Code::EXPIRED))
        .collect();
    assert_eq!(downstream.gaps().await, given_up);
    // What is left arrives once it is read.
    assert_eq!(whole_groups(&raw, INSTANT).await, [7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn older_groups_wait_for_room_and_drive_out_no_newer_ones() {
    let mut world = World::with(limited(|limits| limits.max_deliveries = 4));
    let track = world
        .relay
        .publish(path("clock"), Default::default())
        .expect("free");
    write_groups(&track, 0..200);
    let narrow = Config {
        stream_window: 2,
        delay: Duration::from_millis(1),
        ..Config::default()
    };
    let raw = Raw::connect_over(&mut world, Dialect::Draft03, narrow).await;
    let mut message = subscribe(0, "clock");
    message.min = Some(0);
    let mut downstream = raw.subscribe(&message).await;
    downstream.info().await;
    let whole = whole_groups(&raw, Duration::from_secs(1)).await;
    assert_eq!(whole, (0..200).rev().collect::<Vec<_>>());
    assert_eq!(downstream.gaps().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_one_track_did_not_use_goes_to_another_that_waits() {
    let mut world = World::new();
    let [blocked, stale, waiting] = ["blocked", "stale", "waiting"].map(|name| {
        world
            .relay
            .publish(path(name), Default::default())
            .expect("free")
    });
    let one = Config {
        max_uni_streams: 1,
        ..Config::default()
    };
    let raw = Raw::connect_over(&mut world, Dialect::Draft03, one).await;
    let mut downstreams = Vec::new();
    for (id, name, expires) in [(0, "blocked", 0), (1, "stale", 1), (2, "waiting", 0)] {
        let mut message = subscribe(id, name);
        message.expires = Duration::from_secs(expires);
        let mut downstream = raw.subscribe(&message).await;
        downstream.info().await;
        downstreams.push(downstream);
    }
    for track in [&blocked, &stale, &waiting] {
        write_groups(track, [0]);
        settle().await;
    }
    // By the time the stream is free the second has nothing to send on it.
    sleep(Duration::from_secs(2)).await;
    assert_eq!(raw.whole_group().await.0, 0);
    let (header, reader) = raw.group().await;
    assert_eq!(header.subscribe, 2);
    assert_eq!(read_stream(reader).await, Ok(wire(&["0"])));
    assert_eq!(downstreams[1].gaps().await, [(0, 0, Code::EXPIRED)]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_room_does_not_wait_for_acknowledgements() {
    let mut world = World::with(limited(|limits| limits.max_deliveries = 1));
    let track = world
        .relay
        .publish(path("clock"), Default::default())
        .expect("free");
    let round_trip = Duration::from_secs(1);
    let far = Config {
        stream_window: 20,
        delay: round_trip / 2,
        ..Config::default()
    };
    // One round trip to be told that there is a window again, and the whole group has left.
    let payload = "x".repeat(30);
    for _ in 0..10 {
        write_group(&track, &[&payload]);
    }
    let raw = Raw::connect_over(&mut world, Dialect::Draft03, far).await;
    let mut message = subscribe(0, "clock");
    message.min = Some(0);
    let mut downstream = raw.subscribe(&message).await;
    downstream.info().await;
    let began = Instant::now();
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (_, reader) = raw.group().await;
        reads.spawn(read_stream(reader));
    }
    for read in reads.join_all().await {
        assert_eq!(read, Ok(wire(&[&payload])));
    }
    let took = began.elapsed();
    assert!(took < 11 * round_trip, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_finished_group_is_given_up_a_while_after_a_newer_one_is_on_its_way() {
    for (order, dies) in [
        (GroupOrder::Descending, true),
        (GroupOrder::Ascending, false),
    ] {
        let mut world = World::with(limited(|limits| {
            limits.max_backlog = Duration::from_secs(3);
        }));
        let stalled = Config {
            stream_window: 5,
            ..Config::default()
        };
        let (track, raw, mut downstream) =
            subscribed(&mut world, Dialect::Draft03, order, stalled).await;
        write_group(&track, &["longer than the window"]);
        settle().await;
        let (_, oldest) = raw.group().await;
        sleep(Duration::from_secs(60)).await;
        assert_eq!(downstream.gaps().await, [], "it is the newest");
        write_group(&track, &["longer than the window"]);
        let outrun = Instant::now();
        if !dies {
            sleep(Duration::from_secs(60)).await;
            assert_eq!(downstream.gaps().await, []);
            assert!(read_stream(oldest).await.is_ok());
            continue;
        }
        assert_eq!(downstream.gap().await, Ok(Some((0, 0, Code::EXPIRED))));
        assert_eq!(outrun.elapsed().as_secs(), 3);
        assert_eq!(
            read_stream(oldest).await,
            Err(StreamError::Reset(Code::EXPIRED))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_still_written_is_not_late() {
    let mut world = World::new();
    let (track, raw, mut downstream) = subscribed(
        &mut world,
        Dialect::Draft03,
        GroupOrder::Descending,
        Config::default(),
    )
    .await;
    let mut slow = track.append_group().expect("live");
    slow.write_frame("begun").expect("room");
    let (_, reader) = raw.group().await;
    for sequence in 1..30 {
        write_groups(&track, [sequence]);
        assert_eq!(raw.whole_group().await.0, sequence);
        sleep(Duration::from_secs(1)).await;
    }
    slow.write_frame("done").expect("room");
    slow.finish().expect("whole");
    assert_eq!(read_stream(reader).await, Ok(wire(&["begun", "done"])));
    assert_eq!(downstream.gaps().await, []);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_groups_goes_before_the_groups_on_a_full_link() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let slow = Config {
            rate: Some(50_000),
            ..Config::default()
        };
        let (track, raw, mut downstream) =
            subscribed(&mut world, dialect, GroupOrder::Default, slow).await;
        let _other = world
            .relay
            .publish(path("other"), Default::default())
            .expect("free");
        let mut open = track.append_group().expect("live");
        open.write_frame("begun").expect("room");
        settle().await;
        // 20 seconds of groups are ahead, all with the transport already.
        for _ in 0..10 {
            write_group(&track, &["x".repeat(100_000).as_str()]);
        }
        settle().await;
        let began = Instant::now();
        open.abort(moq_relay_core::error::Error::Timeout);
        let gap = downstream.gap().await;
        assert_eq!(gap, Ok(Some((0, 0, Code::TIMEOUT))), "{dialect}");
        let mut second = raw.subscribe(&subscribe(1, "other")).await;
        second.info().await;
        let took = began.elapsed();
        assert!(took < Duration::from_millis(100), "{dialect}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_does_not_hear_of_gaps_still_gets_groups_and_can_leave() {
    let mut world = World::new();
    let deaf = Config {
        stream_window: 8,
        ..Config::default()
    };
    let (track, raw, downstream) =
        subscribed(&mut world, Dialect::Draft03, GroupOrder::Default, deaf).await;
    for sequence in 0..200 {
        // Every other group is cut, and the subscriber never reads of it.
        let mut cut = track.create_group(2 * sequence).expect("live");
        cut.write_frame("x").expect("room");
        settle().await;
        cut.abort(moq_relay_core::error::Error::Timeout);
        write_groups(&track, [2 * sequence + 1]);
        let (header, reader) = raw.group().await;
        assert_eq!(header.sequence, 2 * sequence);
        assert!(read_stream(reader).await.is_err());
        let (header, reader) = raw.group().await;
        assert_eq!(header.sequence, 2 * sequence + 1);
        assert!(read_stream(reader).await.is_ok());
    }
    assert_eq!(world.stats().await.subscriptions, 1);
    let Downstream {
        mut request,
        replies,
    } = downstream;
    request.finish().expect("open");
    assert_eq!(world.stats().await.subscriptions, 0, "it has left");
    drop(replies);
}
