//! SUBSCRIBE_UPDATE: a subscription that changes while it is served.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use moq_relay_core::memory::Config;
use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::{GroupOrder, Priority, SubscribeUpdate};
use moq_transfork::stream::StreamError;
use moq_transfork::wt::{RecvStream as _, SendStream as _};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::raw::{Raw, read_stream, subscribe};
use crate::world::{World, published, settle, soon, wire, write_group, write_groups};

#[tokio::test(start_paused = true)]
async fn a_narrower_range_resets_the_groups_outside_and_tells_of_them() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let mut downstream = raw.subscribe(&subscribe(0, "clock")).await;
    downstream.info().await;
    // Four open groups.
    let mut open = Vec::new();
    let mut streams = Vec::new();
    for sequence in 0..4 {
        let mut group = track.append_group().expect("live");
        group.write_frame("begun").expect("room");
        open.push(group);
        let (header, reader) = raw.group().await;
        assert_eq!(header.sequence, sequence);
        streams.push(reader);
    }
    let update = SubscribeUpdate {
        min: Some(1),
        max: Some(2),
        ..SubscribeUpdate::default()
    };
    downstream.request.update(&update).await.expect("open");
    settle().await;
    for group in &mut open {
        let _outside = group.write_frame("and done");
    }
    for group in open {
        let _outside = group.finish();
    }
    for (sequence, reader) in streams.into_iter().enumerate() {
        let read = read_stream(reader).await;
        if (1..=2).contains(&sequence) {
            assert_eq!(read, Ok(wire(&["begun", "and done"])), "{sequence}");
        } else {
            assert_eq!(read, Err(StreamError::Reset(Code::CANCEL)), "{sequence}");
        }
    }
    let mut gaps = vec![downstream.gap().await, downstream.gap().await];
    gaps.sort_by_key(|gap| format!("{gap:?}"));
    assert_eq!(
        gaps,
        [
            Ok(Some((0, 0, Code::CANCEL))),
            Ok(Some((3, 3, Code::CANCEL)))
        ]
    );
    // The last group wanted is settled, so that is the end.
    assert_eq!(downstream.gap().await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn an_update_never_widens_the_range() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    write_groups(&track, 0..10);
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let mut asked = subscribe(0, "clock");
    (asked.min, asked.max) = (Some(5), Some(12));
    let mut downstream = raw.subscribe(&asked).await;
    downstream.info().await;
    for sequence in (5..10).rev() {
        assert_eq!(raw.whole_group().await.0, sequence);
    }
    let update = SubscribeUpdate {
        min: Some(0),
        max: Some(20),
        ..SubscribeUpdate::default()
    };
    downstream.request.update(&update).await.expect("open");
    settle().await;
    write_groups(&track, 10..15);
    let mut got = Vec::new();
    for _ in 0..3 {
        got.push(raw.whole_group().await.0);
    }
    got.sort_unstable();
    assert_eq!(got, [10, 11, 12]);
    assert_eq!(downstream.gap().await, Ok(None), "the range is through");
    assert!(!raw.has_group().await);
}

#[tokio::test(start_paused = true)]
async fn an_update_before_the_first_group_counts() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let mut downstream = raw.subscribe(&subscribe(0, "clock")).await;
    downstream.info().await;
    let update = SubscribeUpdate {
        min: Some(3),
        ..SubscribeUpdate::default()
    };
    downstream.request.update(&update).await.expect("open");
    settle().await;
    for sequence in 0..5 {
        write_groups(&track, [sequence]);
        settle().await;
    }
    assert_eq!(raw.whole_group().await, (3, Ok(wire(&["3"]))));
    assert_eq!(raw.whole_group().await, (4, Ok(wire(&["4"]))));
    assert_eq!(downstream.gaps().await, [], "what is not wanted is no gap");
    assert!(!raw.has_group().await);
}

