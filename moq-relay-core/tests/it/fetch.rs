//! FETCH: one group of the past, from a frame on.

use std::time::Duration;

use moq_relay_core::relay::RelayConfig;
use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::{Fetch, FetchUpdate, Priority};
use moq_transfork::stream::{self, FetchReader, FetchWriter, Request, StreamError};
use moq_transfork::wt::{RecvStream as _, SendStream as _, Session as _};
use tokio::time::{sleep, timeout};

use crate::raw::{Raw, read_stream, said};
use crate::world::{
    World, next_group, path, published, read_group, settle, soon, wire, write_group, write_groups,
};

fn message(group: u64, frame: u64) -> Fetch {
    Fetch {
        path: path("clock"),
        priority: Priority::NEUTRAL,
        group,
        frame,
    }
}

async fn fetch(raw: &Raw, group: u64, frame: u64) -> Result<Vec<u8>, StreamError> {
    let (mut request, reader) =
        stream::fetch(&raw.transport, raw.dialect, &message(group, frame)).await?;
    let bytes = read_stream(reader).await;
    let _over = request.finish();
    bytes
}

/// A publisher's end of a FETCH that the relay passed on.
async fn asked(
    publisher: &Raw,
) -> (
    Fetch,
    FetchWriter<moq_relay_core::memory::Session>,
    FetchReader<moq_relay_core::memory::Session>,
) {
    let Request::Fetch(fetch, writer, reader) = publisher.request().await else {
        panic!("a FETCH is passed on");
    };
    (fetch, writer, reader)
}

