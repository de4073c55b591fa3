//! A subscriber is told of every group that it does not get.

use std::time::Duration;

use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::relay::RelayConfig;
use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::{GroupOrder, UniType};
use moq_transfork::wt::SendStream as _;
use tokio::time::{Instant, sleep};

use crate::raw::{Downstream, Raw, Upstream, said, subscribe};
use crate::world::{INSTANT, Seen, World, groups, published, read_all, settle, wire, write_groups};

/// A raw publisher and a raw subscriber, subscribed, with group 0 delivered.
struct Chain {
    world: World,
    publisher: Raw,
    upstream: Upstream,
    subscriber: Raw,
    downstream: Downstream,
}

impl Chain {
    async fn new(from: Dialect, to: Dialect) -> Self {
        let mut world = World::new();
        let (publisher, _told) = Raw::publisher(&mut world, from, &["clock"]).await;
        let subscriber = Raw::connect(&mut world, to).await;
        // It says no more, which is how the relay tells dialects apart.
        std::mem::forget(subscriber.asked_for_announcements().await);
        std::mem::forget(_told);
        let downstream = subscriber.subscribe(&subscribe(0, "clock")).await;
        let mut upstream = publisher.subscribed().await;
        upstream.accept(0).await;
        let mut chain = Self {
            world,
            publisher,
            upstream,
            subscriber,
            downstream,
        };
        chain.send(0).await;
        chain.downstream.info().await;
        assert_eq!(chain.subscriber.whole_group().await, (0, Ok(wire(&["0"]))));
        chain
    }

    async fn send(&self, sequence: u64) {
        self.publisher.send(self.id(), sequence).await;
    }

