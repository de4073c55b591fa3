//! Publishers that go away, come back, or leave their place to another.

use std::sync::Arc;
use std::time::Duration;

use moq_relay_core::limits::Limits;
use moq_relay_core::memory::Config;
use moq_relay_core::model::cache::Cache;
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::origin::{Locality, Origin};
use moq_relay_core::source::Source;
use moq_relay_core::tracks::Tracks;
use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::stream::StreamError;
use moq_transfork::wt::Session as _;
use tokio::time::{Instant, sleep};

use crate::raw::{Downstream, Raw, Told, Upstream, read_stream, subscribe};
use crate::world::{Seen, World, groups, path, published, read_all, settle, wire, write_groups};

fn from(min: u64) -> Subscription {
    Subscription {
        min: Some(min),
        ..Subscription::default()
    }
}

/// A publisher of "clock" that has announced it.
async fn publisher(world: &mut World) -> (Raw, Told) {
    Raw::publisher(world, Dialect::Draft03, &["clock"]).await
}

/// A subscriber to "clock" with a bare transport, which the relay has passed on to a publisher.
async fn subscriber(world: &mut World, publisher: &Raw) -> (Raw, Downstream, Upstream) {
    let raw = Raw::connect(world, Dialect::Draft03).await;
    let mut downstream = raw.subscribe(&subscribe(0, "clock")).await;
    let mut upstream = publisher.subscribed().await;
    upstream.accept(0).await;
    downstream.info().await;
    (raw, downstream, upstream)
}

async fn send(publisher: &Raw, upstream: &Upstream, sequence: u64) {
    publisher.send(upstream.subscribe.id, sequence).await;
}

fn whole(sequence: u64) -> (u64, Result<Vec<u8>, StreamError>) {
    (sequence, Ok(wire(&[&sequence.to_string()])))
}

