//! One subscription upstream, however many there are downstream.

use std::time::Duration;

use moq_relay_core::model::consumer::TrackConsumer;
use moq_transfork::Dialect;
use moq_transfork::wt::Session as _;
use tokio::time::{Instant, sleep};

use crate::raw::Raw;
use crate::world::{
    INSTANT, Seen, World, groups, next_group, published, read_all, read_group, settle, soon, wire,
    write_groups,
};

/// How long the relay's subscription outlives its last subscriber by default.
const LINGER: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_hundred_subscribers_of_all_dialects_are_one_subscription_upstream() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Fork02, &["clock"]).await;
    let mut clients = Vec::new();
    for i in 0..100 {
        clients.push(world.client(Dialect::ALL[i % 4]).await);
    }
    let mut readers: Vec<_> = clients
        .iter()
        .map(|client| client.subscribe("clock"))
        .collect();
    let mut upstream = publisher.subscribed().await;
    upstream.accept(0).await;
    let id = upstream.subscribe.id;
    // Those of the third dialect and a half are told apart from the third when they ask.
    sleep(Duration::from_secs(2)).await;

    let payload = "x".repeat(10_000);
    let frames = ["first", "", &payload];
    for sequence in 0..3 {
        publisher.send_group(id, sequence, &wire(&frames)).await;
        for (i, reader) in readers.iter_mut().enumerate() {
            let expected = Seen::Group(sequence, frames.map(str::to_owned).to_vec());
            assert_eq!(read_all(reader).await, [expected], "subscriber {i}");
        }
    }
    assert!(!publisher.has_request().await, "a second subscription");
    let stats = world.stats().await;
    assert_eq!((stats.upstreams, stats.upstreams_total), (1, 1));
    assert_eq!(stats.subscriptions, 100);

    // All but one leave: nothing changes. The last one does: it ends, a moment later.
    readers.truncate(1);
    sleep(10 * LINGER).await;
    assert_eq!(world.relay.stats().upstreams, 1);
    readers.clear();
    let left = Instant::now();
    let ended = soon(upstream.reader.update()).await;
    assert_eq!(ended, Ok(None), "the relay ends its subscription cleanly");
    // The client's own subscription outlives its reader in the same way.
    assert_eq!(left.elapsed().as_secs(), 2 * LINGER.as_secs());
    let stats = world.stats().await;
    assert_eq!((stats.upstreams, stats.subscriptions), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_at_any_moment_of_the_teardown_gets_data() {
    let mut offsets: Vec<u64> = (0..40).map(|i| i * 50).collect();
    offsets.extend(990..1010);
    for dialect in [Dialect::Draft03, Dialect::Fork02] {
        for offset in offsets.iter().map(|ms| Duration::from_millis(*ms)) {
            let mut world = World::new();
            let publisher = world.client(dialect).await;
            let track = publisher.publish("clock");
            published(&world, "clock").await;
            let client = world.client(Dialect::Draft03).await;
            write_groups(&track, [0]);
            let mut first = client.subscribe("clock");
            assert_eq!(read_all(&mut first).await, groups([0]));
            drop(first);
            sleep(offset).await;
            let mut second = client.subscribe("clock");
            assert_eq!(
                read_all(&mut second).await,
                groups([0]),
                "after {offset:?} with {dialect}"
            );
            write_groups(&track, [1]);
            assert_eq!(read_all(&mut second).await, groups([1]), "after {offset:?}");
        }
    }
}

/// Subscribers that come and go in step with the relay's own steps, not with the clock.
#[tokio::test(start_paused = true)]
async fn whoever_comes_between_any_two_steps_of_the_teardown_gets_data() {
    for steps in 0..60 {
        let mut world = World::new();
        let publisher = world.client(Dialect::Draft03).await;
        let track = publisher.publish("clock");
        published(&world, "clock").await;
        let client = world.client(Dialect::Draft03).await;
        write_groups(&track, [0]);
        let mut first = client.subscribe("clock");
        assert_eq!(read_all(&mut first).await, groups([0]));
        drop(first);
        // One tick before the subscription upstream ends, then so many turns of the scheduler.
        sleep(LINGER).await;
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
        let mut second = client.subscribe("clock");
        assert_eq!(
            read_all(&mut second).await,
            groups([0]),
            "after {steps} turns"
        );
        drop(second);
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
        let mut third = client.subscribe("clock");
        assert_eq!(
            read_all(&mut third).await,
            groups([0]),
            "after {steps} turns"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_track_that_ends_and_begins_again_in_one_session_serves_new_subscribers() {
    for pause in [0, 1, 10, 500, 999, 1000, 1001, 1500, 3000] {
        let dialect = Dialect::Draft03;
        let mut world = World::new();
        let publisher = world.client(dialect).await;
        let track = publisher.publish("clock");
        published(&world, "clock").await;
        let client = world.client(Dialect::Draft03).await;
        let mut first = client.subscribe("clock");
        write_groups(&track, [0]);
        assert_eq!(read_all(&mut first).await, groups([0]));
        track.finish();
        settle().await;
        let track = publisher.publish("clock");
        write_groups(&track, [7]);
        sleep(Duration::from_millis(pause)).await;
        let mut second = client.subscribe("clock");
        assert_eq!(read_all(&mut second).await, groups([7]), "after {pause} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_after_the_publisher_has_ended_a_track_asks_it_anew() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let (publisher, _told) = Raw::publisher(&mut world, dialect, &["clock"]).await;
        let first = world.client(Dialect::Draft03).await;
        let mut old = first.subscribe("clock");
        let mut upstream = publisher.subscribed().await;
        upstream.accept(0).await;
        let old_id = upstream.subscribe.id;
        upstream.writer.finish().expect("open");
        settle().await;

        let second = world.client(Dialect::Draft03).await;
        let mut new = second.subscribe("clock");
        let mut upstream = publisher.subscribed().await;
        upstream.accept(0).await;
        publisher.send(upstream.subscribe.id, 0).await;
        assert_eq!(read_all(&mut new).await, groups([0]), "{dialect}");

        // A group of the forks may come after the end of its track.
        if dialect != Dialect::Draft03 {
            publisher.send(old_id, 0).await;
            assert_eq!(read_all(&mut old).await, groups([0]), "{dialect}");
        }
        sleep(LINGER).await;
        assert_eq!(read_all(&mut old).await, [Seen::End], "{dialect}");
        assert_eq!(read_all(&mut new).await, [], "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_leaves_before_the_publisher_answers_leaves_nothing() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
    let client = world.client(Dialect::Draft03).await;
    let reader = client.subscribe("clock");
    let mut upstream = publisher.subscribed().await;
    assert_eq!(world.stats().await.upstreams, 1);
    drop(reader);
    sleep(3 * LINGER).await;
    let stats = world.stats().await;
    assert_eq!((stats.upstreams, stats.subscriptions), (0, 0));
    assert_eq!(soon(upstream.reader.update()).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn three_thousand_tracks_are_subscribed_to_at_once() {
    const TRACKS: usize = 3000;
    let mut world = World::new();
    let config = moq_relay_core::memory::Config {
        max_bi_streams: 10_000,
        max_uni_streams: 10_000,
        ..moq_relay_core::memory::Config::default()
    };
    let publisher = world.client_over(Dialect::Draft03, config.clone()).await;
    let names: Vec<_> = (0..TRACKS).map(|i| format!("demo/{i}")).collect();
    let tracks: Vec<_> = names.iter().map(|name| publisher.publish(name)).collect();
    published(&world, names.last().expect("there are some")).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(world.client_over(Dialect::Draft03, config.clone()).await);
    }
    let mut readers: Vec<TrackConsumer> = Vec::new();
    for (i, name) in names.iter().enumerate() {
        readers.push(clients[i % 10].subscribe(name));
        if i % 1000 == 999 {
            // The client's own queue holds about so many.
            settle().await;
        }
    }
    for track in &tracks {
        write_groups(track, [0]);
    }
    for reader in &mut readers {
        let group = next_group(reader).await;
        assert_eq!(read_group(group).await.expect("whole"), ["0"]);
    }
    let stats = world.stats().await;
    assert_eq!(stats.upstreams_total, TRACKS as u64);
    assert_eq!(stats.subscriptions, TRACKS as u64);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_when_all_have_gone() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let mut clients = Vec::new();
    for dialect in Dialect::ALL {
        let client = world.client(dialect).await;
        let mut reader = client.subscribe("clock");
        write_groups(&track, [clients.len() as u64]);
        next_group(&mut reader).await;
        clients.push((client, reader));
    }
    let open = track.append_group().expect("live");
    sleep(INSTANT).await;
    assert!(world.relay.stats().cache_bytes > 0);
    for (client, _reader) in &clients {
        client.transport.close(0, "");
    }
    publisher.transport.close(0, "");
    drop((clients, publisher, track, open));
    world.assert_nothing_left().await;
    assert!(world.relay.origin().is_empty());
}