#[tokio::test(start_paused = true)]
async fn a_higher_priority_overtakes_on_a_slow_link() {
    for raised in [0, 1] {
        let mut world = World::new();
        let publisher = world.client(Dialect::Draft03).await;
        let tracks = [publisher.publish("a"), publisher.publish("b")];
        published(&world, "a").await;
        published(&world, "b").await;
        let slow = Config {
            rate: Some(100_000),
            ..Config::default()
        };
        let raw = Raw::connect_over(&mut world, Dialect::Draft03, slow).await;
        let mut downstreams = Vec::new();
        for (id, name) in ["a", "b"].into_iter().enumerate() {
            let mut downstream = raw.subscribe(&subscribe(id as u64, name)).await;
            downstream.info().await;
            downstreams.push(downstream);
        }
        let payload = "x".repeat(100_000);
        for track in &tracks {
            write_group(track, &[&payload]);
        }
        settle().await;
        // Both are with the transport already, and still it counts.
        let update = SubscribeUpdate {
            priority: Priority::new(200),
            ..SubscribeUpdate::default()
        };
        downstreams[raised]
            .request
            .update(&update)
            .await
            .expect("open");
        let began = Instant::now();
        let mut ends = [Duration::ZERO; 2];
        let mut reads = tokio::task::JoinSet::new();
        for _ in 0..2 {
            let (header, reader) = raw.group().await;
            reads.spawn(async move {
                let bytes = read_stream(reader).await.expect("whole");
                (header.subscribe, bytes.len(), began.elapsed())
            });
        }
        for (id, size, at) in reads.join_all().await {
            assert_eq!(size, wire(&[&payload]).len());
            ends[id as usize] = at;
        }
        let [raised_end, other_end] = [ends[raised], ends[1 - raised]];
        assert!(raised_end < other_end, "{raised}: {ends:?}");
        assert!(
            raised_end < Duration::from_millis(1100),
            "{raised}: {ends:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_order_counts_for_what_has_not_begun() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    write_groups(&track, 0..10);
    let few = Config {
        max_uni_streams: 1,
        ..Config::default()
    };
    let raw = Raw::connect_over(&mut world, Dialect::Draft03, few).await;
    let mut asked = subscribe(0, "clock");
    asked.min = Some(0);
    asked.order = GroupOrder::Descending;
    let mut downstream = raw.subscribe(&asked).await;
    downstream.info().await;
    assert_eq!(raw.whole_group().await.0, 9);
    assert_eq!(raw.whole_group().await.0, 8);
    let update = SubscribeUpdate {
        order: GroupOrder::Ascending,
        ..SubscribeUpdate::default()
    };
    downstream.request.update(&update).await.expect("open");
    settle().await;
    for sequence in 0..8 {
        assert_eq!(raw.whole_group().await.0, sequence);
    }
}

#[tokio::test(start_paused = true)]
async fn a_shorter_life_counts_for_what_is_on_its_way() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let stalled = Config {
        stream_window: 10,
        ..Config::default()
    };
    let raw = Raw::connect_over(&mut world, Dialect::Draft03, stalled).await;
    let mut downstream = raw.subscribe(&subscribe(0, "clock")).await;
    downstream.info().await;
    write_group(&track, &["more than ten bytes"]);
    let (_, reader) = raw.group().await;
    sleep(Duration::from_secs(3600)).await;
    let update = SubscribeUpdate {
        expires: Duration::from_secs(1),
        ..SubscribeUpdate::default()
    };
    downstream.request.update(&update).await.expect("open");
    assert_eq!(downstream.gap().await, Ok(Some((0, 0, Code::EXPIRED))));
    assert_eq!(
        read_stream(reader).await,
        Err(StreamError::Reset(Code::EXPIRED))
    );
}

#[tokio::test(start_paused = true)]
async fn an_update_that_makes_no_sense_ends_the_subscription_alone() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let hello = crate::raw::said(&subscribe(0, "clock"), Dialect::Draft03);
    let (mut send, recv) = raw.open(&[&[2], &hello[..]].concat()).await;
    settle().await;
    // Priority 0, and an order that does not exist.
    send.write_all(&[0, 9]).await.expect("open");
    drop(recv);
    assert_eq!(world.stats().await.subscriptions, 0);
    let mut other = raw.subscribe(&subscribe(1, "clock")).await;
    other.info().await;
    write_groups(&track, [0]);
    assert_eq!(raw.whole_group().await, (0, Ok(wire(&["0"]))));
}

