//! What the first relay of this protocol got wrong, each as a case that has to go right here.

use std::time::Duration;

use moq_relay_core::memory::Config;
use moq_relay_core::model::cache::CacheLimits;
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::relay::RelayConfig;
use moq_transfork::message::GroupOrder;
use moq_transfork::stream::StreamError;
use moq_transfork::wt::{SendStream as _, Session as _};
use moq_transfork::{Code, Dialect, Filter};
use tokio::time::{Instant, sleep};

use crate::raw::{Raw, read_stream, subscribe};
use crate::world::{
    Seen, World, groups, published, read_all, settle, soon, wire, write_group, write_groups,
};

#[tokio::test(start_paused = true)]
async fn a_burst_of_ten_groups_arrives_as_ten() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let publisher = world.client(dialect).await;
        let track = publisher.publish("demo/clock");
        published(&world, "demo/clock").await;
        let subscriber = world.client(dialect).await;
        let mut reader = subscriber.subscribe("demo/clock");
        write_groups(&track, 0..1);
        assert_eq!(read_all(&mut reader).await, groups([0]), "{dialect}");
        write_groups(&track, 1..11);
        let mut seen = read_all(&mut reader).await;
        seen.sort();
        assert_eq!(seen, groups(1..11), "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_group_each_millisecond_arrives_whole_over_a_long_link() {
    let mut world = World::new();
    let config = Config {
        delay: Duration::from_millis(100),
        max_uni_streams: 1000,
        ..Config::default()
    };
    let publisher = world.client_over(Dialect::Draft03, config.clone()).await;
    let track = publisher.publish("demo/clock");
    published(&world, "demo/clock").await;
    let subscriber = world.client_over(Dialect::Draft03, config).await;
    let mut reader = subscriber.subscribe("demo/clock");
    write_groups(&track, [0]);
    sleep(Duration::from_secs(1)).await;
    let mut seen = Vec::new();
    for sequence in 1..=2000 {
        write_groups(&track, [sequence]);
        seen.extend(read_all(&mut reader).await);
    }
    sleep(Duration::from_secs(1)).await;
    seen.extend(read_all(&mut reader).await);
    seen.sort();
    let missing: Vec<_> = groups(0..2001)
        .into_iter()
        .filter(|group| seen.binary_search(group).is_err())
        .collect();
    assert_eq!(missing, []);
    assert_eq!(seen.len(), 2001, "nothing else is seen");
    let stats = world.stats().await;
    assert_eq!((stats.groups_delivered, stats.groups_given_up), (2001, 0));
}