#[tokio::test(start_paused = true)]
async fn a_cached_group_is_fetched_from_any_frame_on() {
    for from in Dialect::ALL {
        let mut world = World::new();
        let publisher = world.client(from).await;
        let track = publisher.publish("clock");
        published(&world, "clock").await;
        let client = world.client(Dialect::Draft03).await;
        let mut reader = client.subscribe("clock");
        let frames = ["one", "", "three"];
        write_group(&track, &frames);
        read_group(next_group(&mut reader).await)
            .await
            .expect("whole");
        write_groups(&track, [1]);
        read_group(next_group(&mut reader).await)
            .await
            .expect("whole");
        let raw = Raw::connect(&mut world, Dialect::Draft03).await;
        for frame in 0..=3 {
            let bytes = fetch(&raw, 0, frame).await;
            assert_eq!(bytes, Ok(wire(&frames[frame as usize..])), "{from}");
        }
        let beyond = fetch(&raw, 0, 4).await;
        assert_eq!(beyond, Err(StreamError::Reset(Code::BOUNDS_EXCEEDED)));
        assert_eq!(world.stats().await.fetches_total, 0, "all from the cache");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_still_written_is_fetched_as_it_grows() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let client = world.client(Dialect::Draft03).await;
    let mut reader = client.subscribe("clock");
    let mut open = track.append_group().expect("live");
    open.write_frame("one").expect("room");
    let _group = next_group(&mut reader).await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let message = message(0, 1);
    let (_request, mut group) = stream::fetch(&raw.transport, raw.dialect, &message)
        .await
        .expect("open");
    settle().await;
    open.write_frame("two").expect("room");
    assert_eq!(soon(group.read(100)).await, Ok(Some(wire(&["two"]).into())));
    open.write_frame("three").expect("room");
    open.finish().expect("whole");
    assert_eq!(read_stream(group).await, Ok(wire(&["three"])));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_cached_is_fetched_from_the_publisher() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let fetching = fetch(&raw, 7, 2);
    let serving = async {
        let (fetch, mut writer, _reader) = asked(&publisher).await;
        assert_eq!(fetch, message(7, 2));
        writer.write(wire(&["x", "y"]).into()).await.expect("open");
        writer.finish().expect("open");
    };
    let (bytes, ()) = tokio::join!(fetching, serving);
    assert_eq!(bytes, Ok(wire(&["x", "y"])));
    assert_eq!(world.stats().await.fetches_total, 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_fails_upstream_fails_with_its_code_and_never_ends_clean() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    for cut in [vec![], wire(&["whole"]), b"\x05half".to_vec()] {
        let fetching = fetch(&raw, 7, 0);
        let serving = async {
            let (_, mut writer, _reader) = asked(&publisher).await;
            writer.write(cut.clone().into()).await.expect("open");
            settle().await;
            writer.abort(Code::app(9));
        };
        let (bytes, ()) = tokio::join!(fetching, serving);
        assert_eq!(bytes, Err(StreamError::Reset(Code::app(9))), "{cut:?}");
    }
    // A frame that the end cuts is no clean end either.
    let fetching = fetch(&raw, 7, 0);
    let serving = async {
        let (_, mut writer, _reader) = asked(&publisher).await;
        writer.write(b"\x05half"[..].into()).await.expect("open");
        writer.finish().expect("open");
    };
    let (bytes, ()) = tokio::join!(fetching, serving);
    assert_eq!(bytes, Err(StreamError::Reset(Code::WRONG_SIZE)));
}

#[tokio::test(start_paused = true)]
async fn a_fork_is_never_asked_for_the_past() {
    for dialect in [Dialect::Fork02, Dialect::Fork04, Dialect::Fork04s] {
        let mut world = World::new();
        let (publisher, _told) = Raw::publisher(&mut world, dialect, &["clock"]).await;
        let raw = Raw::connect(&mut world, Dialect::Draft03).await;
        let refused = fetch(&raw, 0, 0).await;
        assert_eq!(
            refused,
            Err(StreamError::Reset(Code::NOT_FOUND)),
            "{dialect}"
        );
        assert!(!publisher.has_request().await, "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fork_that_fetches_is_served_from_the_first_frame_and_nothing_crashes() {
    for dialect in [Dialect::Fork02, Dialect::Fork04] {
        let mut world = World::new();
        let publisher = world.client(Dialect::Draft03).await;
        let track = publisher.publish("clock");
        published(&world, "clock").await;
        write_group(&track, &["one", "two"]);
        let raw = Raw::connect(&mut world, dialect).await;
        std::mem::forget(raw.asked_for_announcements().await);
        for (offset, expected) in [(0, Some(wire(&["one", "two"]))), (1, None)] {
            let mut bytes = vec![3];
            bytes.extend(said(&message(0, offset), dialect));
            let (_send, mut recv) = raw.open(&bytes).await;
            let read = soon(recv.read_all()).await.ok().map(|bytes| bytes.to_vec());
            assert_eq!(read, expected, "{dialect} at {offset}");
        }
        assert_eq!(world.stats().await.sessions, 2, "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_is_given_up_is_given_up_upstream() {
    for how in ["stopped", "reset", "closed"] {
        let mut world = World::new();
        let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
        let raw = Raw::connect(&mut world, Dialect::Draft03).await;
        let mut bytes = vec![3];
        bytes.extend(said(&message(7, 1), Dialect::Draft03));
        let (mut send, mut recv) = raw.open(&bytes).await;
        let (_, mut writer, _reader) = asked(&publisher).await;
        writer.write(wire(&["x"]).into()).await.expect("open");
        assert_eq!(
            soon(recv.read_chunk(9)).await,
            Ok(Some(wire(&["x"]).into()))
        );
        match how {
            "stopped" => recv.stop(0),
            "reset" => send.reset(0),
            _ => raw.transport.close(0, ""),
        }
        let stopped = timeout(Duration::from_secs(5), writer.closed()).await;
        assert!(matches!(stopped, Ok(Err(_))), "{how}: {stopped:?}");
        assert_eq!(world.stats().await.cache_bytes, 0, "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_ends_as_its_publisher_goes() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let fetching = fetch(&raw, 7, 0);
    let dying = async {
        let (_, mut writer, _reader) = asked(&publisher).await;
        writer.write(wire(&["x"]).into()).await.expect("open");
        publisher.transport.close(0, "bye");
    };
    let (bytes, ()) = tokio::join!(fetching, dying);
    assert_eq!(bytes, Err(StreamError::Reset(Code::DROPPED)));
}

#[tokio::test(start_paused = true)]
async fn a_fetched_group_larger_than_the_budget_is_cut_and_the_budget_holds() {
    const BUDGET: u64 = 256 * 1024;
    let mut config = RelayConfig::default();
    config.cache.max_bytes = BUDGET;
    let mut world = World::with(config);
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let (_request, group) = stream::fetch(&raw.transport, raw.dialect, &message(7, 0))
        .await
        .expect("open");
    let (_, mut writer, _reader) = asked(&publisher).await;
    let payload = "x".repeat(10_000);
    for _ in 0..60 {
        let _stopped = writer.write(wire(&[&payload]).into()).await;
        settle().await;
        let held = world.relay.stats().cache_bytes;
        assert!(held <= BUDGET, "{held}");
    }
    assert_eq!(
        read_stream(group).await,
        Err(StreamError::Reset(Code::EVICTED))
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_fetchs_priority_is_heeded() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let payload = "x".repeat(100_000);
    write_group(&track, &[&payload]);
    let slow = moq_relay_core::memory::Config {
        rate: Some(100_000),
        ..moq_relay_core::memory::Config::default()
    };
    for raised in [0, 1] {
        let raw = Raw::connect_over(&mut world, Dialect::Draft03, slow.clone()).await;
        let mut fetches = Vec::new();
        for _ in 0..2 {
            let message = message(0, 0);
            let fetch = stream::fetch(&raw.transport, raw.dialect, &message);
            fetches.push(fetch.await.expect("open"));
        }
        settle().await;
        let priority = Priority::new(200);
        let update = FetchUpdate { priority };
        fetches[raised].0.update(&update).await.expect("open");
        let mut reads = tokio::task::JoinSet::new();
        for (i, (request, group)) in fetches.into_iter().enumerate() {
            reads.spawn(async move {
                let bytes = read_stream(group).await;
                drop(request);
                (i, bytes.map(|bytes| bytes.len()))
            });
        }
        let (first, bytes) = reads.join_next().await.expect("two").expect("no panic");
        assert_eq!((first, bytes), (raised, Ok(wire(&[&payload]).len())));
        sleep(Duration::from_secs(5)).await;
    }
}
