//! ANNOUNCE: which tracks there are.

use std::collections::BTreeSet;
use std::time::Duration;

use moq_relay_core::announced::Announcement;
use moq_relay_core::memory::Config;
use moq_relay_core::session::{self, ClientConfig};
use moq_relay_core::source::Source as _;
use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::filter::Filter;
use moq_transfork::message::Announce;
use moq_transfork::path::Path;
use moq_transfork::stream::{AnnounceReader, AnnounceRequest};
use moq_transfork::wt::RecvStream as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::raw::Raw;
use crate::world::{INSTANT, World, path, published, settle, soon};

type Transport = moq_relay_core::memory::Session;

/// What a listener was told, with paths as text.
async fn news(reader: &mut AnnounceReader<Transport>) -> Vec<String> {
    let mut news = Vec::new();
    while let Ok(next) = timeout(INSTANT, reader.next()).await {
        news.push(match next {
            Ok(Some(Announce::Active(path))) => format!("+{path}"),
            Ok(Some(Announce::Ended(path))) => format!("-{path}"),
            Ok(Some(Announce::Live)) => "live".to_owned(),
            Ok(None) => "end".to_owned(),
            Err(error) => format!("{error}"),
        });
        if news.last().is_some_and(|last| last == "end") {
            break;
        }
    }
    news
}

type Listener = (AnnounceRequest<Transport>, AnnounceReader<Transport>);

async fn listen(raw: &Raw, prefix: &str) -> Listener {
    raw.announced(Filter::Prefix(path(prefix))).await
}

/// A listener of a dialect that is already told apart from the others.
async fn listener(world: &mut World, dialect: Dialect) -> Raw {
    let raw = Raw::connect(world, dialect).await;
    if matches!(dialect, Dialect::Fork04 | Dialect::Fork04s) {
        let mut told = raw.asked_for_announcements().await;
        told.active("own/track").await;
        settle().await;
        std::mem::forget(told);
    }
    raw
}