#[tokio::test(start_paused = true)]
async fn a_late_group_is_delivered() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Fork02, &["clock"]).await;
    let subscriber = world.client(Dialect::Draft03).await;
    let mut reader = subscriber.subscribe("clock");
    let mut upstream = publisher.subscribed().await;
    upstream.accept(0).await;
    for sequence in [3, 5, 4] {
        publisher.send(upstream.subscribe.id, sequence).await;
        assert_eq!(read_all(&mut reader).await, groups([sequence]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_cut_between_frames_is_never_ended_clean() {
    #[derive(Debug, Clone, Copy)]
    enum Death {
        Reset,
        Close,
        Drop,
        Silence,
    }
    for death in [Death::Reset, Death::Close, Death::Drop, Death::Silence] {
        for dialect in Dialect::ALL {
            let mut world = World::new();
            let config = Config {
                idle: Some(Duration::from_secs(10)),
                ..Config::default()
            };
            let publisher = Raw::connect_over(&mut world, Dialect::Fork02, config).await;
            let mut told = publisher.asked_for_announcements().await;
            told.active("clock").await;
            settle().await;
            let subscriber = Raw::connect(&mut world, dialect).await;
            subscriber.asked_for_announcements().await;
            let mut downstream = subscriber.subscribe(&subscribe(7, "clock")).await;
            let mut upstream = publisher.subscribed().await;
            upstream.accept(0).await;
            let mut stream = publisher
                .begin_group(upstream.subscribe.id, 0, &wire(&["one", "two"]))
                .await;
            downstream.info().await;
            let (header, mut group) = subscriber.group().await;
            assert_eq!(header.sequence, 0);
            let begun = soon(group.read(100)).await.expect("open").expect("begun");
            assert_eq!(begun, wire(&["one", "two"]));

            match death {
                Death::Reset => stream.reset(5),
                Death::Close => publisher.transport.close(0, "bye"),
                Death::Drop => {
                    // As a process that is killed: nothing is finished or reset.
                    publisher.transport.cut();
                    std::mem::forget(stream);
                    std::mem::forget((told, upstream, publisher));
                }
                Death::Silence => publisher.transport.cut(),
            }
            let end = read_stream(group).await;
            assert!(
                matches!(end, Err(StreamError::Reset(_))),
                "{death:?} to {dialect}: {end:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_frame_never_reads_as_a_whole_one() {
    let frames = wire(&[
        "whole",
        "a longer frame than a byte can count, to have a header of two bytes",
    ]);
    for cut in 1..frames.len() {
        let mut world = World::new();
        let (publisher, _told) = Raw::publisher(&mut world, Dialect::Fork02, &["clock"]).await;
        let subscriber = Raw::connect(&mut world, Dialect::Draft03).await;
        let mut downstream = subscriber.subscribe(&subscribe(0, "clock")).await;
        let mut upstream = publisher.subscribed().await;
        upstream.accept(0).await;
        downstream.info().await;
        let id = upstream.subscribe.id;
        publisher.send_group(id, 0, &[]).await;
        assert_eq!(subscriber.whole_group().await, (0, Ok(vec![])));
        let mut stream = publisher.begin_group(id, 1, &frames[..cut]).await;
        stream.finish().expect("open");
        if cut == 6 {
            // The end of the first frame is an end.
            assert_eq!(subscriber.whole_group().await, (1, Ok(wire(&["whole"]))));
            continue;
        }
        settle().await;
        if subscriber.has_group().await {
            panic!("a group that was never whole is begun after its end, at {cut}");
        }
        assert_eq!(downstream.gaps().await, [(1, 1, Code::WRONG_SIZE)], "{cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_with_an_error_when_its_publisher_goes_and_works_when_it_is_back() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let publisher = world.client(Dialect::Fork02).await;
        let track = publisher.publish("clock");
        published(&world, "clock").await;
        let subscriber = world.client(dialect).await;
        let mut reader = subscriber.subscribe("clock");
        write_groups(&track, [0]);
        assert_eq!(read_all(&mut reader).await, groups([0]));

        let gone = Instant::now();
        publisher.transport.close(0, "bye");
        let seen = read_all(&mut reader).await;
        assert!(matches!(seen[..], [Seen::Failed(_)]), "{dialect}: {seen:?}");
        assert!(gone.elapsed() < Duration::from_millis(100), "{dialect}");

        drop((track, publisher));
        let publisher = world.client(Dialect::Fork02).await;
        let track = publisher.publish("clock");
        published(&world, "clock").await;
        let mut reader = subscriber.subscribe("clock");
        write_groups(&track, [0]);
        assert_eq!(read_all(&mut reader).await, groups([0]), "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_live_marker_goes_to_those_who_understand_it() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let publisher = world.client(Dialect::Draft03).await;
        let _track = publisher.publish("clock");
        published(&world, "clock").await;
        let raw = Raw::connect(&mut world, dialect).await;
        let (_request, mut recv) = match dialect {
            Dialect::Fork04s => raw.open(b"\x01\x03cl*").await,
            Dialect::Draft03 | Dialect::Fork02 | Dialect::Fork04 => raw.open(b"\x01\x00").await,
        };
        // The time it may take to tell the two dialects of one version apart.
        sleep(Duration::from_secs(2)).await;
        let said = read_now(&mut recv).await;
        let expected: &[u8] = match dialect {
            Dialect::Draft03 | Dialect::Fork04 => b"\x01\x01\x05clock\x02",
            Dialect::Fork04s => b"\x01\x03ock\x02",
            Dialect::Fork02 => b"\x01\x01\x05clock",
        };
        assert_eq!(said, expected, "{dialect}");
    }
}

async fn read_now(recv: &mut moq_relay_core::memory::RecvStream) -> Vec<u8> {
    use moq_transfork::wt::RecvStream as _;
    let mut all = Vec::new();
    while let Ok(Ok(Some(bytes))) =
        tokio::time::timeout(crate::world::INSTANT, recv.read_chunk(usize::MAX)).await
    {
        all.extend_from_slice(&bytes);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn a_session_survives_an_update_of_the_peers_rate() {
    let mut world = World::new();
    let mut raw = Raw::connect(&mut world, Dialect::Draft03).await;
    raw.control.update(1_000_000).await.expect("open");
    settle().await;
    let (_request, mut reader) = raw.announced(Filter::any()).await;
    let next = soon(reader.next()).await.expect("open");
    assert_eq!(next, Some(moq_transfork::message::Announce::Live));
}

#[tokio::test(start_paused = true)]
async fn a_double_start_and_an_unknown_end_cost_nothing_but_themselves() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let raw = Raw::connect(&mut world, dialect).await;
        let mut told = raw.asked_for_announcements().await;
        told.active("a").await;
        told.active("a").await;
        told.ended("never").await;
        told.active("b").await;
        published(&world, "a").await;
        published(&world, "b").await;
        let stats = world.stats().await;
        assert_eq!(
            (stats.announced, stats.announce_errors),
            (2, 2),
            "{dialect}"
        );
        told.ended("a").await;
        assert_eq!(world.stats().await.announced, 1, "{dialect}");
        let subscriber = world.client(Dialect::Draft03).await;
        let mut reader = subscriber.subscribe("b");
        let mut upstream = raw.subscribed().await;
        upstream.accept(0).await;
        let id = upstream.subscribe.id;
        raw.send(id, 0).await;
        assert_eq!(read_all(&mut reader).await, groups([0]), "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_newest_group_goes_first_on_a_link_that_is_too_slow() {
    for (order, expected) in [
        (GroupOrder::Descending, [2, 1, 0]),
        (GroupOrder::Default, [2, 1, 0]),
        (GroupOrder::Ascending, [0, 1, 2]),
    ] {
        let mut world = World::new();
        let publisher = world.client(Dialect::Draft03).await;
        let track = publisher.publish("clock");
        published(&world, "clock").await;
        let config = Config {
            rate: Some(100_000),
            ..Config::default()
        };
        let slow = Raw::connect_over(&mut world, Dialect::Draft03, config).await;
        let mut asked = subscribe(0, "clock");
        asked.order = order;
        asked.min = Some(0);
        let mut downstream = slow.subscribe(&asked).await;
        downstream.info().await;
        // 40 KB each: four tenths of a second.
        let payload = "x".repeat(40_000);
        for _ in 0..3 {
            write_group(&track, &[&payload]);
        }
        let mut streams = Vec::new();
        for _ in 0..3 {
            let (header, reader) = slow.group().await;
            streams.push(async move {
                let bytes = read_stream(reader).await;
                (header.sequence, bytes, Instant::now())
            });
        }
        let mut done = futures_util::future::join_all(streams).await;
        done.sort_by_key(|(_, _, at)| *at);
        let order_of_ends: Vec<u64> = done.iter().map(|(sequence, ..)| *sequence).collect();
        assert_eq!(order_of_ends, expected, "{order:?}");
        for (_, bytes, _) in done {
            assert_eq!(bytes, Ok(wire(&[&payload])), "{order:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_open_group_of_sixty_megabytes_fits_in_a_budget_of_four() {
    const BUDGET: u64 = 4 * 1024 * 1024;
    let mut config = RelayConfig::default();
    config.cache = CacheLimits::default();
    config.cache.max_bytes = BUDGET;
    let mut world = World::with(config);
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Fork02, &["big", "small"]).await;
    let small = world.client(Dialect::Draft03).await;
    let mut others = small.subscribe("small");
    let mut upstream = publisher.subscribed().await;
    upstream.accept(0).await;
    let small_id = upstream.subscribe.id;
    // One that never reads.
    let stalled = Raw::connect(&mut world, Dialect::Draft03).await;
    let mut downstream = stalled.subscribe(&subscribe(0, "big")).await;
    let mut big = publisher.subscribed().await;
    big.accept(0).await;
    downstream.info().await;

    let mut stream = publisher.begin_group(big.subscribe.id, 0, &[]).await;
    let frame = vec![0xab; 64 * 1024 - 4];
    let header = [0x80, 0, 0xff, 0xfc];
    let mut stopped_at = None;
    for i in 0..60 * 16 {
        let mut bytes = header.to_vec();
        bytes.extend_from_slice(&frame);
        if stream.write_all(&bytes).await.is_err() {
            stopped_at.get_or_insert(i);
        }
        settle().await;
        let held = world.relay.stats().cache_bytes;
        assert!(held <= BUDGET, "{held} bytes are held after {i} frames");
        if i % 100 == 50 {
            // The others are served meanwhile.
            let sequence = i / 100;
            publisher.send(small_id, sequence).await;
            assert_eq!(read_all(&mut others).await, groups([sequence]));
        }
    }
    let stopped_at = stopped_at.expect("the publisher is told to stop");
    assert!(stopped_at >= 60, "given up after only {stopped_at} frames");
    assert_eq!(downstream.gaps().await, [(0, 0, Code::EVICTED)]);

    // A new group of the same track goes through.
    publisher.send(big.subscribe.id, 1).await;
    let reader = world.client(Dialect::Draft03).await;
    let mut late = reader.subscribe_with("big", Subscription::default());
    assert_eq!(read_all(&mut late).await, groups([1]));
}

#[tokio::test(start_paused = true)]
async fn shutting_down_tells_every_peer_at_once() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let raw = Raw::connect(&mut world, dialect).await;
        raw.asked_for_announcements().await;
        settle().await;
        let began = Instant::now();
        world.relay.drain(Duration::from_secs(5)).await;
        let (code, reason) = raw.closed().await;
        assert_eq!((code, reason.as_str()), (0, "shutting down"), "{dialect}");
        assert!(began.elapsed() < Duration::from_millis(100), "{dialect}");
        soon(world.served.join_next())
            .await
            .expect("one session was served")
            .expect("it did not panic")
            .expect("a shutdown is no error");
    }
}
