//! INFO: what a publisher says of its track, on its way to a subscriber or to whoever asks.

use std::time::Duration;

use moq_relay_core::model::track::TrackInfo;
use moq_relay_core::source::Source;
use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::{GroupOrder, Info, InfoPlease, Priority};
use moq_transfork::stream::{self, Request, StreamError};
use tokio::time::sleep;

use crate::raw::{Raw, subscribe};
use crate::world::{World, next_group, path, published, settle, soon, write_groups};

fn own() -> TrackInfo {
    TrackInfo {
        priority: Priority::new(130),
        order: GroupOrder::Ascending,
        expires: Duration::from_millis(1500),
    }
}

/// What reaches a peer of one dialect of what a peer of another says.
fn bridged(from: Dialect, to: Dialect, latest: u64) -> Info {
    let both = from.has_expires() && to.has_expires();
    Info {
        priority: Priority::new(130),
        order: GroupOrder::Ascending,
        expires: if both {
            Duration::from_millis(1500)
        } else {
            Duration::ZERO
        },
        latest,
    }
}

async fn ask(raw: &Raw, name: &str) -> Result<Info, StreamError> {
    let please = InfoPlease { path: path(name) };
    soon(stream::info(&raw.transport, raw.dialect, &please)).await
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_learns_the_publishers_own_values_in_every_pair_of_dialects() {
    for from in Dialect::ALL {
        for to in Dialect::ALL {
            let mut world = World::new();
            let publisher = world.client(from).await;
            let track = publisher.publish_with("demo/clock", own());
            published(&world, "demo/clock").await;
            write_groups(&track, 0..8);
            let raw = Raw::connect(&mut world, to).await;
            std::mem::forget(raw.asked_for_announcements().await);
            let mut message = subscribe(0, "demo/clock");
            // The subscriber's own wishes are not what INFO says.
            message.priority = Priority::new(7);
            message.order = GroupOrder::Descending;
            let mut downstream = raw.subscribe(&message).await;
            assert_eq!(
                downstream.info().await,
                bridged(from, to, 7),
                "{from} to {to}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_learns_the_same_with_and_without_a_live_track() {
    for from in Dialect::ALL {
        for to in Dialect::ALL {
            let mut world = World::new();
            let publisher = world.client(from).await;
            let track = publisher.publish_with("demo/clock", own());
            published(&world, "demo/clock").await;
            write_groups(&track, 0..4);
            let raw = Raw::connect(&mut world, to).await;
            std::mem::forget(raw.asked_for_announcements().await);
            let info = ask(&raw, "demo/clock").await;
            assert_eq!(
                info,
                Ok(bridged(from, to, 3)),
                "{from} to {to}, asked upstream"
            );
            assert_eq!(world.stats().await.upstreams_total, 0);

            let client = world.client(Dialect::Draft03).await;
            let mut reader = client.subscribe("demo/clock");
            next_group(&mut reader).await;
            write_groups(&track, 4..6);
            settle().await;
            let info = ask(&raw, "demo/clock").await;
            assert_eq!(
                info,
                Ok(bridged(from, to, 5)),
                "{from} to {to}, from the live track"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_known_of_what_nobody_publishes() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let raw = Raw::connect(&mut world, dialect).await;
        std::mem::forget(raw.asked_for_announcements().await);
        let nothing = Err(StreamError::Reset(Code::NOT_FOUND));
        assert_eq!(ask(&raw, "nobody").await, nothing, "{dialect}");
        let mut downstream = raw.subscribe(&subscribe(0, "nobody")).await;
        assert_eq!(soon(downstream.replies.info()).await, nothing, "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_that_the_publisher_refuses_is_refused_with_its_code() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let asking = async { ask(&raw, "clock").await };
    let refusing = async {
        let Request::Info(please, writer) = publisher.request().await else {
            panic!("an INFO_PLEASE is passed on");
        };
        assert_eq!(please.path, path("clock"));
        writer.abort(Code::app(3));
    };
    let (answer, ()) = tokio::join!(asking, refusing);
    assert_eq!(answer, Err(StreamError::Reset(Code::app(3))));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_given_up_is_given_up_upstream() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let please = InfoPlease {
        path: path("clock"),
    };
    let asking = tokio::time::timeout(
        Duration::from_secs(1),
        stream::info(&raw.transport, raw.dialect, &please),
    );
    asking.await.expect_err("the publisher says nothing");
    let Request::Info(_, mut writer) = publisher.request().await else {
        panic!("an INFO_PLEASE is passed on");
    };
    let closed = soon(writer.closed()).await;
    assert!(closed.is_err(), "the relay still waits for an answer");
}

#[tokio::test(start_paused = true)]
async fn a_track_without_a_group_yet_is_known_too() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let _track = publisher.publish_with("clock", own());
    published(&world, "clock").await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let expected = bridged(Dialect::Draft03, Dialect::Draft03, 0);
    assert_eq!(ask(&raw, "clock").await, Ok(expected));
    let mut downstream = raw.subscribe(&subscribe(0, "clock")).await;
    assert_eq!(downstream.info().await, expected);
    let client = world.client(Dialect::Draft03).await;
    let latest = soon(client.peer.info(&path("clock"))).await.expect("known");
    assert_eq!((latest.info, latest.latest), (own(), None));
    sleep(Duration::from_secs(1)).await;
}
