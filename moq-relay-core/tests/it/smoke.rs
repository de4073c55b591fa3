//! The main way of a group, in every dialect.

use moq_transfork::Dialect;

use crate::world::{World, next_group, published, read_group, write_group};

#[tokio::test(start_paused = true)]
async fn a_group_travels_from_publisher_to_subscriber_in_every_pair_of_dialects() {
    for from in Dialect::ALL {
        for to in Dialect::ALL {
            let mut world = World::new();
            let publisher = world.client(from).await;
            let track = publisher.publish("demo/clock");
            published(&world, "demo/clock").await;
            let subscriber = world.client(to).await;
            let mut reader = subscriber.subscribe("demo/clock");
            write_group(&track, &["tick", "", "tock"]);
            let group = next_group(&mut reader).await;
            assert_eq!(group.sequence(), 0, "{from} to {to}");
            assert_eq!(
                read_group(group).await.expect("whole"),
                ["tick", "", "tock"],
                "{from} to {to}"
            );
        }
    }
}
