//! What the cluster does while things fail.

use std::time::Duration;

use moq_relay_cluster::snapshot::NodeState;
use moq_relay_core::announced::Announcement;
use moq_relay_core::model::consumer::TrackConsumer;
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::source::Source;
use tokio::time::{Instant, sleep};

use crate::net::{Host, Machine, Net, name, path};
use crate::world::{World, fully_linked, links, pass, read_group, soon, state, until, write_group};

/// What a node tells its users from now on.
struct Ear(moq_relay_core::announced::Announced);

impl Ear {
    fn new(node: &Machine) -> Self {
        let mut announced = node.cluster.relay().origin().announced(&path(""));
        while announced.try_next().is_some() {}
        Self(announced)
    }

    fn heard(&mut self) -> Vec<Announcement> {
        std::iter::from_fn(|| self.0.try_next()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_the_root_disturbs_nothing_that_is_linked() {
    let mut world = World::new();
    let (root, [a, b]) = world.cluster(["a", "b"]).await;
    let publisher = world.user(&a).await;
    let track = publisher.publish("demo");
    until("it is announced", || b.view() == ["demo"]).await;
    let reader = world.user(&b).await;
    let mut reader = reader.subscribe("demo");
    soon(reader.info()).await.expect("it is served");
    let mut ear = Ear::new(&b);
    root.die();
    for count in 0..30 {
        pass(1).await;
        write_group(&track, "tick");
        assert_eq!(read_group(&mut reader).await.0, count);
    }
    assert!(ear.heard().is_empty());
    assert!(fully_linked(&[&a, &b]));

    // One that appears meanwhile is found once a root is back, on another machine.
    let c = world.node("c");
    pass(20).await;
    assert!(links(&c).is_empty());
    let root = world.root();
    let took = until("all are linked", || fully_linked(&[&root, &a, &b, &c])).await;
    assert!(took < Duration::from_secs(12), "{took:?}");
    assert_eq!(c.view(), ["demo"]);
    assert_eq!(root.view(), ["demo"]);
    assert!(ear.heard().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nodes_that_the_new_root_does_not_know_are_not_dialled_for_ever() {
    let mut world = World::new();
    let (root, [a, b]) = world.cluster(["a", "b"]).await;
    root.die();
    b.die();
    pass(5).await;
    assert!(matches!(
        state(&a, "b"),
        Some(NodeState::Backoff { .. } | NodeState::Dialling)
    ));
    let root = world.root();
    until("they are linked", || fully_linked(&[&root, &a])).await;
    pass(1).await;
    assert_eq!(state(&a, "b"), None);
}

#[tokio::test(start_paused = true)]
async fn a_node_without_its_root_serves_its_users_and_joins_later() {
    let mut world = World::new();
    let a = world.node("a");
    let publisher = world.user(&a).await;
    let track = publisher.publish("demo");
    until("it is announced", || a.view() == ["demo"]).await;
    let reader = world.user(&a).await;
    let mut reader = reader.subscribe("demo");
    soon(reader.info()).await.expect("it is served");
    write_group(&track, "alone");
    assert_eq!(read_group(&mut reader).await.1, "alone");
    pass(60).await;
    let root = world.root();
    let took = until("it is linked", || fully_linked(&[&root, &a])).await;
    assert!(took < Duration::from_secs(11), "{took:?}");
    assert_eq!(root.view(), ["demo"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_goes_without_a_word_is_unannounced_once_and_comes_back() {
    let mut world = World::new();
    let (root, [a, b, c]) = world.cluster(["a", "b", "c"]).await;
    let publisher = world.user(&b).await;
    let _track = publisher.publish("from/b");
    until("it is announced", || {
        a.view() == ["from/b"] && c.view() == ["from/b"]
    })
    .await;
    let mut ears = [&root, &a, &c].map(Ear::new);
    b.die();
    let took = until("it is noticed", || {
        [&root, &a, &c].iter().all(|node| node.view().is_empty())
    })
    .await;
    assert!(took <= Duration::from_secs(4), "{took:?}");
    for ear in &mut ears {
        assert_eq!(ear.heard(), [Announcement::Ended(path("from/b"))]);
    }
    // Another machine takes over the name.
    let b = world.node("b");
    let took = until("all are linked", || fully_linked(&[&root, &a, &b, &c])).await;
    assert!(took < Duration::from_secs(11), "{took:?}");
    let _track = b
        .cluster
        .relay()
        .publish(path("from/b"), TrackInfo::default());
    until("it is announced", || {
        a.view() == ["from/b"] && c.view() == ["from/b"]
    })
    .await;
    for ear in &mut ears {
        assert_eq!(ear.heard(), [Announcement::Active(path("from/b"))]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_reborn_before_its_loss_was_noticed_takes_the_place_of_the_dead_one() {
    let mut world = World::new();
    let (root, [a, b]) = world.cluster(["a", "b"]).await;
    let _old = b
        .cluster
        .relay()
        .publish(path("old"), TrackInfo::default())
        .expect("the path is free");
    until("it is announced", || a.view() == ["old"]).await;
    b.die();
    let b = world.node("b");
    let _new = b.cluster.relay().publish(path("new"), TrackInfo::default());
    let took = until("the new one is known", || {
        a.view() == ["new"] && root.view() == ["new"]
    })
    .await;
    assert!(took < Duration::from_secs(4), "{took:?}");
    until("all are linked", || fully_linked(&[&root, &a, &b])).await;
    pass(30).await;
    assert!(fully_linked(&[&root, &a, &b]));
}

#[tokio::test(start_paused = true)]
async fn two_nodes_that_do_not_reach_each_other_heal_when_they_do() {
    let mut world = World::new();
    let (root, [a, b, c]) = world.cluster(["a", "b", "c"]).await;
    let all = [&root, &a, &b, &c];
    let tracks = all.map(|node| {
        let own = path(&format!("from/{}", node.name));
        node.cluster.relay().publish(own, TrackInfo::default())
    });
    let everything = ["from/a", "from/b", "from/c", "from/root"];
    until("all know all", || {
        all.iter().all(|node| node.view() == everything)
    })
    .await;
    world.net.set_cut("a", "b", true);
    until("it is noticed", || {
        a.view().len() == 3 && b.view().len() == 3
    })
    .await;
    pass(60).await;
    assert_eq!(a.view(), ["from/a", "from/c", "from/root"]);
    assert_eq!(b.view(), ["from/b", "from/c", "from/root"]);
    assert_eq!(c.view(), everything);
    world.net.set_cut("a", "b", false);
    let took = until("all know all", || {
        all.iter().all(|node| node.view() == everything)
    })
    .await;
    assert!(took < Duration::from_secs(16), "{took:?}");
    until("all are linked", || fully_linked(&all)).await;
    drop(tracks);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_accepts_and_never_answers_holds_nobody_up() {
    let mut world = World::new();
    let (root, [a, b]) = world.cluster(["a", "b"]).await;
    b.die();
    // Whoever has the name now tells the root, and reaches nobody else.
    let config = crate::net::config(Some("root"), Some("b"), 50);
    let mute = world.net.start("mute", config);
    world.net.put(&name("b"), Host::Mute);
    world.net.set_cut("mute", "a", true);
    let dials = |world: &World| {
        let dials = world.net.dials();
        let to_b = (name("a"), name("b"));
        dials.iter().filter(|dial| **dial == to_b).count()
    };
    let before = dials(&world);
    pass(120).await;
    assert!(matches!(
        state(&a, "b"),
        Some(NodeState::Backoff { .. } | NodeState::Dialling)
    ));
    let attempts = dials(&world) - before;
    assert!((7..20).contains(&attempts), "{attempts}");
    let c = world.node("c");
    until("others are linked", || {
        links(&a).len() == 2 && links(&c).iter().any(|(name, _)| name == "a")
    })
    .await;
    drop((root, mute));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_dies_in_the_middle_of_the_handshake_is_tried_again() {
    let mut world = World::new();
    for host in [Host::Mute, Host::Dying] {
        world.net.put(&name("root"), host);
        let a = world.node("a");
        pass(30).await;
        assert!(links(&a).is_empty());
        let failures = a.cluster.snapshot().failures_total;
        assert!((3..15).contains(&failures), "{failures}");
        let root = world.root();
        let took = until("it is linked", || fully_linked(&[&root, &a])).await;
        assert!(took < Duration::from_secs(16), "{took:?}");
        a.die();
        root.die();
    }
}

#[tokio::test(start_paused = true)]
async fn many_announcements_and_withdrawals_are_all_heard_and_none_twice() {
    let mut world = World::over(Net::with(Duration::from_millis(15)));
    let (root, [a, b]) = world.cluster(["a", "b"]).await;
    let mut tracks = std::collections::BTreeMap::new();
    let mut random = fastrand::Rng::with_seed(4);
    // 200 a second, for a minute.
    for _ in 0..200 * 60 {
        let own = format!("demo/{}", random.u32(..40));
        if tracks.remove(&own).is_none() {
            let track = a.cluster.relay().publish(path(&own), TrackInfo::default());
            tracks.insert(own, track.expect("the path is free"));
        }
        sleep(Duration::from_millis(5)).await;
    }
    let truth: Vec<_> = tracks.keys().map(|own| path(own).to_string()).collect();
    let mut expected: Vec<_> = truth.clone();
    expected.sort();
    let took = until("all know the truth", || {
        [&root, &a, &b].iter().all(|node| {
            let mut view = node.view();
            view.sort();
            view == expected
        })
    })
    .await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    for node in [&root, &b] {
        assert_eq!(node.cluster.relay().stats().announce_errors, 0);
    }
    tracks.clear();
    until("nothing is left", || {
        [&root, &a, &b].iter().all(|node| node.view().is_empty())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn subscriptions_fail_over_when_the_node_that_served_them_dies() {
    let mut world = World::new();
    let (_root, [a, b, c]) = world.cluster(["a", "b", "c"]).await;
    let tracks = publish_twice(&a, &b, &c).await;
    let user = world.user(&c).await;
    let mut reader = user.subscribe("twice");
    soon(reader.info()).await.expect("it is served");
    for track in &tracks {
        write_group(track, "0");
    }
    assert_eq!(read_group(&mut reader).await.0, 0);
    let serving = tracks.iter().position(|track| track.demand().is_some());
    let serving = serving.expect("one of them serves");
    let mut nodes = [Some(a), Some(b)];
    nodes[serving].take().expect("it is there").die();
    let mut ear = Ear::new(&c);
    let start = Instant::now();
    let mut seen = Vec::new();
    for count in 1..=10 {
        write_group(&tracks[1 - serving], &count.to_string());
        sleep(Duration::from_millis(500)).await;
    }
    while seen.len() < 10 {
        seen.push(read_group(&mut reader).await.0);
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=10).collect::<Vec<_>>());
    assert!(start.elapsed() < Duration::from_secs(6));
    assert!(ear.heard().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_withdraws_first_and_no_group_is_lost() {
    let mut world = World::over(Net::with(Duration::from_millis(10)));
    let (root, [a, b, c]) = world.cluster(["a", "b", "c"]).await;
    let tracks = publish_twice(&a, &b, &c).await;
    let user = world.user(&c).await;
    let mut reader = user.subscribe("twice");
    soon(reader.info()).await.expect("it is served");
    pass(1).await;
    let serving = tracks.iter().position(|track| track.demand().is_some());
    let leaving = [&a, &b][serving.expect("one of them serves")]
        .cluster
        .clone();
    let mut ear = Ear::new(&c);
    let leave = async {
        sleep(Duration::from_millis(3100)).await;
        let start = Instant::now();
        leaving.leave(Duration::from_secs(5)).await;
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
        leaving.relay().drain(Duration::from_secs(5)).await;
    };
    let (seen, (), ()) = tokio::join!(read_pairs(&mut reader), write_pairs(&tracks), leave);
    assert_eq!(seen, (0..GROUPS).collect::<Vec<_>>());
    assert!(ear.heard().is_empty());
    assert!(links(&root).len() == 2);
}

/// Publishes the same path at two nodes, and waits until the third one knows of it from both.
async fn publish_twice(a: &Machine, b: &Machine, c: &Machine) -> [TrackProducer; 2] {
    let tracks = [a, b].map(|node| {
        let track = node
            .cluster
            .relay()
            .publish(path("twice"), TrackInfo::default());
        track.expect("the path is free")
    });
    until("it is announced", || c.view() == ["twice"]).await;
    pass(1).await;
    tracks
}

const GROUPS: u64 = 20;

/// Writes groups of two frames, half a second each, to both tracks alike.
async fn write_pairs(tracks: &[TrackProducer; 2]) {
    for _ in 0..GROUPS {
        let begin = |track: &TrackProducer| track.append_group().expect("the track is live");
        let mut groups = tracks.each_ref().map(begin);
        for half in ["first", "second"] {
            for group in &mut groups {
                group.write_frame(half).expect("there is room");
            }
            sleep(Duration::from_millis(250)).await;
        }
        for group in groups {
            group.finish().expect("whole");
        }
    }
}

/// Reads as many whole groups, in order of arrival.
async fn read_pairs(reader: &mut TrackConsumer) -> Vec<u64> {
    let mut whole = Vec::new();
    for _ in 0..GROUPS {
        let group = soon(reader.next_group()).await.expect("it is live");
        let mut group = group.expect("it goes on");
        let mut frames = 0;
        while soon(group.next_frame()).await.expect("whole").is_some() {
            frames += 1;
        }
        assert_eq!(frames, 2, "{}", group.sequence());
        whole.push(group.sequence());
    }
    whole
}