#[tokio::test(start_paused = true)]
async fn whole_groups_stay_readable_when_the_publisher_is_gone() {
    let mut world = World::new();
    let (publisher, _told) = publisher(&mut world).await;
    let mut reader = world
        .relay
        .origin()
        .track(&path("clock"), from(0))
        .expect("published");
    let mut upstream = publisher.subscribed().await;
    upstream.accept(0).await;
    for sequence in 0..3 {
        send(&publisher, &upstream, sequence).await;
    }
    let _open = publisher
        .begin_group(upstream.subscribe.id, 3, &wire(&["x"]))
        .await;
    settle().await;
    publisher.transport.close(0, "bye");
    settle().await;
    let mut seen = read_all(&mut reader).await;
    let end = seen.pop();
    assert_eq!(end, Some(Seen::Failed(Code::DROPPED)));
    seen.sort();
    let mut expected = groups(0..3);
    expected.push(Seen::Gap(3, 3, Code::DROPPED));
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn every_subscriber_sees_the_open_group_reset_and_its_subscription_fail() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let (publisher, _told) = publisher(&mut world).await;
        let mut subscribers = Vec::new();
        let (raw, downstream, upstream) = subscriber(&mut world, &publisher).await;
        subscribers.push((raw, downstream));
        for _ in 0..9 {
            let raw = Raw::connect(&mut world, dialect).await;
            std::mem::forget(raw.asked_for_announcements().await);
            let mut downstream = raw.subscribe(&subscribe(0, "clock")).await;
            downstream.info().await;
            subscribers.push((raw, downstream));
        }
        let id = upstream.subscribe.id;
        let _open = publisher.begin_group(id, 7, &wire(&["begun"])).await;
        let mut open = Vec::new();
        for (raw, _) in &subscribers {
            let (header, reader) = raw.group().await;
            assert_eq!(header.sequence, 7);
            open.push(reader);
        }
        let killed = Instant::now();
        publisher.transport.close(0, "killed");
        for (reader, (raw, mut downstream)) in open.into_iter().zip(subscribers) {
            let end = read_stream(reader).await;
            assert_eq!(
                end,
                Err(StreamError::Reset(Code::DROPPED)),
                "{}",
                raw.dialect
            );
            // The reset of the subscription may overtake what was said of the group.
            let mut end = downstream.gap().await;
            if end == Ok(Some((7, 7, Code::DROPPED))) {
                end = downstream.gap().await;
            }
            assert_eq!(
                end,
                Err(StreamError::Reset(Code::DROPPED)),
                "{}",
                raw.dialect
            );
        }
        // To the forks a stream is not reset before it is a second old.
        assert!(killed.elapsed() <= Duration::from_millis(1010));
    }
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_is_back_before_its_old_session_has_ended_takes_over() {
    let mut world = World::new();
    let fragile = Config {
        idle: Some(Duration::from_secs(10)),
        ..Config::default()
    };
    let old = world.client_over(Dialect::Draft03, fragile).await;
    let track = old.publish("clock");
    published(&world, "clock").await;
    let client = world.client(Dialect::Draft03).await;
    let mut reader = client.subscribe("clock");
    write_groups(&track, [4]);
    assert_eq!(read_all(&mut reader).await, groups([4]));
    // The old session falls silent, and the relay does not know yet.
    old.transport.cut();
    let new = world.client(Dialect::Draft03).await;
    let track = new.publish("clock");
    settle().await;
    write_groups(&track, [5]);
    // A new subscriber is served by the newest announcer at once.
    let other = world.client(Dialect::Draft03).await;
    let mut late = other.subscribe("clock");
    assert_eq!(read_all(&mut late).await, groups([5]));
    assert_eq!(read_all(&mut reader).await, []);
    // The old one notices that its session is over, and the subscription moves.
    sleep(Duration::from_secs(11)).await;
    assert_eq!(read_all(&mut reader).await, groups([5]));
    write_groups(&track, [6]);
    assert_eq!(read_all(&mut reader).await, groups([6]));
    assert_eq!(read_all(&mut late).await, groups([6]));
    assert_eq!(world.stats().await.announced, 1);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_is_back_after_its_old_session_has_ended_serves_anew() {
    let mut world = World::new();
    let client = world.client(Dialect::Draft03).await;
    for round in 0..3 {
        let publisher = world.client(Dialect::Draft03).await;
        let track = publisher.publish("clock");
        published(&world, "clock").await;
        let mut reader = client.subscribe("clock");
        write_groups(&track, [round]);
        assert_eq!(read_all(&mut reader).await, groups([round]));
        publisher.transport.close(0, "");
        drop((publisher, track));
        assert_eq!(read_all(&mut reader).await, [Seen::Failed(Code::DROPPED)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_moves_to_another_publisher_at_a_group_boundary() {
    let mut world = World::new();
    let (second, _told) = publisher(&mut world).await;
    let (first, _told) = publisher(&mut world).await;
    let (raw, mut downstream, upstream) = subscriber(&mut world, &first).await;
    for sequence in 0..4 {
        send(&first, &upstream, sequence).await;
        assert_eq!(raw.whole_group().await, whole(sequence));
    }
    let _open = first
        .begin_group(upstream.subscribe.id, 4, &wire(&["4"]))
        .await;
    let (_, cut) = raw.group().await;
    first.transport.close(0, "");
    assert_eq!(
        read_stream(cut).await,
        Err(StreamError::Reset(Code::DROPPED))
    );

    let mut upstream = second.subscribed().await;
    assert_eq!(
        (upstream.subscribe.min, upstream.subscribe.max),
        (Some(5), None)
    );
    upstream.accept(6).await;
    send(&second, &upstream, 6).await;
    assert_eq!(raw.whole_group().await, whole(6));
    send(&second, &upstream, 7).await;
    assert_eq!(raw.whole_group().await, whole(7));
    assert_eq!(downstream.gaps().await, [(4, 4, Code::DROPPED)]);
    // What it was asked for and does not give is waited for, as ever.
    sleep(Duration::from_secs(60)).await;
    assert_eq!(downstream.gaps().await, [(5, 5, Code::DROPPED)]);
    assert_eq!(world.stats().await.subscriptions, 1);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_is_given_up_leaves_its_place_to_another() {
    let mut world = World::new();
    let staying = world.client(Dialect::Draft03).await;
    let (leaving, handle) = world.client_and_handle().await;
    let tracks = [&staying, &leaving].map(|peer| peer.publish("clock"));
    settle().await;
    let viewer = world.client(Dialect::Draft03).await;
    let mut reader = viewer.subscribe("clock");
    tracks.iter().for_each(|track| write_groups(track, [0]));
    assert_eq!(read_all(&mut reader).await, groups([0]));
    let demand = |track: &TrackProducer| track.demand().is_some();
    assert_eq!(tracks.each_ref().map(demand), [false, true]);

    handle.retire();
    settle().await;
    assert_eq!(tracks.each_ref().map(demand), [true, false]);
    tracks.iter().for_each(|track| write_groups(track, [1]));
    assert_eq!(read_all(&mut reader).await, groups([1]));
    assert_eq!(world.relay.origin().len(), 1);
    assert_eq!(world.stats().await.sessions, 3);
}

#[tokio::test(start_paused = true)]
async fn a_move_delivers_no_group_twice() {
    let mut world = World::new();
    let (second, _told) = publisher(&mut world).await;
    let (first, _told) = publisher(&mut world).await;
    let (raw, mut downstream, upstream) = subscriber(&mut world, &first).await;
    for sequence in [8, 9] {
        send(&first, &upstream, sequence).await;
        assert_eq!(raw.whole_group().await, whole(sequence));
    }
    first.transport.close(0, "");
    let mut upstream = second.subscribed().await;
    // It is a little behind.
    upstream.accept(8).await;
    for sequence in [8, 9, 10] {
        send(&second, &upstream, sequence).await;
    }
    assert_eq!(raw.whole_group().await, whole(10));
    assert!(!raw.has_group().await);
    assert_eq!(downstream.gaps().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_range_goes_on_at_the_next_publisher_where_it_had_come_to() {
    let mut world = World::new();
    let (second, _told) = publisher(&mut world).await;
    let (first, _told) = publisher(&mut world).await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let mut asked = subscribe(0, "clock");
    (asked.min, asked.max) = (Some(2), Some(6));
    let mut downstream = raw.subscribe(&asked).await;
    let mut upstream = first.subscribed().await;
    upstream.accept(3).await;
    downstream.info().await;
    for sequence in [2, 3] {
        send(&first, &upstream, sequence).await;
        assert_eq!(raw.whole_group().await, whole(sequence));
    }
    first.transport.close(0, "");
    let mut upstream = second.subscribed().await;
    assert_eq!(upstream.subscribe.min, Some(4));
    assert_eq!(upstream.subscribe.max, Some(6));
    upstream.accept(9).await;
    // It has them all, so nothing is lost.
    for sequence in [4, 6, 5] {
        send(&second, &upstream, sequence).await;
        assert_eq!(raw.whole_group().await, whole(sequence));
    }
    assert_eq!(downstream.gap().await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_numbers_anew_ends_live_subscriptions_and_serves_new_ones() {
    let mut world = World::new();
    let (second, _told) = publisher(&mut world).await;
    let (first, _told) = publisher(&mut world).await;
    let (raw, mut downstream, upstream) = subscriber(&mut world, &first).await;
    send(&first, &upstream, 100).await;
    assert_eq!(raw.whole_group().await, whole(100));
    first.transport.close(0, "");
    let mut upstream = second.subscribed().await;
    upstream.accept(0).await;
    send(&second, &upstream, 0).await;
    let end = downstream.gap().await;
    assert_eq!(end, Err(StreamError::Reset(Code::DROPPED)));
    assert!(!raw.has_group().await);
    let mut downstream = raw.subscribe(&subscribe(1, "clock")).await;
    downstream.info().await;
    assert_eq!(raw.whole_group().await, whole(0));
}

#[tokio::test(start_paused = true)]
async fn a_place_survives_a_publisher_that_dies_before_it_answers() {
    let mut world = World::new();
    let (third, _told) = publisher(&mut world).await;
    let (second, _told) = publisher(&mut world).await;
    let (first, _told) = publisher(&mut world).await;
    let (raw, mut downstream, upstream) = subscriber(&mut world, &first).await;
    send(&first, &upstream, 5).await;
    assert_eq!(raw.whole_group().await, whole(5));
    first.transport.close(0, "");
    let silent = second.subscribed().await;
    second.transport.close(0, "");
    drop(silent);
    let mut upstream = third.subscribed().await;
    upstream.accept(5).await;
    send(&third, &upstream, 5).await;
    assert!(!raw.has_group().await, "it was there before");
    send(&third, &upstream, 6).await;
    assert_eq!(raw.whole_group().await, whole(6));
    send(&third, &upstream, 8).await;
    assert_eq!(raw.whole_group().await, whole(8));
    assert_eq!(downstream.gap().await, Ok(Some((7, 7, Code::DROPPED))));
}

#[tokio::test(start_paused = true)]
async fn many_subscribers_move_together_as_one_subscription() {
    let mut world = World::new();
    let (second, _told) = publisher(&mut world).await;
    let first = world.client(Dialect::Draft03).await;
    let track = first.publish("clock");
    settle().await;
    let mut readers = Vec::new();
    let mut clients = Vec::new();
    for i in 0..20 {
        let client = world.client(Dialect::ALL[i % 4]).await;
        readers.push(client.subscribe("clock"));
        clients.push(client);
    }
    sleep(Duration::from_secs(2)).await;
    write_groups(&track, [0]);
    for reader in &mut readers {
        assert_eq!(read_all(reader).await, groups([0]));
    }
    first.transport.close(0, "");
    let mut upstream = second.subscribed().await;
    upstream.accept(1).await;
    send(&second, &upstream, 1).await;
    for reader in &mut readers {
        assert_eq!(read_all(reader).await, groups([1]));
    }
    assert!(!second.has_request().await);
    assert_eq!(world.stats().await.upstreams, 1);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_takes_back_its_announcement_keeps_its_subscribers() {
    let mut world = World::new();
    let (publisher, mut told) = publisher(&mut world).await;
    let (raw, _downstream, upstream) = subscriber(&mut world, &publisher).await;
    told.ended("clock").await;
    assert_eq!(world.stats().await.announced, 0);
    send(&publisher, &upstream, 3).await;
    assert_eq!(raw.whole_group().await, whole(3));
    // Who comes now is told that there is nothing.
    let mut late = raw.subscribe(&subscribe(1, "clock")).await;
    let refused = late.replies.info().await;
    assert_eq!(refused, Err(StreamError::Reset(Code::NOT_FOUND)));
}

#[tokio::test(start_paused = true)]
async fn the_newest_announcer_serves_and_the_local_before_the_remote() {
    let origin = Origin::default();
    let source = |name: &str| {
        let tracks = Tracks::new(Cache::default(), Limits::default());
        let track = tracks
            .create(path("clock"), TrackInfo::default())
            .expect("free");
        let mut group = track.append_group().expect("live");
        group.write_frame(name.to_owned()).expect("room");
        group.finish().expect("whole");
        (Arc::new(tracks), track)
    };
    let serving = async || {
        let reader = origin.track(&path("clock"), Subscription::default());
        match reader {
            Ok(mut reader) => read_all(&mut reader).await,
            Err(error) => vec![Seen::Failed(error.code())],
        }
    };
    let said = |name: &str| vec![Seen::Group(0, vec![name.to_owned()])];
    let attach = |tracks: &Arc<Tracks>, locality: &Locality| {
        let route = origin.attach(path("clock"), tracks.clone(), locality);
        route.expect("the path is anyone's")
    };
    let there = Locality::Remote("node.example".parse().expect("a name"));
    let (old, _old_track) = source("old");
    let (new, _new_track) = source("new");
    let (far, _far_track) = source("far");
    let (farther, _farther_track) = source("farther");

    let far_route = attach(&far, &there);
    assert_eq!(serving().await, said("far"));
    let old_route = attach(&old, &Locality::Local);
    assert_eq!(serving().await, said("old"));
    let farther_route = attach(&farther, &there);
    assert_eq!(serving().await, said("old"), "local before remote");
    let new_route = attach(&new, &Locality::Local);
    assert_eq!(serving().await, said("new"));
    drop(old_route);
    assert_eq!(serving().await, said("new"));
    drop(new_route);
    assert_eq!(serving().await, said("farther"), "the newest of the remote");
    drop(farther_route);
    assert_eq!(serving().await, said("far"));
    drop(far_route);
    assert_eq!(serving().await, [Seen::Failed(Code::NOT_FOUND)]);
    assert!(origin.is_empty());
}