    fn id(&self) -> u64 {
        self.upstream.subscribe.id
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_reset_upstream_is_told_once() {
    for from in Dialect::ALL {
        for to in Dialect::ALL {
            let mut chain = Chain::new(from, to).await;
            let id = chain.id();
            let mut stream = chain.publisher.begin_group(id, 1, &wire(&["half"])).await;
            let (header, group) = chain.subscriber.group().await;
            assert_eq!(header.sequence, 1);
            stream.reset(77);
            // The publisher tells too, as the draft asks of it.
            chain.upstream.gap(1, 0, Code(77)).await;
            crate::raw::read_stream(group).await.expect_err("cut short");
            assert_eq!(
                chain.downstream.gaps().await,
                [(1, 1, Code(77))],
                "{from} to {to}"
            );
            chain.send(2).await;
            assert_eq!(chain.subscriber.whole_group().await, (2, Ok(wire(&["2"]))));
            sleep(Duration::from_secs(30)).await;
            assert_eq!(chain.downstream.gaps().await, [], "{from} to {to}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn gaps_of_the_publisher_are_passed_on_at_once() {
    let mut chain = Chain::new(Dialect::Fork02, Dialect::Draft03).await;
    let told = Instant::now();
    chain.upstream.gap(1, 3, Code::app(5)).await;
    assert_eq!(chain.downstream.gap().await, Ok(Some((1, 4, Code::app(5)))));
    assert!(told.elapsed() < Duration::from_millis(10));
    // What was told missing and comes after all is not delivered: each group is settled once.
    chain.send(3).await;
    chain.send(5).await;
    assert_eq!(chain.subscriber.whole_group().await, (5, Ok(wire(&["5"]))));
    assert!(!chain.subscriber.has_group().await);
    // A late joiner gets it from the cache.
    let client = chain.world.client(Dialect::Draft03).await;
    let mut late = client.subscribe_with(
        "clock",
        Subscription {
            min: Some(0),
            ..Subscription::default()
        },
    );
    sleep(INSTANT).await;
    let mut seen = read_all(&mut late).await;
    seen.sort();
    assert!(seen.starts_with(&groups([0, 3, 5])), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn holes_in_the_numbers_are_told_when_they_have_lasted() {
    let mut chain = Chain::new(Dialect::Fork04, Dialect::Draft03).await;
    let began = Instant::now();
    chain.send(3).await;
    assert_eq!(chain.subscriber.whole_group().await, (3, Ok(wire(&["3"]))));
    sleep(Duration::from_secs(9)).await;
    assert_eq!(chain.downstream.gaps().await, []);
    // In the last moment one comes after all.
    chain.send(2).await;
    assert_eq!(chain.subscriber.whole_group().await, (2, Ok(wire(&["2"]))));
    assert_eq!(
        chain.downstream.gap().await,
        Ok(Some((1, 1, Code::DROPPED)))
    );
    assert!((10..12).contains(&began.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn holes_are_told_before_the_track_ends() {
    let mut chain = Chain::new(Dialect::Draft03, Dialect::Draft03).await;
    chain.send(4).await;
    assert_eq!(chain.subscriber.whole_group().await, (4, Ok(wire(&["4"]))));
    chain.upstream.writer.finish().expect("open");
    assert_eq!(
        chain.downstream.gap().await,
        Ok(Some((1, 3, Code::DROPPED)))
    );
    assert_eq!(chain.downstream.gap().await, Ok(None));
}

/// What has arrived is taken in before the end is acted on, whichever task runs first.
#[tokio::test(start_paused = true)]
async fn a_group_that_arrives_together_with_the_end_of_its_track_is_not_lost() {
    let mut chain = Chain::new(Dialect::Draft03, Dialect::Draft03).await;
    chain.upstream.writer.finish().expect("open");
    chain.send(1).await;
    assert_eq!(chain.subscriber.whole_group().await, (1, Ok(wire(&["1"]))));
    assert_eq!(chain.downstream.gap().await, Ok(None));
}

/// A stream that never says which group it carries does not keep a track from ending.
#[tokio::test(start_paused = true)]
async fn a_group_without_a_header_delays_the_end_of_a_track_by_the_linger_time() {
    let mut chain = Chain::new(Dialect::Draft03, Dialect::Draft03).await;
    let began = said(&UniType::Group, Dialect::Draft03);
    let silent = chain.publisher.open_uni(&began).await;
    settle().await;
    let finished = Instant::now();
    chain.upstream.writer.finish().expect("open");
    assert_eq!(chain.downstream.gap().await, Ok(None));
    assert_eq!(finished.elapsed().as_secs(), 1);
    drop(silent);
}

#[tokio::test(start_paused = true)]
async fn groups_evicted_before_they_could_be_sent_are_told() {
    let mut config = RelayConfig::default();
    config.cache.max_bytes = 64 * 1024;
    config.cache.min_track_bytes = 1024;
    let mut world = World::with(config);
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("big");
    published(&world, "big").await;
    // Ascending, from the start, and never more than one on its way: it falls behind.
    let subscriber = Raw::connect_over(
        &mut world,
        Dialect::Draft03,
        moq_relay_core::memory::Config {
            max_uni_streams: 1,
            ..moq_relay_core::memory::Config::default()
        },
    )
    .await;
    std::mem::forget(subscriber.asked_for_announcements().await);
    let mut asked = subscribe(0, "big");
    asked.order = GroupOrder::Ascending;
    asked.min = Some(0);
    let mut downstream = subscriber.subscribe(&asked).await;
    downstream.info().await;
    let payload = "x".repeat(10_000);
    for _ in 0..20 {
        crate::world::write_group(&track, &[&payload]);
        settle().await;
        assert!(world.relay.stats().cache_bytes <= 64 * 1024);
    }
    let mut settled = Vec::new();
    while settled.len() < 20 {
        let group = tokio::time::timeout(Duration::from_secs(20), subscriber.whole_group()).await;
        if let Ok((sequence, bytes)) = group {
            assert_eq!(bytes, Ok(wire(&[&payload])));
            settled.push(sequence);
        }
        for (first, last, code) in downstream.gaps().await {
            assert_eq!(code, Code::EVICTED);
            settled.extend(first..=last);
        }
    }
    settled.sort_unstable();
    assert_eq!(settled, (0..20).collect::<Vec<_>>(), "each exactly once");
}

#[tokio::test(start_paused = true)]
async fn a_range_that_begins_before_what_exists_begins_with_a_gap() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    write_groups(&track, 5..8);
    let client = world.client(Dialect::Draft03).await;
    let from_two = Subscription {
        min: Some(2),
        ..Subscription::default()
    };
    let mut reader = client.subscribe_with("clock", from_two);
    let mut seen = read_all(&mut reader).await;
    seen.sort();
    assert_eq!(seen, groups(5..8));
    sleep(Duration::from_secs(30)).await;
    assert_eq!(
        read_all(&mut reader).await,
        [Seen::Gap(2, 4, Code::DROPPED)]
    );
    assert_eq!(read_all(&mut reader).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_told_at_once_of_what_its_cache_lost_before_it_came() {
    let mut config = RelayConfig::default();
    config.cache.max_age = Duration::from_secs(3);
    let mut world = World::with(config);
    let track = world
        .relay
        .publish(crate::world::path("clock"), Default::default())
        .expect("free");
    write_groups(&track, 0..3);
    sleep(Duration::from_secs(4)).await;
    write_groups(&track, 3..5);
    let client = Raw::connect(&mut world, Dialect::Draft03).await;
    let mut asked = subscribe(0, "clock");
    asked.min = Some(0);
    let began = Instant::now();
    let mut downstream = client.subscribe(&asked).await;
    assert_eq!(downstream.info().await.latest, 4);
    assert_eq!(client.whole_group().await, (4, Ok(wire(&["4"]))));
    assert_eq!(client.whole_group().await, (3, Ok(wire(&["3"]))));
    assert_eq!(downstream.gap().await, Ok(Some((0, 2, Code::EVICTED))));
    assert!(began.elapsed() < Duration::from_millis(10));
}