#[tokio::test(start_paused = true)]
async fn updates_before_the_publisher_has_answered_count_all_together() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let mut downstream = raw.subscribe(&subscribe(0, "clock")).await;
    let mut upstream = publisher.subscribed().await;
    let narrow = |priority, min, max| SubscribeUpdate {
        priority: Priority::new(priority),
        min,
        max,
        ..SubscribeUpdate::default()
    };
    for update in [
        narrow(100, Some(2), None),
        narrow(150, Some(1), Some(4)),
        narrow(200, None, Some(9)),
    ] {
        downstream.request.update(&update).await.expect("open");
    }
    settle().await;
    upstream.accept(0).await;
    downstream.info().await;
    let passed_on = soon(upstream.reader.update()).await;
    // The range of what is already asked for stays.
    assert_eq!(passed_on, Ok(Some(narrow(200, None, None))));
    for sequence in 0..6 {
        publisher.send(upstream.subscribe.id, sequence).await;
        settle().await;
    }
    for sequence in 2..=4 {
        assert_eq!(raw.whole_group().await.0, sequence);
    }
    assert!(!raw.has_group().await);
    assert_eq!(downstream.gap().await, Ok(None), "the range is through");
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_leaves_right_after_an_update_is_gone() {
    for answered in [false, true] {
        let mut world = World::new();
        let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
        let raw = Raw::connect(&mut world, Dialect::Draft03).await;
        let mut downstream = raw.subscribe(&subscribe(0, "clock")).await;
        let mut upstream = publisher.subscribed().await;
        if answered {
            upstream.accept(0).await;
            downstream.info().await;
        }
        for priority in [1, 2, 3] {
            let update = SubscribeUpdate {
                priority: Priority::new(priority),
                ..SubscribeUpdate::default()
            };
            downstream.request.update(&update).await.expect("open");
        }
        downstream.request.finish().expect("open");
        assert_eq!(downstream.replies.gap().await, Ok(None), "{answered}");
        assert_eq!(world.stats().await.subscriptions, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn however_many_updates_come_at_once_others_have_their_turn() {
    const UPDATES: usize = 100_000;
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let wide = Config {
        stream_window: 1 << 20,
        ..Config::default()
    };
    let raw = Raw::connect_over(&mut world, Dialect::Draft03, wide).await;
    let hello = crate::raw::said(&subscribe(0, "clock"), Dialect::Draft03);
    let (mut send, mut recv) = raw.open(&[&[2], &hello[..]].concat()).await;
    settle().await;
    write_groups(&track, [0]);
    assert_eq!(raw.whole_group().await, (0, Ok(wire(&["0"]))));
    let [update, last] = [None, Some(0)].map(|max| {
        let update = SubscribeUpdate {
            max,
            ..SubscribeUpdate::default()
        };
        crate::raw::said(&update, Dialect::Draft03)
    });
    let turns = Arc::new(AtomicUsize::new(0));
    let mut others = tokio::task::JoinSet::new();
    let counted = turns.clone();
    others.spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            yield_now().await;
        }
    });
    let all = [update.repeat(UPDATES), last].concat();
    send.write_all(&all).await.expect("open");
    // The last one ends it.
    while recv
        .read_chunk(usize::MAX)
        .await
        .expect("a clean end")
        .is_some()
    {}
    let turns = turns.load(Ordering::Relaxed);
    assert!(turns > UPDATES / 10_000, "{turns}");
}
