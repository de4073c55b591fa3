//! What all subscribers together ask of the publisher.

use std::time::Duration;

use moq_relay_core::model::subscription::Subscription;
use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::{GroupOrder, Priority, Subscribe, SubscribeUpdate};
use moq_transfork::stream::StreamError;
use moq_transfork::wt::SendStream as _;
use tokio::time::{Instant, sleep};

use crate::raw::{Raw, subscribe};
use crate::world::{Seen, World, groups, read_all, settle, soon, wire};

fn asks(
    priority: u64,
    order: GroupOrder,
    expires: u64,
    min: Option<u64>,
    max: Option<u64>,
) -> Subscription {
    Subscription {
        priority: Priority::new(priority),
        order,
        expires: Duration::from_millis(expires),
        min,
        max,
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_subscribers_wish_is_passed_on_as_it_is() {
    use GroupOrder::{Ascending, Default, Descending};
    for dialect in Dialect::ALL {
        for order in [Ascending, Descending, Default] {
            let mut world = World::new();
            let (publisher, _told) = Raw::publisher(&mut world, dialect, &["demo/a"]).await;
            let client = world.client(Dialect::Draft03).await;
            let asked = asks(200, order, 1500, Some(0), Some(70));
            let _reader = client.subscribe_with("demo/a", asked);
            let upstream = publisher.subscribed().await;
            let expected = Subscribe {
                priority: Priority::new(200),
                order: match (order, dialect) {
                    (Default, Dialect::Draft03) => Default,
                    (Default, _) => Descending,
                    (order, _) => order,
                },
                expires: match dialect {
                    Dialect::Draft03 | Dialect::Fork02 => Duration::from_millis(1500),
                    Dialect::Fork04 | Dialect::Fork04s => Duration::ZERO,
                },
                min: Some(0),
                max: Some(70),
                ..subscribe(0, "demo/a")
            };
            assert_eq!(upstream.subscribe, expected, "{dialect}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_higher_priority_is_passed_on_by_an_update_and_taken_back_too() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["a"]).await;
    let (one, other) = (
        world.client(Dialect::Draft03).await,
        world.client(Dialect::Draft03).await,
    );
    let low = asks(10, GroupOrder::Ascending, 100, None, None);
    let _first = one.subscribe_with("a", low.clone());
    let mut upstream = publisher.subscribed().await;
    assert_eq!(upstream.subscribe.priority, Priority::new(10));
    upstream.accept(0).await;
    settle().await;
    let second = other.subscribe_with("a", asks(50, GroupOrder::Descending, 300, None, None));
    let update = soon(upstream.reader.update()).await;
    let expected = SubscribeUpdate {
        priority: Priority::new(50),
        // They differ: the publisher's own decides.
        order: GroupOrder::Default,
        expires: Duration::from_millis(300),
        min: None,
        max: None,
    };
    assert_eq!(update, Ok(Some(expected)));
    drop(second);
    let update = soon(upstream.reader.update()).await;
    let expected = SubscribeUpdate {
        priority: Priority::new(10),
        order: GroupOrder::Ascending,
        expires: Duration::from_millis(100),
        min: None,
        max: None,
    };
    assert_eq!(update, Ok(Some(expected)));
    assert_eq!(world.stats().await.upstreams_total, 1);
}

#[tokio::test(start_paused = true)]
async fn an_update_is_never_sent_to_the_forks() {
    for dialect in [Dialect::Fork02, Dialect::Fork04, Dialect::Fork04s] {
        let mut world = World::new();
        let (publisher, _told) = Raw::publisher(&mut world, dialect, &["a"]).await;
        let (one, other) = (
            world.client(Dialect::Draft03).await,
            world.client(Dialect::Draft03).await,
        );
        let first = one.subscribe_with("a", asks(10, GroupOrder::Default, 0, None, None));
        let mut upstream = publisher.subscribed().await;
        upstream.accept(0).await;
        settle().await;
        let second = other.subscribe_with("a", asks(50, GroupOrder::Ascending, 0, None, None));
        sleep(Duration::from_secs(5)).await;
        drop((first, second));
        // The first thing said on the stream is its end.
        assert_eq!(soon(upstream.reader.update()).await, Ok(None), "{dialect}");
        assert!(!publisher.has_request().await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wider_range_is_subscribed_to_anew_and_cuts_nothing() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let (publisher, _told) = Raw::publisher(&mut world, dialect, &["a"]).await;
        let (one, other) = (
            world.client(Dialect::Draft03).await,
            world.client(Dialect::Draft03).await,
        );
        let mut live = one.subscribe("a");
        let mut first = publisher.subscribed().await;
        first.accept(10).await;
        let id = first.subscribe.id;
        publisher.send(id, 10).await;
        assert_eq!(read_all(&mut live).await, groups([10]));
        let mut open = publisher.begin_group(id, 11, &wire(&["11"])).await;
        settle().await;

        let mut past = other.subscribe_with("a", asks(128, GroupOrder::Default, 0, Some(8), None));
        let mut second = publisher.subscribed().await;
        assert_ne!(second.subscribe.id, id, "{dialect}");
        assert_eq!(second.subscribe.min, Some(8), "{dialect}");
        let before = soon_nothing(&mut first).await;
        assert_eq!(before, None, "the first stays until the second is answered");
        second.accept(11).await;
        let new_id = second.subscribe.id;
        for sequence in 8..12 {
            publisher.send(new_id, sequence).await;
        }
        settle().await;
        // The group that was open ends where it began, seconds later.
        sleep(Duration::from_secs(5)).await;
        open.write_all(&wire(&["end"]))
            .await
            .expect("it is not stopped");
        open.finish().expect("open");
        settle().await;
        publisher.send(new_id, 12).await;
        let eleven = Seen::Group(11, vec!["11".to_owned(), "end".to_owned()]);
        let mut expected = vec![eleven.clone()];
        expected.extend(groups([12]));
        assert_eq!(read_all(&mut live).await, expected, "{dialect}");
        let mut seen = read_all(&mut past).await;
        seen.sort();
        let mut expected = groups(8..11);
        expected.push(eleven);
        expected.extend(groups([12]));
        assert_eq!(seen, expected, "{dialect}");
        // The first subscription ends once the group is through.
        if dialect == Dialect::Draft03 {
            let narrowed = soon(first.reader.update()).await;
            assert_eq!(
                narrowed.map(|update| update.and_then(|update| update.max)),
                Ok(Some(11))
            );
        }
        assert_eq!(soon(first.reader.update()).await, Ok(None), "{dialect}");
        let stats = world.stats().await;
        assert_eq!(
            (stats.upstreams, stats.upstreams_total),
            (1, 2),
            "{dialect}"
        );
    }
}

/// What the relay says on a subscription, if anything at this time.
async fn soon_nothing(
    upstream: &mut crate::raw::Upstream,
) -> Option<Result<Option<SubscribeUpdate>, StreamError>> {
    tokio::time::timeout(crate::world::INSTANT, upstream.reader.update())
        .await
        .ok()
}

#[tokio::test(start_paused = true)]
async fn a_range_within_what_is_subscribed_to_needs_nothing_new() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["a"]).await;
    let client = world.client(Dialect::Draft03).await;
    let mut live = client.subscribe("a");
    let mut upstream = publisher.subscribed().await;
    upstream.accept(10).await;
    let id = upstream.subscribe.id;
    let ranges = [
        (Some(10), None, 10..45),
        (Some(15), Some(16), 15..17),
        (None, Some(20), 10..21),
        (Some(30), Some(40), 30..41),
    ];
    let mut readers = Vec::new();
    for (min, max, expected) in ranges {
        let other = world.client(Dialect::Draft03).await;
        let reader = other.subscribe_with("a", asks(128, GroupOrder::Default, 0, min, max));
        readers.push((other, reader, expected));
    }
    for sequence in 10..45 {
        publisher.send(id, sequence).await;
        assert_eq!(read_all(&mut live).await, groups([sequence]));
        for (_, reader, range) in &mut readers {
            let mut expected = Vec::new();
            if range.contains(&sequence) {
                expected.extend(groups([sequence]));
            }
            if sequence >= range.end - 1 && range.end < 45 {
                expected.push(Seen::End);
            }
            assert_eq!(read_all(reader).await, expected, "{sequence} of {range:?}");
        }
    }
    drop(readers);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.stats().await.upstreams_total, 1);
}

#[tokio::test(start_paused = true)]
async fn when_the_one_with_the_widest_range_leaves_nothing_is_asked_anew() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["a"]).await;
    let (one, other) = (
        world.client(Dialect::Draft03).await,
        world.client(Dialect::Draft03).await,
    );
    let past = one.subscribe_with("a", asks(128, GroupOrder::Default, 0, Some(5), None));
    let mut upstream = publisher.subscribed().await;
    upstream.accept(10).await;
    let id = upstream.subscribe.id;
    settle().await;
    let mut live = other.subscribe("a");
    settle().await;
    drop(past);
    sleep(Duration::from_secs(10)).await;
    for sequence in 11..14 {
        publisher.send(id, sequence).await;
        assert_eq!(read_all(&mut live).await, groups([sequence]));
    }
    let stats = world.stats().await;
    assert_eq!((stats.upstreams, stats.upstreams_total), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_refuses_more_goes_on_with_what_it_gives() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["a"]).await;
    let (one, other) = (
        world.client(Dialect::Draft03).await,
        world.client(Dialect::Draft03).await,
    );
    let mut live = one.subscribe("a");
    let mut upstream = publisher.subscribed().await;
    upstream.accept(10).await;
    let id = upstream.subscribe.id;
    publisher.send(id, 10).await;
    assert_eq!(read_all(&mut live).await, groups([10]));
    let asks_for_the_past = asks(128, GroupOrder::Default, 0, Some(2), None);
    let mut past = other.subscribe_with("a", asks_for_the_past);
    let refused = publisher.subscribed().await;
    assert_eq!(refused.subscribe.min, Some(2));
    // What the first says meanwhile counts.
    upstream.gap(11, 0, Code::app(1)).await;
    assert_eq!(read_all(&mut live).await, [Seen::Gap(11, 11, Code::app(1))]);
    refused.writer.abort(Code::BOUNDS_EXCEEDED);
    settle().await;
    publisher.send(id, 12).await;
    assert_eq!(read_all(&mut live).await, groups([12]));
    // The other gets what there is, and is told of the rest in time.
    let mut seen = read_all(&mut past).await;
    sleep(Duration::from_secs(15)).await;
    seen.extend(read_all(&mut past).await);
    seen.sort();
    let mut expected = groups([10, 12]);
    expected.push(Seen::Gap(2, 9, Code::DROPPED));
    expected.push(Seen::Gap(11, 11, Code::app(1)));
    assert_eq!(seen, expected);
    assert!(!publisher.has_request().await, "it is not asked again");
    drop((live, past));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(soon(upstream.reader.update()).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_ends_its_track_while_it_is_asked_for_more_ends_it() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["a"]).await;
    let (one, other) = (
        world.client(Dialect::Draft03).await,
        world.client(Dialect::Draft03).await,
    );
    let mut live = one.subscribe("a");
    let mut upstream = publisher.subscribed().await;
    upstream.accept(10).await;
    settle().await;
    let _past = other.subscribe_with("a", asks(128, GroupOrder::Default, 0, Some(2), None));
    let _unanswered = publisher.subscribed().await;
    upstream.writer.finish().expect("open");
    assert_eq!(read_all(&mut live).await, [Seen::End]);
    assert_eq!(world.stats().await.upstreams, 0);
}

#[tokio::test(start_paused = true)]
async fn the_moment_after_the_last_leaves_counts_from_the_last() {
    let mut world = World::new();
    let (publisher, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["a"]).await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let mut first = raw.subscribe(&subscribe(0, "a")).await;
    let mut upstream = publisher.subscribed().await;
    upstream.accept(0).await;
    first.info().await;
    first.request.finish().expect("open");
    for id in 1..10 {
        sleep(Duration::from_millis(900)).await;
        let mut again = raw.subscribe(&subscribe(id, "a")).await;
        again.info().await;
        again.request.finish().expect("open");
    }
    let left = Instant::now();
    assert_eq!(soon(upstream.reader.update()).await, Ok(None));
    assert_eq!(left.elapsed().as_secs(), 1);
    assert_eq!(world.stats().await.upstreams_total, 1);
}
