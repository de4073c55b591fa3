//! Which groups a subscriber gets, and in which order.

use std::time::Duration;

use moq_relay_core::memory::Config;
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::model::track::TrackInfo;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::GroupOrder;
use tokio::time::sleep;

use crate::raw::{Raw, read_stream, subscribe};
use crate::world::{
    Seen, World, groups, next_group, published, read_all, read_group, settle, wire, write_groups,
};

fn range(min: Option<u64>, max: Option<u64>) -> Subscription {
    Subscription {
        min,
        max,
        ..Subscription::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_joiner_gets_the_newest_group_from_its_first_frame_then_live() {
    for to in Dialect::ALL {
        let mut world = World::new();
        let publisher = world.client(Dialect::Fork02).await;
        let track = publisher.publish("clock");
        published(&world, "clock").await;
        let early = world.client(Dialect::Draft03).await;
        let mut early_reader = early.subscribe("clock");
        write_groups(&track, 0..3);
        assert_eq!(
            read_all(&mut early_reader).await.len(),
            1,
            "which began with the newest"
        );
        let mut open = track.append_group().expect("live");
        open.write_frame("first").expect("room");
        settle().await;

        let late = Raw::connect(&mut world, to).await;
        std::mem::forget(late.asked_for_announcements().await);
        let mut downstream = late.subscribe(&subscribe(0, "clock")).await;
        assert_eq!(downstream.info().await.latest, 3, "{to}");
        let (header, mut group) = late.group().await;
        assert_eq!((header.subscribe, header.sequence), (0, 3), "{to}");
        let begun = crate::world::soon(group.read(100)).await;
        assert_eq!(begun, Ok(Some(wire(&["first"]).into())), "{to}");
        // What is written now flows at once, before the group or even the frame ends.
        open.write_wire(&[bytes::Bytes::from_static(b"\x06sec")])
            .expect("room");
        let part = crate::world::soon(group.read(100)).await;
        assert_eq!(
            part,
            Ok(Some(bytes::Bytes::from_static(b"\x06sec"))),
            "{to}"
        );
        open.write_wire(&[bytes::Bytes::from_static(b"ond")])
            .expect("room");
        open.finish().expect("whole");
        assert_eq!(read_stream(group).await, Ok(b"ond".to_vec()), "{to}");
        write_groups(&track, [4]);
        assert_eq!(late.whole_group().await, (4, Ok(wire(&["4"]))), "{to}");
        assert!(!late.has_group().await, "{to}");
        assert_eq!(downstream.gaps().await, [], "{to}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_subscriber_gets_its_own_range_of_what_is_kept() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let publisher = world.client(dialect).await;
        let track = publisher.publish("clock");
        published(&world, "clock").await;
        write_groups(&track, 0..20);
        let cases = [
            (None, None, 19..22, false),
            (Some(0), None, 0..22, false),
            (Some(7), Some(9), 7..10, true),
            (Some(18), Some(20), 18..21, true),
            (Some(21), None, 21..22, false),
            (Some(21), Some(21), 21..22, true),
            (None, Some(20), 19..21, true),
            // A range that is over, and one that is none.
            (None, Some(3), 0..0, true),
            (Some(9), Some(8), 0..0, true),
        ];
        let mut readers = Vec::new();
        for (min, max, expected, ends) in cases {
            let client = world.client(dialect).await;
            let reader = client.subscribe_with("clock", range(min, max));
            readers.push((client, reader, expected, ends, Vec::new()));
        }
        for sequence in 20..24 {
            // The end of a subscription to a fork takes a moment to be believed.
            sleep(Duration::from_secs(2)).await;
            for (_, reader, _, _, seen) in &mut readers {
                if seen.last() != Some(&Seen::End) {
                    seen.extend(read_all(reader).await);
                }
            }
            if sequence < 22 {
                write_groups(&track, [sequence]);
            }
        }
        for (_, reader, expected, ends, mut seen) in readers {
            let asked = reader.subscription();
            assert_eq!(
                seen.last() == Some(&Seen::End),
                ends,
                "{dialect}: {asked:?}"
            );
            seen.retain(|seen| *seen != Seen::End);
            seen.sort();
            assert_eq!(seen, groups(expected), "{dialect}: {asked:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_order_is_the_subscribers_or_else_the_publishers_own() {
    use GroupOrder::{Ascending, Default, Descending};
    for (own, asked, ascending) in [
        (Default, Default, false),
        (Default, Ascending, true),
        (Default, Descending, false),
        (Ascending, Default, true),
        (Ascending, Descending, false),
        (Descending, Default, false),
        (Descending, Ascending, true),
    ] {
        let mut world = World::new();
        let publisher = world.client(Dialect::Draft03).await;
        let info = TrackInfo {
            order: own,
            ..TrackInfo::default()
        };
        let track = publisher.publish_with("clock", info);
        published(&world, "clock").await;
        write_groups(&track, 0..5);
        // One stream at a time shows the order.
        let few = Config {
            max_uni_streams: 1,
            ..Config::default()
        };
        let raw = Raw::connect_over(&mut world, Dialect::Draft03, few).await;
        let mut message = subscribe(0, "clock");
        (message.min, message.order) = (Some(0), asked);
        let mut downstream = raw.subscribe(&message).await;
        assert_eq!(downstream.info().await.order, own);
        // Until all groups are at the relay nothing is read, so the order is the relay's.
        settle().await;
        let mut got = vec![raw.whole_group().await.0];
        for _ in 1..5 {
            got.push(raw.whole_group().await.0);
        }
        // The first went when it was the only one.
        let rest = got.split_off(1);
        let mut expected: Vec<_> = (0..5).filter(|sequence| *sequence != got[0]).collect();
        if !ascending {
            expected.reverse();
        }
        assert_eq!(rest, expected, "{own:?} and {asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_newest_of_many_groups_of_the_past_goes_first_and_none_is_given_up() {
    let mut world = World::new();
    let track = world
        .relay
        .publish(crate::world::path("clock"), TrackInfo::default())
        .expect("free");
    write_groups(&track, 0..1000);
    for streams in [1, 3, 100, 10_000] {
        let config = Config {
            max_uni_streams: streams,
            delay: Duration::from_millis(1),
            ..Config::default()
        };
        let client = Raw::connect_over(&mut world, Dialect::Draft03, config).await;
        let mut message = subscribe(0, "clock");
        message.min = Some(0);
        let mut downstream = client.subscribe(&message).await;
        downstream.info().await;
        for sequence in (0..1000).rev() {
            let group = client.whole_group().await;
            assert_eq!(
                group,
                (sequence, Ok(wire(&[&sequence.to_string()]))),
                "{streams}"
            );
        }
        assert_eq!(downstream.gaps().await, [], "{streams}");
    }
}

#[tokio::test(start_paused = true)]
async fn empty_groups_and_empty_frames_are_groups_and_frames() {
    for from in Dialect::ALL {
        for to in Dialect::ALL {
            let mut world = World::new();
            let publisher = world.client(from).await;
            let track = publisher.publish("clock");
            published(&world, "clock").await;
            let client = world.client(to).await;
            let mut reader = client.subscribe("clock");
            for frames in [&[][..], &[""], &["", "", ""], &["", "x", ""]] {
                crate::world::write_group(&track, frames);
                let group = next_group(&mut reader).await;
                assert_eq!(
                    read_group(group).await.as_deref(),
                    Ok(&to_strings(frames)[..])
                );
            }
        }
    }
}

fn to_strings(frames: &[&str]) -> Vec<String> {
    frames.iter().map(|frame| (*frame).to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn frames_of_every_length_of_header_arrive_whole() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Fork02).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let client = world.client(Dialect::Draft03).await;
    let mut reader = client.subscribe("clock");
    for size in [0, 1, 63, 64, 65, 16_383, 16_384, 16_385, 70_000, 3_000_000] {
        let payload: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        let mut group = track.append_group().expect("live");
        group.write_frame(payload.clone()).expect("room");
        group.write_frame("tail").expect("room");
        group.finish().expect("whole");
        let mut group = next_group(&mut reader).await;
        let frame = crate::world::soon(group.next_frame()).await.expect("whole");
        assert!(frame.as_deref() == Some(&payload[..]), "{size} bytes");
        let frame = crate::world::soon(group.next_frame()).await.expect("whole");
        assert_eq!(frame.as_deref(), Some(&b"tail"[..]));
        sleep(Duration::from_millis(1)).await;
    }
}
