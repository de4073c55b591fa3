//! Groups of the past: what is fetched once, and what stays after the last subscriber.

use std::time::Duration;

use moq_relay_core::source::{FetchRequest, Source};
use moq_transfork::Dialect;
use moq_transfork::message::Priority;

use crate::world::{Client, World, next_group, path, published, read_group, soon, write_group};

fn request(group: u64, frame: u64) -> FetchRequest {
    FetchRequest {
        path: path("demo"),
        priority: Priority::default(),
        group,
        frame,
    }
}

async fn fetch(client: &Client, group: u64, frame: u64) -> Vec<String> {
    let request = request(group, frame);
    let group = soon(client.peer.fetch(&request))
        .await
        .expect("the group is there");
    read_group(group).await.expect("the group is whole")
}

#[tokio::test(start_paused = true)]
async fn a_group_that_many_fetch_is_fetched_from_its_publisher_once() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("demo");
    published(&world, "demo").await;
    write_group(&track, &["one", "two"]);
    let (left, right) = (
        world.client(Dialect::Draft03).await,
        world.client(Dialect::Draft03).await,
    );

    let (first, second) = tokio::join!(fetch(&left, 0, 0), fetch(&right, 0, 0));
    assert_eq!(first, ["one", "two"]);
    assert_eq!(second, ["one", "two"]);
    assert_eq!(world.relay.stats().fetches_total, 1);

    assert_eq!(
        fetch(&right, 0, 1).await,
        ["two"],
        "a part of it is there too"
    );
    assert_eq!(world.relay.stats().fetches_total, 1);
}

#[tokio::test(start_paused = true)]
async fn groups_outlive_the_last_subscriber_for_as_long_as_the_cache_allows() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Fork02).await;
    let track = publisher.publish("demo");
    published(&world, "demo").await;
    write_group(&track, &["kept"]);
    let client = world.client(Dialect::Draft03).await;
    let mut reader = client.subscribe("demo");
    next_group(&mut reader).await;
    drop(reader);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(
        world.relay.stats().upstreams,
        0,
        "the subscription has ended"
    );

    // A publisher of this dialect is never sent a FETCH: this comes from the relay.
    assert_eq!(fetch(&client, 0, 0).await, ["kept"]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.relay.stats().cache_bytes, 0);
    let request = request(0, 0);
    let gone = soon(client.peer.fetch(&request)).await.expect("asked");
    assert!(read_group(gone).await.is_err());
}
