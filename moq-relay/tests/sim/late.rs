//! A subscriber who comes in the middle of a group.

use std::time::Duration;

use moq_relay_core::model::subscription::Subscription;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::journal::Journal;
use crate::load::Frame;
use crate::net::Cable;
use crate::net::link::Path;
use crate::scenario::VIDEO;
use crate::world::{NEAR, World};

const ROUND_TRIP: Duration = Duration::from_millis(40);

/// 10 KiB and their headers at 10 Mbit/s.
const FRAME_TIME: Duration = Duration::from_millis(9);

/// What clocks that count milliseconds add.
const SLACK: Duration = Duration::from_millis(3);

/// Joins two and a half groups after the first frame, with so many others who watch already, and
/// returns the first frame that came and how long it took.
async fn join(others: usize) -> (Frame, Duration) {
    let mut world = World::new(1);
    let (_publisher, track) = world.publisher("demo/video").await;
    let mut watching = Vec::new();
    for _ in 0..others {
        let other = world.client(NEAR).await;
        let journal = other.watch("demo/video", Subscription::default()).await;
        watching.push((other, journal));
    }
    let way = Path::clean(ROUND_TRIP / 2).limited(10_000_000, Duration::from_millis(100));
    let client = world.client(Cable::both(way)).await;

    let mut publishing = JoinSet::new();
    publishing.spawn(VIDEO.publish(track, world.began()));
    sleep(Duration::from_millis(2500)).await;
    let asked = Instant::now();
    let track = client.subscribe("demo/video", Subscription::default());
    let journal = Journal::of(track, world.began());
    sleep(Duration::from_secs(1)).await;
    drop(watching);
    let seen = journal.so_far();
    let first = seen
        .iter()
        .find_map(|(at, event)| Some((event.frame()?, *at)));
    let (frame, at) = first.expect("it came");
    (frame, world.began() + at - asked)
}

#[tokio::test(start_paused = true)]
async fn the_first_frame_comes_within_a_round_trip_and_its_own_time() {
    let (frame, took) = join(1).await;
    assert_eq!((frame.group, frame.index), (2, 0));
    let bound = ROUND_TRIP + FRAME_TIME + SLACK;
    assert!(took <= bound, "{took:?} > {bound:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_subscriber_of_all_waits_for_the_publishers_round_trip_too() {
    let (frame, took) = join(0).await;
    assert_eq!((frame.group, frame.index), (2, 0));
    let publisher = NEAR.up.delay + NEAR.down.delay;
    let bound = publisher + ROUND_TRIP + FRAME_TIME + 2 * SLACK;
    assert!(took <= bound, "{took:?} > {bound:?}");
}
