//! What peers of the forks do not survive: a stream that is reset before its header was read.

use std::time::Duration;

use moq_relay_core::memory::{Config, Error, RecvStream};
use moq_relay_core::relay::RelayConfig;
use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::GroupOrder;
use moq_transfork::wt::{RecvStream as _, Session as _};
use tokio::time::{Instant, sleep, timeout};

use crate::slow::subscribed;
use crate::world::{INSTANT, World, settle, soon, write_groups};

const FORKS: [Dialect; 3] = [Dialect::Fork02, Dialect::Fork04, Dialect::Fork04s];

/// How long after `since` the stream is reset.
async fn reset_after(recv: &mut RecvStream, since: Instant) -> (u32, Duration) {
    loop {
        match soon(recv.read_chunk(usize::MAX)).await {
            Ok(Some(_)) => {}
            Err(Error::Reset(code)) => return (code, since.elapsed()),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_reset_once_it_is_a_second_old() {
    for dialect in Dialect::ALL {
        for (age, delay) in [(0, 1000), (400, 600), (1000, 0), (5000, 0)] {
            let mut world = World::new();
            let (track, raw, _downstream) =
                subscribed(&mut world, dialect, GroupOrder::Default, Config::default()).await;
            let mut group = track.append_group().expect("live");
            let opened = Instant::now();
            group.write_frame("begun").expect("room");
            settle().await;
            let mut recv = soon(raw.transport.accept_uni()).await.expect("open");
            sleep(Duration::from_millis(age) - opened.elapsed().min(Duration::from_millis(age)))
                .await;
            let cut = Instant::now();
            group.abort(moq_relay_core::error::Error::Timeout);
            let (code, after) = reset_after(&mut recv, cut).await;
            assert_eq!(code, Code::TIMEOUT.0, "{dialect}");
            let expected = if dialect == Dialect::Draft03 {
                0
            } else {
                delay
            };
            let after = after.as_millis() as u64;
            assert!(
                after.abs_diff(expected) <= 3,
                "{dialect} at {age} ms: {after} ms"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_leaves_has_its_streams_reset_as_late() {
    for dialect in FORKS {
        let mut world = World::new();
        let (track, raw, mut downstream) =
            subscribed(&mut world, dialect, GroupOrder::Default, Config::default()).await;
        let mut open = Vec::new();
        let mut streams = Vec::new();
        let opened = Instant::now();
        for _ in 0..5 {
            let mut group = track.append_group().expect("live");
            group.write_frame("begun").expect("room");
            open.push(group);
            streams.push(soon(raw.transport.accept_uni()).await.expect("open"));
        }
        downstream.request.finish().expect("open");
        assert_eq!(
            world.stats().await.subscriptions,
            0,
            "the subscription is over"
        );
        for mut stream in streams {
            let (_, after) = reset_after(&mut stream, opened).await;
            assert!(after >= Duration::from_secs(1), "{dialect}: {after:?}");
        }
        drop(open);
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_stale_before_its_stream_is_open_never_gets_one() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let few = Config {
            max_uni_streams: 1,
            ..Config::default()
        };
        let (track, raw, mut downstream) =
            subscribed(&mut world, dialect, GroupOrder::Default, few).await;
        let mut open = track.append_group().expect("live");
        open.write_frame("0").expect("room");
        settle().await;
        let mut first = soon(raw.transport.accept_uni()).await.expect("open");
        // These wait for a stream, and are cut meanwhile.
        for _ in 1..4 {
            let mut stale = track.append_group().expect("live");
            stale.write_frame("stale").expect("room");
            settle().await;
            stale.abort(moq_relay_core::error::Error::Timeout);
        }
        write_groups(&track, [4]);
        open.finish().expect("whole");
        assert!(soon(first.read_all()).await.is_ok());
        assert_eq!(raw.whole_group().await.0, 4, "{dialect}");
        assert!(!raw.has_group().await, "{dialect}");
        let gaps = downstream.gaps().await;
        assert!(gaps.iter().all(|(_, _, code)| *code == Code::TIMEOUT));
        let told: Vec<_> = gaps
            .iter()
            .flat_map(|(first, last, _)| *first..=*last)
            .collect();
        assert_eq!(told, [1, 2, 3], "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn streams_that_were_opened_for_nothing_are_used_for_the_next_groups() {
    for dialect in FORKS {
        let mut config = RelayConfig::default();
        config.limits.max_deliveries = 100;
        let mut world = World::with(config);
        let (track, raw, mut downstream) =
            subscribed(&mut world, dialect, GroupOrder::Default, Config::default()).await;
        // Open groups without a byte have streams of which the peer knows nothing.
        let mut empty = Vec::new();
        for _ in 0..30 {
            empty.push(track.append_group().expect("live"));
            settle().await;
        }
        assert!(!raw.has_group().await);
        for group in empty {
            group.abort(moq_relay_core::error::Error::Timeout);
        }
        settle().await;
        assert_eq!(downstream.gaps().await.len(), 30, "{dialect}");
        write_groups(&track, 30..90);
        let mut got = Vec::new();
        for _ in 30..90 {
            let (sequence, bytes) = raw.whole_group().await;
            bytes.expect("whole");
            got.push(sequence);
        }
        got.sort_unstable();
        assert_eq!(got, (30..90).collect::<Vec<_>>(), "{dialect}");
        sleep(Duration::from_secs(5)).await;
        // Whatever was reset was never seen.
        let more = timeout(INSTANT, raw.transport.accept_uni()).await;
        assert!(more.is_err(), "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_peer_that_stops_reading_a_group_is_told_nothing_strange() {
    for dialect in FORKS {
        let mut world = World::new();
        let (track, raw, mut downstream) =
            subscribed(&mut world, dialect, GroupOrder::Default, Config::default()).await;
        let mut group = track.append_group().expect("live");
        group.write_frame("begun").expect("room");
        settle().await;
        let mut recv = soon(raw.transport.accept_uni()).await.expect("open");
        recv.stop(0);
        settle().await;
        group.write_frame("more").expect("room");
        group.finish().expect("whole");
        settle().await;
        write_groups(&track, [1]);
        assert_eq!(raw.whole_group().await.0, 1);
        let gaps = downstream.gaps().await;
        assert!(
            gaps.is_empty() || gaps == [(0, 0, Code::CANCEL)],
            "{dialect}: {gaps:?}"
        );
        assert_eq!(world.stats().await.sessions, 1);
    }
}
