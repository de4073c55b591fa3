//! Peers that grant few streams.

use std::time::Duration;

use moq_relay_core::memory::Config;
use moq_relay_core::relay::RelayConfig;
use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::GroupOrder;
use moq_transfork::stream::StreamError;
use tokio::time::sleep;

use crate::raw::{Raw, read_stream, subscribe};
use crate::slow::{subscribed, whole_groups};
use crate::world::{INSTANT, World, path, settle, wire, write_groups};

#[tokio::test(start_paused = true)]
async fn a_peer_that_grants_few_streams_gets_all_that_it_has_time_for() {
    for dialect in Dialect::ALL {
        for streams in 1..=3 {
            let mut world = World::new();
            let few = Config {
                max_uni_streams: streams,
                delay: Duration::from_millis(5),
                ..Config::default()
            };
            let (track, raw, mut downstream) =
                subscribed(&mut world, dialect, GroupOrder::Default, few).await;
            for sequence in 0..50 {
                write_groups(&track, [sequence]);
                let group = raw.whole_group().await;
                assert_eq!(group, (sequence, Ok(wire(&[&sequence.to_string()]))));
            }
            assert_eq!(downstream.gaps().await, [], "{dialect} with {streams}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_grants_few_streams_gets_the_newest_group_first() {
    for streams in 1..=3 {
        let mut world = World::new();
        let few = Config {
            max_uni_streams: streams,
            ..Config::default()
        };
        let (track, raw, mut downstream) =
            subscribed(&mut world, Dialect::Draft03, GroupOrder::Default, few).await;
        // As many as there are streams are under way, and the others wait.
        for sequence in 0..20 {
            write_groups(&track, [sequence]);
            settle().await;
        }
        let mut got = Vec::new();
        for _ in 0..20 {
            got.push(raw.whole_group().await.0);
        }
        let begun: Vec<_> = (0..streams as u64).collect();
        let (first, rest) = got.split_at(streams);
        assert_eq!(first, begun, "with {streams}");
        let newest_first: Vec<_> = (streams as u64..20).rev().collect();
        assert_eq!(rest, newest_first, "with {streams}");
        assert_eq!(downstream.gaps().await, []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_nobody_ends_does_not_keep_the_only_stream() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let one = Config {
            max_uni_streams: 1,
            ..Config::default()
        };
        let (track, raw, mut downstream) =
            subscribed(&mut world, dialect, GroupOrder::Default, one).await;
        let mut hung = track.append_group().expect("live");
        hung.write_frame("begun").expect("room");
        settle().await;
        let (_, reader) = raw.group().await;
        write_groups(&track, [1]);
        let end = read_stream(reader).await;
        assert!(
            matches!(end, Err(StreamError::Reset(_))),
            "{dialect}: {end:?}"
        );
        assert_eq!(raw.whole_group().await, (1, Ok(wire(&["1"]))), "{dialect}");
        assert_eq!(
            downstream.gaps().await,
            [(0, 0, Code::EXPIRED)],
            "{dialect}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn tracks_share_the_few_streams_that_a_peer_grants() {
    for streams in 1..=3 {
        let mut world = World::new();
        let tracks: Vec<_> = (0..5)
            .map(|i| {
                let name = path(&format!("track/{i}"));
                world.relay.publish(name, Default::default()).expect("free")
            })
            .collect();
        let few = Config {
            max_uni_streams: streams,
            ..Config::default()
        };
        let raw = Raw::connect_over(&mut world, Dialect::Draft03, few).await;
        let mut downstreams = Vec::new();
        for i in 0..5 {
            let mut message = subscribe(i, &format!("track/{i}"));
            message.expires = Duration::from_secs(1);
            let mut downstream = raw.subscribe(&message).await;
            downstream.info().await;
            downstreams.push(downstream);
        }
        // Groups that expire while they wait for a stream leave it to the others.
        for round in 0..3 {
            for track in &tracks {
                write_groups(track, [2 * round]);
            }
            sleep(Duration::from_secs(5)).await;
            for track in &tracks {
                write_groups(track, [2 * round + 1]);
            }
            let whole = whole_groups(&raw, INSTANT).await;
            assert_eq!(whole, [2 * round + 1; 5], "with {streams} in round {round}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_any_backlog_others_have_their_turn_while_a_stream_is_waited_for() {
    let mut config = RelayConfig::default();
    config.limits.max_backlog = Duration::ZERO;
    let mut world = World::with(config);
    let one = Config {
        max_uni_streams: 1,
        ..Config::default()
    };
    let (track, raw, _downstream) =
        subscribed(&mut world, Dialect::Draft03, GroupOrder::Default, one).await;
    let mut open = track.append_group().expect("the track is live");
    open.write_frame("begun").expect("there is room");
    let (header, reader) = raw.group().await;
    assert_eq!(header.sequence, 0);
    write_groups(&track, [1]);
    settle().await;
    drop((open, reader));
    assert_eq!(raw.whole_group().await, (1, Ok(wire(&["1"]))));
}
