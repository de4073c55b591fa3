//! Sessions: how they begin, and what one peer may do in its own.

use std::time::Duration;

use moq_relay_core::memory::Config;
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::session::{self, ClientConfig};
use moq_relay_core::source::Source as _;
use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::GroupOrder;
use moq_transfork::setup;
use moq_transfork::stream::StreamError;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::raw::{Raw, subscribe};
use crate::world::{
    Seen, World, groups, next_group, path, published, read_all, read_group, settle, soon, wire,
    write_groups,
};

#[tokio::test(start_paused = true)]
async fn the_best_dialect_that_both_speak_is_chosen() {
    for (offer, chosen) in [
        (&[Dialect::Fork02, Dialect::Draft03][..], Dialect::Draft03),
        (&[Dialect::Fork02, Dialect::Fork04], Dialect::Fork04),
        (&[Dialect::Fork02], Dialect::Fork02),
        (&Dialect::ALL, Dialect::Draft03),
    ] {
        let mut world = World::new();
        let transport = world.accept(Config::default());
        let established = soon(setup::connect(&transport, offer))
            .await
            .expect("shared");
        assert_eq!(established.dialect, chosen);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_publishes_nothing_can_subscribe() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let publisher = world.client(Dialect::Draft03).await;
        let track = publisher.publish("clock");
        published(&world, "clock").await;
        let transport = world.accept(Config::default());
        let mut config = ClientConfig::default();
        config.dialects = vec![dialect];
        let (peer, driver) = soon(session::connect(transport, config))
            .await
            .expect("shared");
        let mut driving = JoinSet::new();
        driving.spawn(driver.run());
        let reader = peer.track(&path("clock"), Subscription::default());
        let mut reader = reader.expect("open");
        write_groups(&track, [0]);
        let group = next_group(&mut reader).await;
        assert_eq!(
            read_group(group).await.as_deref(),
            Ok(&["0".to_owned()][..])
        );
        peer.close(Code::app(7), "enough").await;
        let served = timeout(Duration::from_secs(5), world.served.join_next()).await;
        assert!(served.is_ok(), "{dialect}: the relay sees the close");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_may_subscribe_twice_to_one_track() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let mut both = Vec::new();
    for (id, order) in [(5, GroupOrder::Ascending), (3, GroupOrder::Descending)] {
        let mut message = subscribe(id, "clock");
        message.order = order;
        let mut downstream = raw.subscribe(&message).await;
        downstream.info().await;
        both.push(downstream);
    }
    write_groups(&track, [0]);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (header, reader) = raw.group().await;
        let bytes = crate::raw::read_stream(reader).await;
        assert_eq!((header.sequence, bytes), (0, Ok(wire(&["0"]))));
        ids.push(header.subscribe);
    }
    ids.sort_unstable();
    assert_eq!(ids, [3, 5]);
    assert_eq!(world.stats().await.upstreams_total, 1);
    both[0].request.finish().expect("open");
    assert_eq!(both[0].gap().await, Ok(None));
    write_groups(&track, [1]);
    assert_eq!(raw.group().await.0.subscribe, 3, "the other goes on");
}

#[tokio::test(start_paused = true)]
async fn a_peer_may_subscribe_to_what_it_publishes_itself() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let client = world.client(dialect).await;
        let track = client.publish("echo");
        published(&world, "echo").await;
        let mut reader = client.subscribe("echo");
        for sequence in 0..3 {
            write_groups(&track, [sequence]);
            assert_eq!(read_all(&mut reader).await, groups([sequence]), "{dialect}");
        }
        track.finish();
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(read_all(&mut reader).await, [Seen::End], "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_publisher_ends_its_track_with_reaches_every_subscriber() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
        let raw = Raw::connect(&mut world, dialect).await;
        std::mem::forget(raw.asked_for_announcements().await);
        let mut downstream = raw.subscribe(&subscribe(0, "clock")).await;
        let mut upstream = publisher.subscribed().await;
        upstream.accept(0).await;
        downstream.info().await;
        publisher.send(upstream.subscribe.id, 0).await;
        assert_eq!(raw.whole_group().await, (0, Ok(wire(&["0"]))));
        upstream.writer.abort(Code::app(33));
        let end = downstream.gap().await;
        assert_eq!(end, Err(StreamError::Reset(Code::app(33))), "{dialect}");
        // And one that is refused from the start.
        let mut refused = raw.subscribe(&subscribe(1, "clock")).await;
        publisher
            .subscribed()
            .await
            .writer
            .abort(Code::UNAUTHORIZED);
        let end = soon(refused.replies.info()).await;
        assert_eq!(
            end,
            Err(StreamError::Reset(Code::UNAUTHORIZED)),
            "{dialect}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_track_of_the_relays_own_process_is_served_like_any() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let name = path("in/process");
        let track = world
            .relay
            .publish(name.clone(), Default::default())
            .expect("free");
        assert!(
            world.relay.publish(name, Default::default()).is_err(),
            "once"
        );
        let client = world.client(dialect).await;
        let mut reader = client.subscribe("in/process");
        settle().await;
        write_groups(&track, [0]);
        let group = next_group(&mut reader).await;
        assert_eq!(
            read_group(group).await.as_deref(),
            Ok(&["0".to_owned()][..]),
            "{dialect}"
        );
        track.finish();
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(read_all(&mut reader).await, [Seen::End], "{dialect}");
        assert_eq!(world.stats().await.announced, 0);
    }
}
