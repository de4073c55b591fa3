//! A subscriber that grants few streams.

use std::time::Duration;

use moq_relay_core::model::subscription::Subscription;

use crate::figures::latencies;
use crate::journal::{Entry, assert_settled, whole};
use crate::load::Load;
use crate::net::Cable;
use crate::net::link::Path;
use crate::world::World;

/// A group for every frame, as audio is often sent.
const LOAD: Load = Load {
    frame: 200,
    rate: 50,
    group: 1,
    groups: 500,
};

const FRAME_TIME: Duration = Duration::from_millis(20);
const ONE_WAY: Duration = Duration::from_millis(100);
/// The way from the publisher, and what is lost by clocks that count milliseconds.
const SLACK: Duration = Duration::from_millis(5);

async fn run(streams: u32) -> Vec<Entry> {
    let mut world = World::new(1);
    let (_publisher, track) = world.publisher("demo/audio").await;
    let cable = Cable::both(Path::clean(ONE_WAY));
    let subscriber = world
        .client_with(cable, |transport| {
            transport.max_concurrent_uni_streams(streams.into());
        })
        .await;
    let journal = subscriber
        .watch("demo/audio", Subscription::default())
        .await;
    LOAD.publish(track, world.began()).await;
    journal.finish().await
}

#[tokio::test(start_paused = true)]
async fn a_hundred_streams_are_enough_for_fifty_groups_a_second_at_200_ms() {
    let seen = run(100).await;
    assert_eq!(whole(&seen).len() as u64, LOAD.groups);
    let slowest = latencies(&seen).last().copied();
    assert!(slowest <= Some(ONE_WAY + SLACK), "{slowest:?}");
}

#[tokio::test(start_paused = true)]
async fn with_four_streams_it_is_the_newest_groups_that_come() {
    let seen = run(4).await;
    // A stream is free again for the next group a round trip after it was opened.
    let possible =
        4 * LOAD.frames() * FRAME_TIME.as_millis() as u64 / (2 * ONE_WAY).as_millis() as u64;
    let fresh = ONE_WAY + FRAME_TIME + SLACK;
    let live = latencies(&seen).partition_point(|latency| *latency <= fresh);
    assert!(live as u64 * 10 >= possible * 9, "{live} of {possible}");
    assert_settled(&seen, LOAD.groups);
}
