//! What quinn really sends first when more waits than the link takes.

use std::time::Duration;

use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::session::stream_priority;
use moq_transfork::message::{GroupOrder, Priority};
use tokio::time::sleep;

use crate::journal::Entry;
use crate::load::Frame;
use crate::net::Cable;
use crate::net::link::Path;
use crate::world::{Client, World, path};

/// Bytes in a group: more than any congestion window begins with, so that all groups wait.
const GROUP: usize = 50_000;

const LOW: Priority = Priority::new(100);
const HIGH: Priority = Priority::new(101);

/// A group that came whole: the track's place among those watched, and the group's.
type Done = (usize, u64);

/// A subscriber whom a group takes 400 ms.
async fn slow_client(world: &mut World) -> Client {
    let way = Path::clean(Duration::from_millis(20));
    let down = way.limited(1_000_000, Duration::from_millis(100));
    world.client(Cable { down, up: way }).await
}

fn everything(priority: Priority, order: GroupOrder) -> Subscription {
    Subscription {
        priority,
        order,
        min: Some(0),
        ..Subscription::default()
    }
}

/// Makes a track right in the relay, so that its groups are there all at once.
fn track(world: &World, name: &str) -> TrackProducer {
    world
        .relay
        .publish(path(name), TrackInfo::default())
        .expect("the path is free")
}

fn write_groups(track: &TrackProducer, count: u64) {
    for _ in 0..count {
        let mut group = track.append_group().expect("the track is live");
        let frame = Frame {
            written: Duration::ZERO,
            group: group.sequence(),
            index: 0,
        };
        group
            .write_frame(frame.encode(GROUP))
            .expect("there is room");
        group.finish().expect("the frame is whole");
    }
}

/// The groups of several tracks in the order in which they came to be whole.
fn order(journals: &[Vec<Entry>]) -> Vec<Done> {
    let mut done = Vec::new();
    for (track, seen) in journals.iter().enumerate() {
        for (at, event) in seen {
            if let Some(group) = event.whole() {
                done.push((*at, (track, group)));
            }
        }
    }
    done.sort();
    done.into_iter().map(|(_, done)| done).collect()
}

/// Publishes four groups on each of two tracks at once, and returns the order in which they came.
async fn race(subscriptions: [&Subscription; 2]) -> Vec<Done> {
    let mut world = World::new(1);
    let tracks = [track(&world, "0"), track(&world, "1")];
    let client = slow_client(&mut world).await;
    let journals = [
        client.watch("0", subscriptions[0].clone()).await,
        client.watch("1", subscriptions[1].clone()).await,
    ];
    for track in tracks {
        write_groups(&track, 4);
        track.finish();
    }
    let [first, second] = journals;
    order(&[first.finish().await, second.finish().await])
}

#[tokio::test(start_paused = true)]
async fn groups_come_in_the_order_of_their_streams_priority() {
    for first in [GroupOrder::Ascending, GroupOrder::Descending] {
        for second in [GroupOrder::Ascending, GroupOrder::Descending] {
            for (one, other) in [(LOW, HIGH), (HIGH, LOW)] {
                let subscriptions = [everything(one, first), everything(other, second)];
                let mut expected: Vec<Done> = (0..2)
                    .flat_map(|track| (0..4).map(move |group| (track, group)))
                    .collect();
                expected.sort_by_key(|(track, group)| {
                    let asked = &subscriptions[*track];
                    std::cmp::Reverse(stream_priority(asked.priority, asked.order, *group))
                });
                let came = race([&subscriptions[0], &subscriptions[1]]).await;
                assert_eq!(came, expected, "{subscriptions:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_oldest_comes_first_ascending_and_the_newest_descending() {
    let ascending = everything(HIGH, GroupOrder::Ascending);
    let descending = everything(LOW, GroupOrder::Descending);
    assert_eq!(
        race([&ascending, &descending]).await,
        [
            (0, 0),
            (0, 1),
            (0, 2),
            (0, 3),
            (1, 3),
            (1, 2),
            (1, 1),
            (1, 0)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_urgent_group_overtakes_what_waits_already() {
    let mut world = World::new(1);
    let tracks = [track(&world, "0"), track(&world, "1")];
    let client = slow_client(&mut world).await;
    let bulk = client
        .watch("0", everything(LOW, GroupOrder::Ascending))
        .await;
    let urgent = client
        .watch("1", everything(HIGH, GroupOrder::Ascending))
        .await;

    write_groups(&tracks[0], 4);
    sleep(Duration::from_millis(600)).await;
    write_groups(&tracks[1], 1);
    for track in tracks {
        track.finish();
    }

    let came = order(&[bulk.finish().await, urgent.finish().await]);
    assert_eq!(came, [(0, 0), (1, 0), (0, 1), (0, 2), (0, 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_new_group_overtakes_the_rest_of_an_older_one() {
    let mut world = World::new(1);
    let track = track(&world, "0");
    let client = slow_client(&mut world).await;
    let journal = client
        .watch("0", everything(LOW, GroupOrder::Descending))
        .await;

    write_groups(&track, 1);
    sleep(Duration::from_millis(200)).await;
    write_groups(&track, 1);
    track.finish();

    assert_eq!(order(&[journal.finish().await]), [(0, 1), (0, 0)]);
}
