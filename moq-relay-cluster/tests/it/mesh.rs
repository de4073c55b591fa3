//! What the cluster does while nothing fails.

use std::time::Duration;

use moq_relay_core::announced::Announcement;
use moq_relay_core::error::Error;
use moq_relay_core::source::Source;
use moq_transfork::code::Code;

use crate::net::{Net, config, path};
use crate::world::{World, fully_linked, links, pass, read_group, soon, until, write_group};

#[tokio::test(start_paused = true)]
async fn tracks_flow_from_any_node_to_any_other() {
    let mut world = World::new();
    let (root, [a, b, c]) = world.cluster(["a", "b", "c"]).await;
    for from in [&root, &a, &b, &c] {
        let publisher = world.user(from).await;
        let track = publisher.publish(&format!("from/{}", from.name));
        for to in [&root, &a, &b, &c] {
            let own = vec![format!("from/{}", from.name)];
            until("it is announced", || to.view() == own).await;
            let reader = world.user(to).await;
            let mut reader = reader.subscribe(&own[0]);
            soon(reader.info()).await.expect("it is served");
            write_group(&track, to.name.as_str());
            // The newest one from before comes first.
            while read_group(&mut reader).await.1 != to.name.as_str() {}
        }
        track.finish();
        for to in [&root, &a, &b, &c] {
            until("it is unannounced", || to.view().is_empty()).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_link_between_two_nodes_is_enough_for_both_directions() {
    let mut world = World::new();
    let (root, [a, b, c]) = world.cluster(["a", "b", "c"]).await;
    pass(60).await;
    for node in [&root, &a, &b, &c] {
        assert_eq!(links(node).len(), 3, "{}", node.name);
    }
    let snapshot = a.cluster.snapshot();
    assert_eq!((snapshot.links_total, snapshot.failures_total), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_track_is_fetched_once_over_each_link_whatever_the_number_of_subscribers() {
    let mut world = World::new();
    let (root, [a, b, c]) = world.cluster(["a", "b", "c"]).await;
    let publisher = world.user(&a).await;
    let track = publisher.publish("demo");
    for node in [&root, &b, &c] {
        until("it is announced", || node.view() == ["demo"]).await;
    }
    let mut readers = Vec::new();
    for node in [&a, &b, &c] {
        for _ in 0..50 {
            let user = world.user(node).await;
            readers.push((user.subscribe("demo"), user));
        }
    }
    for (reader, _) in &readers {
        soon(reader.info()).await.expect("it is served");
    }
    write_group(&track, "hello");
    for (reader, _) in &mut readers {
        assert_eq!(read_group(reader).await, (0, "hello".to_owned()));
    }
    // The publisher sees one SUBSCRIBE, and each of the two links carries one.
    let upstreams = |node: &crate::net::Machine| node.cluster.relay().stats().upstreams_total;
    assert_eq!([&a, &b, &c, &root].map(upstreams), [1, 1, 1, 0]);
    assert_eq!(a.cluster.relay().stats().subscriptions, 50 + 2);
    assert_eq!(b.cluster.relay().stats().subscriptions, 50);
}

#[tokio::test(start_paused = true)]
async fn when_both_dial_one_link_is_kept_without_a_gap_in_announcements() {
    let mut world = World::over(Net::with(Duration::from_millis(20)));
    let root = world.root();
    let hasty = |config: &mut moq_relay_cluster::config::Config| {
        config.timing.courtesy = Duration::ZERO;
    };
    let a = world.node_with("a", hasty);
    let track = a
        .cluster
        .relay()
        .publish(path("from/a"), Default::default())
        .expect("the path is free");
    pass(1).await;
    let b = world.node_with("b", hasty);
    let other = b
        .cluster
        .relay()
        .publish(path("from/b"), Default::default())
        .expect("the path is free");
    let mut told = [&a, &b].map(|node| node.cluster.relay().origin().announced(&path("")));
    until("both have dialled", || {
        a.cluster.snapshot().links_total > 2 && b.cluster.snapshot().links_total > 2
    })
    .await;
    until("one link is left", || fully_linked(&[&root, &a, &b])).await;
    pass(20).await;
    for (told, other) in told.iter_mut().zip(["from/b", "from/a"]) {
        let mut news = Vec::new();
        while let Some(announcement) = told.try_next() {
            news.push(announcement);
        }
        let of_other = |news: &&Announcement| **news == Announcement::Active(path(other));
        assert_eq!(news.iter().filter(of_other).count(), 1, "{news:?}");
        assert!(
            !news
                .iter()
                .any(|news| matches!(news, Announcement::Ended(_))),
            "{news:?}"
        );
    }
    // The one that the smaller name dialled.
    let snapshot = a.cluster.snapshot();
    let node = snapshot.nodes.iter().find(|node| node.name.as_str() == "b");
    assert!(node.expect("it is linked").links[0].dialled);
    drop((track, other));
}

#[tokio::test(start_paused = true)]
async fn a_read_only_member_uses_the_cluster_and_keeps_its_own_to_itself() {
    let mut world = World::new();
    let (root, [a, b]) = world.cluster(["a", "b"]).await;
    let member = world.net.start("member", config(Some("root"), None, 99));
    until("it is linked to all", || links(&member).len() == 3).await;
    let publisher = world.user(&a).await;
    let track = publisher.publish("from/a");
    let local = world.user(&member).await;
    let _own = local.publish("from/member");
    until("it is announced", || {
        member.view() == ["from/a", "from/member"]
    })
    .await;
    let mut reader = local.subscribe("from/a");
    soon(reader.info()).await.expect("it is served");
    write_group(&track, "hello");
    assert_eq!(read_group(&mut reader).await.1, "hello");
    pass(5).await;
    for node in [&root, &a, &b] {
        assert_eq!(node.view(), ["from/a"], "{}", node.name);
    }
    assert_eq!(root.cluster.relay().stats().nodes, 3);
}

#[tokio::test(start_paused = true)]
async fn clients_have_no_business_with_the_cluster_and_make_nobody_dial() {
    let mut world = World::new();
    let (root, [a, b]) = world.cluster(["a", "b"]).await;
    let before = world.net.dials().len();
    let mallory = world.user(&root).await;
    let _forged = mallory.publish("internal/origins/victim.example");
    for prefix in ["", "internal", "internal/origins"] {
        let mut announced = mallory.peer.announced(&path(prefix));
        let first = soon(announced.next()).await;
        let expected = prefix.is_empty().then_some(Announcement::Live);
        assert_eq!(first, expected, "{prefix}");
    }
    let reader = mallory.subscribe("internal/origins/a");
    let refused = Err(Error::Peer(Code::UNAUTHORIZED));
    assert_eq!(soon(reader.info()).await.map(|_| ()), refused);
    pass(30).await;
    assert_eq!(world.net.dials().len(), before);
    assert_eq!(root.cluster.relay().stats().announcements_refused, 1);
    for node in [&root, &a, &b] {
        assert!(node.view().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_root_may_have_a_name_of_its_own() {
    let mut world = World::new();
    let root = world
        .net
        .start("root", config(None, Some("first.example"), 77));
    world.net.alias("first.example", "root");
    let [a, b] = ["a", "b"].map(|name| world.node(name));
    until("all are linked", || fully_linked(&[&root, &a, &b])).await;
    pass(30).await;
    assert!(fully_linked(&[&root, &a, &b]));
}

#[tokio::test(start_paused = true)]
async fn snapshots_count_announcements_both_ways() {
    let mut world = World::new();
    let (_root, [a, b]) = world.cluster(["a", "b"]).await;
    let publisher = world.user(&a).await;
    for _ in 0..10 {
        let track = publisher.publish("blink");
        until("it is announced", || b.view() == ["blink"]).await;
        track.finish();
        until("it is unannounced", || b.view().is_empty()).await;
    }
    let link = |node: &crate::net::Machine, other: &str| {
        let nodes = node.cluster.snapshot().nodes;
        let found = nodes.into_iter().find(|node| node.name.as_str() == other);
        found.expect("it is linked").links[0].announcements
    };
    // Twenty of the track, and the node's own name.
    assert_eq!((link(&a, "b").sent, link(&b, "a").received), (21, 21));
}