#[tokio::test(start_paused = true)]
async fn paths_are_told_as_they_are_live_and_as_they_come_and_go() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let publisher = world.client(Dialect::Draft03).await;
        let tracks = ["demo/a", "demo/b", "other"].map(|name| publisher.publish(name));
        published(&world, "other").await;
        let raw = listener(&mut world, dialect).await;
        let (_request, mut reader) = listen(&raw, "demo").await;
        let mut expected = vec!["+demo/a", "+demo/b"];
        if dialect != Dialect::Fork02 {
            expected.push("live");
        }
        assert_eq!(news(&mut reader).await, expected, "{dialect}");
        let [a, b, _other] = tracks;
        b.finish();
        assert_eq!(news(&mut reader).await, ["-demo/b"], "{dialect}");
        let _b = publisher.publish("demo/b");
        let _c = publisher.publish("demo/c/d");
        assert_eq!(
            news(&mut reader).await,
            ["+demo/b", "+demo/c/d"],
            "{dialect}"
        );
        drop(a);
        assert_eq!(news(&mut reader).await, ["-demo/a"], "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_for_nothing_is_live_at_once() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let raw = listener(&mut world, dialect).await;
        let (_request, mut reader) = listen(&raw, "nothing").await;
        let expected: &[&str] = if dialect == Dialect::Fork02 {
            &[]
        } else {
            &["live"]
        };
        assert_eq!(news(&mut reader).await, expected, "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_prefix_is_matched_part_by_part() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let names = ["demo", "demo/a", "demo/a/b", "demo/ab", "demox", "dem"];
    let _tracks = names.map(|name| publisher.publish(name));
    published(&world, "dem").await;
    settle().await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    for (prefix, expected) in [
        (
            "",
            &["dem", "demo", "demo/a", "demo/a/b", "demo/ab", "demox"][..],
        ),
        ("demo", &["demo", "demo/a", "demo/a/b", "demo/ab"]),
        ("demo/a", &["demo/a", "demo/a/b"]),
        ("demo/a/b", &["demo/a/b"]),
        ("demo/a/b/c", &[]),
        ("de", &[]),
    ] {
        let (_request, mut reader) = listen(&raw, prefix).await;
        let mut news = news(&mut reader).await;
        assert_eq!(news.pop().as_deref(), Some("live"));
        news.sort();
        let expected: Vec<_> = expected.iter().map(|name| format!("+{name}")).collect();
        assert_eq!(news, expected, "below {prefix:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn overlapping_streams_each_get_their_own_copies() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let mut streams = Vec::new();
    for prefix in ["", "demo", "demo", "demo/a", "other"] {
        streams.push((prefix, listen(&raw, prefix).await));
    }
    for (prefix, (_, reader)) in &mut streams {
        assert_eq!(news(reader).await, ["live"], "{prefix:?}");
    }
    let track = publisher.publish("demo/a/b");
    for (prefix, (_, reader)) in &mut streams {
        let expected: &[&str] = if *prefix == "other" {
            &[]
        } else {
            &["+demo/a/b"]
        };
        assert_eq!(news(reader).await, expected, "{prefix:?}");
    }
    // One that has heard enough does not end the others.
    let (_, (mut enough, mut reader)) = streams.swap_remove(1);
    enough.finish().expect("open");
    assert_eq!(news(&mut reader).await, ["end"]);
    drop(track);
    for (prefix, (_, reader)) in &mut streams {
        let expected: &[&str] = if *prefix == "other" {
            &[]
        } else {
            &["-demo/a/b"]
        };
        assert_eq!(news(reader).await, expected, "{prefix:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_paths_are_handed_out_at_once() {
    const PATHS: usize = 10_000;
    let began = std::time::SystemTime::now();
    let mut world = World::new();
    let publisher = world.client(Dialect::Fork02).await;
    let names: Vec<_> = (0..PATHS).map(|i| format!("demo/{i}/video")).collect();
    let tracks: Vec<_> = names.iter().map(|name| publisher.publish(name)).collect();
    published(&world, names.last().expect("some")).await;
    let expected: BTreeSet<_> = names.iter().map(|name| format!("+{name}")).collect();
    let asked = Instant::now();
    let mut listeners = Vec::new();
    for dialect in [
        Dialect::Draft03,
        Dialect::Fork02,
        Dialect::Fork04,
        Dialect::Fork04s,
    ] {
        let raw = listener(&mut world, dialect).await;
        let (request, mut reader) = listen(&raw, "demo").await;
        let mut heard = news(&mut reader).await;
        heard.retain(|news| news != "live");
        let count = heard.len();
        let heard: BTreeSet<_> = heard.into_iter().collect();
        let strange: Vec<_> = heard.symmetric_difference(&expected).collect();
        assert_eq!(strange, [""; 0], "{dialect}");
        assert_eq!(count, PATHS, "{dialect}");
        listeners.push((raw, request, reader));
    }
    assert!(asked.elapsed() < Duration::from_millis(100));
    // And the one of those who had to be told apart.
    assert_eq!(world.relay.stats().announced, PATHS as u64 + 1);
    drop(tracks);
    for (_, _, reader) in &mut listeners {
        let mut heard = news(reader).await;
        let count = heard.len();
        heard.retain(|news| !news.starts_with('-'));
        assert_eq!(heard, [""; 0], "only ends");
        assert_eq!(count, PATHS);
    }
    // Eleven seconds for 8,000 is what the first relay took, once; this is unoptimized.
    let took = began.elapsed().expect("the clock goes on");
    assert!(took < Duration::from_secs(40), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn flapping_is_merged_for_a_listener_that_does_not_read() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let _steady = publisher.publish("steady");
    let narrow = Config {
        stream_window: 64,
        ..Config::default()
    };
    let raw = Raw::connect_over(&mut world, Dialect::Draft03, narrow).await;
    let (_request, mut reader) = listen(&raw, "").await;
    settle().await;
    for _ in 0..2_000 {
        let flapping = publisher.publish("flapping");
        settle().await;
        drop(flapping);
        settle().await;
    }
    let last = publisher.publish("flapping");
    settle().await;
    let heard = news(&mut reader).await;
    assert!(heard.len() < 60, "{} pieces of news were kept", heard.len());
    // Each path takes turns, and the last word is how it is.
    assert_eq!(heard[..2], ["+steady", "live"]);
    for (i, news) in heard[2..].iter().enumerate() {
        let expected = if i % 2 == 0 { "+flapping" } else { "-flapping" };
        assert_eq!(news, expected, "{heard:?}");
    }
    assert_eq!(heard.last().map(String::as_str), Some("+flapping"));
    drop(last);
}

#[tokio::test(start_paused = true)]
async fn a_path_that_several_publish_is_told_once_and_ends_with_the_last() {
    let mut world = World::new();
    let first = world.client(Dialect::Draft03).await;
    let second = world.client(Dialect::Fork02).await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let (_request, mut reader) = listen(&raw, "").await;
    let a = first.publish("clock");
    assert_eq!(news(&mut reader).await, ["live", "+clock"]);
    let b = second.publish("clock");
    assert_eq!(news(&mut reader).await, [""; 0]);
    drop(a);
    assert_eq!(news(&mut reader).await, [""; 0]);
    moq_transfork::wt::Session::close(&second.transport, 0, "");
    assert_eq!(news(&mut reader).await, ["-clock"]);
    drop(b);
    sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_goes_takes_its_paths_with_it() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let _tracks = ["a", "b", "c"].map(|name| publisher.publish(name));
    published(&world, "c").await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let (_request, mut reader) = listen(&raw, "").await;
    assert_eq!(news(&mut reader).await, ["+a", "+b", "+c", "live"]);
    moq_transfork::wt::Session::close(&publisher.transport, 5, "killed");
    assert_eq!(news(&mut reader).await, ["-a", "-b", "-c"]);
    assert_eq!(soon(world.stats()).await.announced, 0);
}

#[tokio::test(start_paused = true)]
async fn a_pattern_of_the_string_dialect_is_matched_by_text() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let names = ["demo/a/video", "demo/a/audio", "demo/b/video", "video"];
    let _tracks = names.map(|name| publisher.publish(name));
    published(&world, "video").await;
    let raw = listener(&mut world, Dialect::Fork04s).await;
    // What stands for the `*` is what is told.
    for (pattern, expected) in [
        ("*/video", &["demo/a", "demo/b"][..]),
        ("demo/*", &["a/audio", "a/video", "b/video"]),
        ("demo/*/video", &["a", "b"]),
        ("demo/a*", &["/audio", "/video"]),
        ("nothing*", &[]),
    ] {
        let mut said = vec![1, pattern.len() as u8];
        said.extend_from_slice(pattern.as_bytes());
        let (_send, mut recv) = raw.open(&said).await;
        let mut told = Vec::new();
        while let Ok(Ok(Some(bytes))) = timeout(INSTANT, recv.read_chunk(usize::MAX)).await {
            told.extend_from_slice(&bytes);
        }
        let mut bytes = Vec::new();
        for capture in expected {
            bytes.extend([1, capture.len() as u8]);
            bytes.extend_from_slice(capture.as_bytes());
        }
        bytes.push(2);
        assert_eq!(told, bytes, "{pattern}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_path_that_a_dialect_cannot_say_is_told_to_the_others() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let slash = Path::new(["demo", "a/b"]).expect("parts may have a slash");
    let _strange = publisher
        .tracks
        .create(slash, Default::default())
        .expect("free");
    let _plain = publisher.publish("demo/c");
    published(&world, "demo/c").await;
    for dialect in Dialect::ALL {
        let raw = listener(&mut world, dialect).await;
        let (_request, mut reader) = listen(&raw, "demo").await;
        let mut heard = news(&mut reader).await;
        heard.retain(|news| news != "live");
        let expected: &[&str] = match dialect {
            Dialect::Fork04s => &["+demo/c"],
            Dialect::Draft03 | Dialect::Fork02 | Dialect::Fork04 => &["+demo/a/b", "+demo/c"],
        };
        assert_eq!(heard, expected, "{dialect}");
    }
}

/// How a session of a peer that listens comes to its end.
#[derive(Debug, Clone, Copy)]
enum End {
    NeverBegan,
    BeforeItAsked,
    DriverDropped,
    Closed,
    ClosedByRelay,
    Drained,
}

#[tokio::test(start_paused = true)]
async fn news_of_a_peer_ends_with_its_session_however_that_ends() {
    for end in [
        End::NeverBegan,
        End::BeforeItAsked,
        End::DriverDropped,
        End::Closed,
        End::ClosedByRelay,
        End::Drained,
    ] {
        let mut world = World::new();
        let transport = world.accept(Config::default());
        let connected = soon(session::connect(transport, ClientConfig::default())).await;
        let (peer, driver) = connected.expect("the relay accepts");
        let mut announced = peer.announced(&path(""));
        let mut driving = JoinSet::new();
        if matches!(end, End::NeverBegan) {
            drop(driver);
        } else {
            driving.spawn(driver.run());
        }
        if !matches!(end, End::NeverBegan | End::BeforeItAsked) {
            assert_eq!(soon(announced.next()).await, Some(Announcement::Live));
        }
        match end {
            End::NeverBegan => {}
            End::BeforeItAsked | End::DriverDropped => driving.shutdown().await,
            End::Closed => soon(peer.close(Code::CANCEL, "bye")).await,
            End::ClosedByRelay => world.served.shutdown().await,
            End::Drained => soon(world.relay.drain(Duration::ZERO)).await,
        }
        assert_eq!(soon(announced.next()).await, None, "{end:?}");
    }
}
