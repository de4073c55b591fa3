//! Peers that break the rules: what it costs them, and that it costs nobody else.

use std::time::Duration;

use moq_relay_core::memory::{Config, RecvStream};
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::relay::RelayConfig;
use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::frame::MAX_FRAME_SIZE;
use moq_transfork::message::GroupOrder;
use moq_transfork::stream::StreamError;
use moq_transfork::wt::{RecvStream as _, SendStream as _, Session as _};
use tokio::time::{Instant, sleep, timeout};

use crate::raw::{Raw, closed, said, subscribe};
use crate::world::{
    INSTANT, Seen, World, groups, published, read_all, settle, soon, wire, write_groups,
};

/// The code that a stream is reset with.
async fn reset_code(recv: &mut RecvStream) -> u32 {
    loop {
        match soon(recv.read_chunk(usize::MAX)).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a clean end"),
            Err(moq_relay_core::memory::Error::Reset(code)) => return code,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_version_in_common_is_closed_with_code_9() {
    // SESSION_CLIENT: one version 0xff0badff, none, and the draft's predecessor.
    for hello in [
        &b"\x00\x01\xc0\x00\x00\x00\xff\x0b\xad\xff\x00"[..],
        b"\x00\x00\x00",
        b"\x00\x02\x01\x02\x00",
    ] {
        let mut world = World::new();
        let transport = world.accept(Config::default());
        let (mut send, _recv) = transport.open_bi().await.expect("open");
        send.write_all(hello).await.expect("open");
        assert_eq!(closed(&transport).await.0, 9);
        world.assert_nothing_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_begins_with_another_stream_is_closed_with_code_10() {
    let mut world = World::new();
    let transport = world.accept(Config::default());
    let (mut send, _recv) = transport.open_bi().await.expect("open");
    send.write_all(b"\x01\x00").await.expect("open");
    assert_eq!(closed(&transport).await.0, 10);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_finish_its_handshake_is_closed_after_its_time() {
    for said in [
        None,
        Some(&b""[..]),
        Some(b"\x00"),
        Some(b"\x00\x01\xc0\x00\x00"),
    ] {
        let mut world = World::new();
        let began = Instant::now();
        let transport = world.accept(Config::default());
        let stream = match said {
            None => None,
            Some(said) => {
                let (mut send, recv) = transport.open_bi().await.expect("open");
                send.write_all(said).await.expect("open");
                Some((send, recv))
            }
        };
        assert_eq!(closed(&transport).await.0, Code::TIMEOUT.0, "{said:?}");
        assert_eq!(began.elapsed().as_secs(), 10, "{said:?}");
        drop(stream);
        world.assert_nothing_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hello_that_is_no_hello_closes_the_session_at_once() {
    for hello in [
        // 2^62 versions; 2^30 extensions; an extension of 2^30 bytes.
        &b"\x00\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x00\x01\xc0\x00\x00\x00\xff\x0b\xad\x03\xbf\xff\xff\xff",
        b"\x00\x01\xc0\x00\x00\x00\xff\x0b\xad\x03\x01\x00\xbf\xff\xff\xff",
    ] {
        let mut world = World::new();
        let began = Instant::now();
        let transport = world.accept(Config::default());
        let (mut send, _recv) = transport.open_bi().await.expect("open");
        send.write_all(hello).await.expect("open");
        let (code, _) = closed(&transport).await;
        assert_ne!(code, 0, "{hello:?}");
        assert!(began.elapsed() < Duration::from_secs(1), "{hello:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_an_unknown_type_closes_the_session_with_code_10() {
    for dialect in Dialect::ALL {
        for (uni, bytes) in [
            (false, &b"\x05"[..]),
            (false, b"\x7f\xff"),
            (false, b"\x00\x01\xc0\x00\x00\x00\xff\x0b\xad\x03\x00"),
            (true, b"\x01"),
            (true, b"\x40\x54\x00"),
        ] {
            let mut world = World::new();
            let raw = Raw::connect(&mut world, dialect).await;
            // The time it may take to tell the dialects apart.
            sleep(Duration::from_secs(2)).await;
            if uni {
                std::mem::forget(raw.open_uni(bytes).await);
            } else {
                std::mem::forget(raw.open(bytes).await);
            }
            assert_eq!(raw.closed().await.0, 10, "{dialect}: {bytes:?}");
            world.assert_nothing_left().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscribe_id_is_taken_once_in_a_session() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let mut first = raw.subscribe(&subscribe(7, "clock")).await;
    first.info().await;
    let duplicate = Err(StreamError::Reset(Code::DUPLICATE));
    let mut second = raw.subscribe(&subscribe(7, "clock")).await;
    assert_eq!(soon(second.replies.info()).await, duplicate);
    write_groups(&track, [0]);
    assert_eq!(
        raw.whole_group().await,
        (0, Ok(wire(&["0"]))),
        "the first goes on"
    );
    assert!(!raw.has_group().await);
    first.request.finish().expect("open");
    assert_eq!(first.gap().await, Ok(None));
    let mut third = raw.subscribe(&subscribe(7, "clock")).await;
    assert_eq!(
        soon(third.replies.info()).await,
        duplicate,
        "also when it has ended"
    );
    let mut other = raw.subscribe(&subscribe(8, "clock")).await;
    other.info().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_may_leave_out_as_many_subscribe_ids_as_it_likes() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let _track = publisher.publish("clock");
    published(&world, "clock").await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    for id in 0..3000 {
        let mut downstream = raw.subscribe(&subscribe(2 * id, "clock")).await;
        downstream.info().await;
        downstream.request.finish().expect("open");
        assert_eq!(downstream.gap().await, Ok(None));
    }
    let mut again = raw.subscribe(&subscribe(5998, "clock")).await;
    let duplicate = Err(StreamError::Reset(Code::DUPLICATE));
    assert_eq!(soon(again.replies.info()).await, duplicate);
}

#[tokio::test(start_paused = true)]
async fn of_too_many_requests_only_those_above_are_refused() {
    let mut config = RelayConfig::default();
    config.limits.max_requests = 3;
    let mut world = World::with(config);
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let mut subscriptions = Vec::new();
    for id in 0..3 {
        let mut downstream = raw.subscribe(&subscribe(id, "clock")).await;
        downstream.info().await;
        subscriptions.push(downstream);
    }
    let mut refused = raw.subscribe(&subscribe(3, "clock")).await;
    let too_many = Err(StreamError::Reset(Code::TOO_MANY));
    assert_eq!(soon(refused.replies.info()).await, too_many);
    let mut leaves = subscriptions.pop().expect("three");
    leaves.request.finish().expect("open");
    settle().await;
    let mut fits = raw.subscribe(&subscribe(4, "clock")).await;
    fits.info().await;
    write_groups(&track, [0]);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(raw.group().await.0.subscribe);
    }
    ids.sort_unstable();
    assert_eq!(ids, [0, 1, 4]);
}

#[tokio::test(start_paused = true)]
async fn requests_that_say_nothing_are_given_up_after_a_time() {
    let mut config = RelayConfig::default();
    config.limits.max_requests = 3;
    let mut world = World::with(config);
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let mut silent = Vec::new();
    for said in [
        &b"\x02"[..],
        b"\x01\x03\x01a",
        b"\x02\x00\x01\x40",
        b"\x04",
        b"\x03\x01",
    ] {
        silent.push(raw.open(said).await);
    }
    let began = Instant::now();
    for (_, recv) in &mut silent {
        let code = reset_code(recv).await;
        assert!(
            [Code::TIMEOUT.0, Code::TOO_MANY.0, Code::DROPPED.0].contains(&code),
            "{code}"
        );
    }
    assert!(began.elapsed() <= Duration::from_secs(11));
    let (_request, mut reader) = raw.announced(moq_transfork::Filter::any()).await;
    assert!(soon(reader.next()).await.is_ok(), "there is room again");
}

#[tokio::test(start_paused = true)]
async fn of_too_many_groups_at_a_time_only_those_above_are_refused() {
    let mut config = RelayConfig::default();
    config.limits.max_groups = 2;
    let mut world = World::with(config);
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
    let client = world.client(Dialect::Draft03).await;
    let all = Subscription {
        min: Some(0),
        order: GroupOrder::Ascending,
        ..Subscription::default()
    };
    let mut reader = client.subscribe_with("clock", all);
    let mut upstream = publisher.subscribed().await;
    upstream.accept(0).await;
    let id = upstream.subscribe.id;
    let mut first = publisher.begin_group(id, 0, &wire(&["0"])).await;
    settle().await;
    let mut second = publisher.begin_group(id, 1, &wire(&["1"])).await;
    settle().await;
    let mut third = publisher.begin_group(id, 2, &wire(&["2"])).await;
    assert!(soon(third.closed()).await.is_err(), "it is stopped");
    for open in [&mut first, &mut second] {
        open.finish().expect("open");
    }
    assert_eq!(read_all(&mut reader).await, groups([0, 1]));
    publisher.send(id, 3).await;
    assert_eq!(read_all(&mut reader).await, groups([3]));
}

#[tokio::test(start_paused = true)]
async fn of_too_many_announcements_only_those_above_are_passed_over() {
    let mut config = RelayConfig::default();
    config.limits.max_announced = 3;
    let mut world = World::with(config);
    let names = ["a", "b", "c", "d", "e"];
    let (publisher, mut told) = Raw::publisher(&mut world, Dialect::Draft03, &names).await;
    let stats = world.stats().await;
    assert_eq!((stats.announced, stats.announce_errors), (3, 2));
    told.ended("b").await;
    told.active("f").await;
    assert_eq!(world.stats().await.announced, 3);
    let client = world.client(Dialect::Draft03).await;
    let mut reader = client.subscribe("f");
    let mut upstream = publisher.subscribed().await;
    upstream.accept(0).await;
    publisher.send(upstream.subscribe.id, 0).await;
    assert_eq!(read_all(&mut reader).await, groups([0]));
    let mut refused = client.subscribe("e");
    assert_eq!(
        read_all(&mut refused).await,
        [Seen::Failed(Code::NOT_FOUND)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_too_large_cuts_its_group_alone() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Fork02, &["clock"]).await;
    let client = world.client(Dialect::Draft03).await;
    let mut reader = client.subscribe("clock");
    let mut upstream = publisher.subscribed().await;
    upstream.accept(0).await;
    let id = upstream.subscribe.id;
    publisher.send(id, 0).await;
    assert_eq!(read_all(&mut reader).await, groups([0]));
    let mut allowed = (MAX_FRAME_SIZE as u32).to_be_bytes();
    allowed[0] |= 0x80;
    let mut larger = (MAX_FRAME_SIZE as u32 + 1).to_be_bytes();
    larger[0] |= 0x80;
    // What is only claimed costs nothing.
    let mut claims = publisher.begin_group(id, 1, &allowed).await;
    settle().await;
    assert!(world.relay.stats().cache_bytes < 4096);
    assert!(
        timeout(INSTANT, claims.closed()).await.is_err(),
        "it may come"
    );
    for header in [&larger[..], b"\xff\xff\xff\xff\xff\xff\xff\xff"] {
        let mut stream = publisher.begin_group(id, 2, header).await;
        let stopped = soon(stream.closed()).await;
        let code = Code::BOUNDS_EXCEEDED.0;
        assert_eq!(stopped, Err(moq_relay_core::memory::Error::Stopped(code)));
    }
    claims.reset(0);
    publisher.send(id, 3).await;
    assert!(read_all(&mut reader).await.contains(&groups([3])[0]));
}

#[tokio::test(start_paused = true)]
async fn groups_of_nowhere_and_groups_twice_are_stopped_and_cost_nothing() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
    let client = world.client(Dialect::Draft03).await;
    let mut reader = client.subscribe("clock");
    let mut upstream = publisher.subscribed().await;
    upstream.accept(0).await;
    let id = upstream.subscribe.id;
    let mut nowhere = publisher.begin_group(id + 1, 0, &wire(&["x"])).await;
    let stopped = soon(nowhere.closed()).await;
    assert_eq!(stopped, Err(moq_relay_core::memory::Error::Stopped(0)));
    let mut first = publisher.begin_group(id, 0, &wire(&["first"])).await;
    settle().await;
    let mut twice = publisher.begin_group(id, 0, &wire(&["twice"])).await;
    let stopped = soon(twice.closed()).await;
    assert_eq!(
        stopped,
        Err(moq_relay_core::memory::Error::Stopped(Code::DUPLICATE.0))
    );
    first.finish().expect("open");
    let first = Seen::Group(0, vec!["first".to_owned()]);
    assert_eq!(read_all(&mut reader).await, [first]);
    assert_eq!(world.stats().await.sessions, 2);
}

#[tokio::test(start_paused = true)]
async fn the_highest_numbers_there_are_break_nothing() {
    const LAST: u64 = (1 << 62) - 1;
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let mut message = subscribe(LAST, "clock");
    message.min = Some(0);
    let mut downstream = raw.subscribe(&message).await;
    let mut upstream = publisher.subscribed().await;
    upstream.accept(LAST).await;
    assert_eq!(downstream.info().await.latest, LAST);
    let id = upstream.subscribe.id;
    for sequence in [0, LAST, LAST - 1] {
        publisher.send(id, sequence).await;
        assert_eq!(raw.whole_group().await.0, sequence);
    }
    upstream.gap(1, LAST, Code::app(1)).await;
    assert_eq!(
        downstream.gap().await,
        Ok(Some((1, LAST - 2, Code::app(1))))
    );
    upstream.gap(LAST, LAST, Code::app(1)).await;
    settle().await;
    assert_eq!(downstream.gaps().await, []);
    // A range up to the last group there can be.
    let mut message = subscribe(1, "clock");
    (message.min, message.max) = (Some(LAST - 1), Some(LAST - 1));
    let mut last = raw.subscribe(&message).await;
    last.info().await;
    assert_eq!(raw.whole_group().await.0, LAST - 1);
    assert_eq!(last.gap().await, Ok(None));
    assert_eq!(world.stats().await.sessions, 2);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_lets_no_stream_be_opened_holds_nobody() {
    let mut world = World::new();
    let few = Config {
        max_bi_streams: 1,
        ..Config::default()
    };
    // The one stream is the relay's request for announcements.
    let raw = Raw::connect_over(&mut world, Dialect::Draft03, few).await;
    let mut told = raw.asked_for_announcements().await;
    told.active("clock").await;
    published(&world, "clock").await;
    let client = world.client(Dialect::Draft03).await;
    let mut reader = client.subscribe("clock");
    assert_eq!(read_all(&mut reader).await, []);
    assert_eq!(world.stats().await.subscriptions, 1);
    drop(reader);
    sleep(Duration::from_secs(3)).await;
    let stats = world.stats().await;
    assert_eq!((stats.subscriptions, stats.upstreams), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_session_stream_is_the_end_of_the_session() {
    for reset in [false, true] {
        let mut world = World::new();
        let raw = Raw::connect(&mut world, Dialect::Draft03).await;
        let Raw {
            transport,
            mut control,
            updates,
            ..
        } = raw;
        if reset {
            control.abort(Code::app(1));
        } else {
            control.finish().expect("open");
        }
        let (code, _) = closed(&transport).await;
        assert_eq!(code, if reset { Code::app(1).0 } else { 0 });
        drop(updates);
        world.assert_nothing_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_complete_request_ends_that_request_alone() {
    let mut world = World::new();
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let (_request, mut reader) = raw.announced(moq_transfork::Filter::any()).await;
    assert!(soon(reader.next()).await.is_ok());
    // ANNOUNCE_PLEASE with a byte too many.
    let (_send, mut recv) = raw.open(b"\x01\x00\x07").await;
    assert_eq!(reset_code(&mut recv).await, Code::PROTOCOL_VIOLATION.0);
    let (mut publisher, mut told) = Raw::publisher(&mut world, Dialect::Draft03, &["a"]).await;
    assert!(matches!(
        soon(reader.next()).await,
        Ok(Some(moq_transfork::message::Announce::Active(_)))
    ));
    told.ended("a").await;
    publisher.control.update(1).await.expect("open");
    assert_eq!(world.stats().await.sessions, 2);
    assert!(!said(&subscribe(0, "a"), Dialect::Draft03).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_announcements_keeps_no_request_of_its_session_waiting() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let _track = publisher.publish("clock");
    published(&world, "clock").await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let mut told = raw.asked_for_announcements().await;
    let many = 20_000;
    for number in 0..many {
        told.active(&format!("flood/{number}")).await;
    }
    raw.subscribe(&subscribe(0, "clock")).await.info().await;
    assert!(world.relay.stats().announcements_received < many / 10);
}
