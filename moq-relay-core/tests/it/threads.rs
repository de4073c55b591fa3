//! The relay on several threads. These tests alone run on a clock that is not paused, which needs a
//! single thread; what they wait for is bounded by work, not by time.

use std::sync::Arc;
use std::time::Duration;

use moq_relay_core::model::subscription::Subscription;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::GroupOrder;
use moq_transfork::wt::Session as _;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, yield_now};

use crate::world::{Client, World, published, read_group, soon};

const TRACKS: usize = 4;
/// More of each track than are woken at once.
const READERS: usize = 48;
const GROUPS: u64 = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_subscriber_gets_every_group_whatever_thread_it_is_on() {
    let mut world = World::new();
    let mut publishers = Vec::new();
    let mut tracks = Vec::new();
    for i in 0..TRACKS {
        let publisher = world.client(Dialect::ALL[i]).await;
        let name = format!("track/{i}");
        tracks.push(publisher.publish(&name));
        published(&world, &name).await;
        publishers.push(publisher);
    }
    let mut readers = JoinSet::new();
    let begun = Arc::new(Semaphore::new(0));
    for i in 0..READERS {
        let client = world.client(Dialect::ALL[i % 4]).await;
        let name = format!("track/{}", i % TRACKS);
        readers.spawn(read_to_the_end(client, name, begun.clone()));
    }
    for sequence in 0..GROUPS {
        for track in &tracks {
            let mut group = track.create_group(sequence).expect("live");
            for frame in 0..3 {
                group
                    .write_frame(format!("{sequence}/{frame}"))
                    .expect("room");
                yield_now().await;
            }
            group.finish().expect("whole");
        }
    }
    // Whoever subscribes after the end finds no track: the threads may run a reader that late.
    let all_begun = soon(begun.acquire_many(READERS as u32)).await;
    all_begun.expect("never closed").forget();
    for track in tracks {
        track.finish();
    }
    while let Some(read) = soon(readers.join_next()).await {
        read.expect("no panic");
    }
    for publisher in &publishers {
        publisher.transport.close(0, "");
    }
    drop(publishers);
    // Other threads may still be dropping what the sessions held.
    soon(async {
        while world.served.join_next().await.is_some() {}
        loop {
            let left = world.relay.stats();
            let requests = left.subscriptions + left.upstreams + left.announced;
            if left.sessions + requests + left.cache_bytes == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    world.assert_nothing_left().await;
}

/// Reads all groups of a track in their order, and tells `begun` when it has the first.
async fn read_to_the_end(client: Client, name: String, begun: Arc<Semaphore>) {
    let all = Subscription {
        min: Some(0),
        order: GroupOrder::Ascending,
        ..Subscription::default()
    };
    let mut reader = client.subscribe_with(&name, all);
    let mut seen = 0;
    while let Some(group) = soon(reader.next_group())
        .await
        .expect("the track ends well")
    {
        if seen == 0 {
            begun.add_permits(1);
        }
        let sequence = group.sequence();
        let frames = read_group(group).await.expect("whole");
        let expected: Vec<_> = (0..3).map(|frame| format!("{sequence}/{frame}")).collect();
        assert_eq!(frames, expected);
        seen += 1;
    }
    assert_eq!(seen, GROUPS);
    client.transport.close(0, "");
}
