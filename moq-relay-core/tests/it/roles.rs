//! What clients and nodes are shown, and what becomes of what they announce.

use std::time::Duration;

use moq_relay_core::announced::Announcement;
use moq_relay_core::error::Error;
use moq_relay_core::origin::Locality;
use moq_relay_core::role::{NodeName, Role};
use moq_relay_core::source::{FetchRequest, Source};
use moq_relay_core::visit::{Admission, ServeOptions};
use moq_transfork::Dialect;
use moq_transfork::code::Code;
use moq_transfork::message::{Extensions, Priority};

use crate::world::{Client, World, next_group, path, published, read_group, soon, write_group};

fn node(name: &str) -> Role {
    Role::Node(name.parse().expect("a name"))
}

fn admit(role: Role) -> ServeOptions {
    let mut options = ServeOptions::default();
    options.doorkeeper = Box::new(|_| {
        Ok(Admission {
            role,
            answer: Extensions::default(),
        })
    });
    options
}

async fn client(world: &mut World) -> Client {
    world.client(Dialect::Draft03).await
}

async fn peer(world: &mut World, role: Role) -> Client {
    world.client_with(admit(role)).await
}

/// What a peer is told below a prefix until it is live.
async fn told(client: &Client, prefix: &str) -> Vec<String> {
    let mut announced = client.peer.announced(&path(prefix));
    let mut paths = Vec::new();
    while let Some(announcement) = soon(announced.next()).await {
        match announcement {
            Announcement::Active(path) => paths.push(path.to_string()),
            Announcement::Ended(path) => paths.retain(|known| *known != path.to_string()),
            Announcement::Live => return paths,
        }
    }
    vec!["refused".to_owned()]
}

#[tokio::test(start_paused = true)]
async fn what_comes_from_a_node_is_told_to_clients_and_not_to_nodes() {
    let mut world = World::new();
    let there = peer(&mut world, node("b")).await;
    let here = client(&mut world).await;
    let _remote = there.publish("from/b");
    let _local = here.publish("from/client");
    published(&world, "from/b").await;
    published(&world, "from/client").await;

    let other = peer(&mut world, node("c")).await;
    let member = peer(&mut world, Role::Member).await;
    let viewer = client(&mut world).await;
    assert_eq!(told(&other, "").await, ["from/client"]);
    assert_eq!(told(&member, "").await, ["from/client"]);
    assert_eq!(told(&viewer, "").await, ["from/b", "from/client"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_is_not_served_what_another_node_publishes() {
    let mut world = World::new();
    let there = peer(&mut world, node("b")).await;
    let _remote = there.publish("from/b");
    published(&world, "from/b").await;
    let other = peer(&mut world, node("c")).await;
    let reader = other.subscribe("from/b");
    assert_eq!(soon(reader.info()).await, Err(Error::Peer(Code::NOT_FOUND)));
}

#[tokio::test(start_paused = true)]
async fn what_a_member_announces_stays_there() {
    let mut world = World::new();
    let member = peer(&mut world, Role::Member).await;
    let here = client(&mut world).await;
    let _ignored = member.publish("from/member");
    let _local = here.publish("later");
    published(&world, "later").await;
    assert_eq!(told(&here, "").await, ["later"]);
}

#[tokio::test(start_paused = true)]
async fn nodes_are_shown_to_nodes_that_ask_for_them_and_only_by_their_own_word() {
    let mut world = World::new();
    let b = peer(&mut world, node("b")).await;
    let _own = b.publish("internal/origins/b");
    let _other = b.publish("internal/origins/elsewhere");
    let _public = b.publish("marker");
    published(&world, "marker").await;
    let c = peer(&mut world, node("c")).await;
    assert_eq!(told(&c, "internal/origins").await, ["internal/origins/b"]);
    assert!(told(&c, "").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_cluster_is_none_of_a_clients_business() {
    let mut world = World::new();
    let name: NodeName = "self".parse().expect("a name");
    let origin = world.relay.origin();
    let _own = origin.attach_node(&name, &Locality::Local);
    let client = client(&mut world).await;
    assert!(told(&client, "").await.is_empty());
    for prefix in ["internal", "internal/origins", "internal/origins/self"] {
        assert_eq!(told(&client, prefix).await, ["refused"], "{prefix}");
    }
    let own = path("internal/origins/self");
    let refused = Err(Error::Peer(Code::UNAUTHORIZED));
    let reader = client.subscribe("internal/origins/self");
    assert_eq!(soon(reader.info()).await.map(|_| ()), refused);
    assert_eq!(soon(client.peer.info(&own)).await.map(|_| ()), refused);
    let request = FetchRequest {
        path: own,
        priority: Priority::default(),
        group: 0,
        frame: 0,
    };
    let mut group = client.peer.fetch(&request).await.expect("it is asked");
    assert_eq!(soon(group.next_frame()).await.map(|_| ()), refused);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_announces_a_path_of_the_cluster_is_passed_over_and_counted() {
    let mut world = World::new();
    let mallory = client(&mut world).await;
    let _forged = mallory.publish("internal/origins/victim.example");
    let _other = mallory.publish("internal/else");
    let _honest = mallory.publish("marker");
    published(&world, "marker").await;
    assert_eq!(world.relay.stats().announcements_refused, 2);
    let b = peer(&mut world, node("b")).await;
    assert!(told(&b, "internal/origins").await.is_empty());
    assert_eq!(told(&b, "").await, ["marker"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_claim_is_believed_becomes_a_node() {
    let mut world = World::new();
    let here = client(&mut world).await;
    let there = peer(&mut world, node("c")).await;
    let _local = here.publish("local");
    let _remote = there.publish("remote");
    published(&world, "local").await;
    published(&world, "remote").await;

    let mut options = ServeOptions::default();
    options.claims = Some(Box::new(|name| Role::Node(name.clone())));
    let old = world.client_with_in(Dialect::Fork04, options).await;
    let mut announced = old.peer.announced(&path(""));
    let mut next = async || soon(announced.next()).await.expect("the session is open");
    assert_eq!(next().await, Announcement::Active(path("local")));
    assert_eq!(next().await, Announcement::Active(path("remote")));
    assert_eq!(next().await, Announcement::Live);
    let _before = old.publish("before");
    published(&world, "before").await;
    let _claim = old.publish("internal/origins/old:1");
    assert_eq!(next().await, Announcement::Active(path("before")));
    assert_eq!(next().await, Announcement::Ended(path("remote")));
    assert_eq!(next().await, Announcement::Ended(path("before")));
    // What it announced goes with it.
    assert_eq!(told(&there, "").await, ["local"]);
    assert_eq!(
        told(&there, "internal/origins").await,
        ["internal/origins/old:1"]
    );
    assert_eq!(told(&here, "").await, ["before", "local", "remote"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_peer_is_told_so() {
    let mut world = World::new();
    let mut options = ServeOptions::default();
    options.doorkeeper = Box::new(|_| Err(Error::Unauthorized));
    let refused = world.try_client(options).await;
    assert_eq!(refused.map(|_| ()), Err(Error::Peer(Code::UNAUTHORIZED)));
}

#[tokio::test(start_paused = true)]
async fn of_two_nodes_with_the_same_path_every_relay_chooses_the_same() {
    let mut choices = Vec::new();
    for order in [["b", "c"], ["c", "b"]] {
        let mut world = World::new();
        let mut peers = Vec::new();
        for name in order {
            let peer = peer(&mut world, node(name)).await;
            let track = peer.publish("twice");
            write_group(&track, &[name]);
            settle().await;
            peers.push((peer, track));
        }
        let viewer = client(&mut world).await;
        let group = next_group(&mut viewer.subscribe("twice")).await;
        choices.push(read_group(group).await.expect("whole"));
    }
    assert_eq!(choices[0], choices[1]);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_here_goes_before_any_node() {
    let mut world = World::new();
    let there = peer(&mut world, node("b")).await;
    let remote = there.publish("twice");
    write_group(&remote, &["remote"]);
    published(&world, "twice").await;
    let here = client(&mut world).await;
    let local = here.publish("twice");
    write_group(&local, &["local"]);
    settle().await;
    let viewer = client(&mut world).await;
    let group = next_group(&mut viewer.subscribe("twice")).await;
    assert_eq!(read_group(group).await.expect("whole"), ["local"]);
}

#[tokio::test(start_paused = true)]
async fn subscribers_move_to_another_node_and_miss_no_group_that_it_has() {
    let mut world = World::new();
    let nodes = [
        peer(&mut world, node("b")).await,
        peer(&mut world, node("c")).await,
    ];
    let tracks: Vec<_> = nodes.iter().map(|node| node.publish("twice")).collect();
    settle().await;
    let viewer = client(&mut world).await;
    let mut reader = viewer.subscribe("twice");
    tracks.iter().for_each(|track| write_group(track, &["0"]));
    assert_eq!(next_group(&mut reader).await.sequence(), 0);
    let serving = tracks
        .iter()
        .position(|track| track.demand().is_some())
        .expect("one node serves it");
    let staying = &tracks[1 - serving];
    for frame in ["1", "2", "3"] {
        write_group(staying, &[frame]);
    }
    assert!(staying.demand().is_none());
    nodes[serving].peer.close(Code::CANCEL, "bye").await;
    let mut sequences = Vec::new();
    while sequences.len() < 3 {
        let group = next_group(&mut reader).await;
        sequences.push(group.sequence());
        let frames = read_group(group).await.expect("whole");
        assert_eq!(frames, [sequences.last().expect("pushed").to_string()]);
    }
    sequences.sort_unstable();
    assert_eq!(sequences, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_relay_shows_nodes_nothing_and_clients_everything() {
    let mut world = World::new();
    let here = client(&mut world).await;
    let there = peer(&mut world, node("b")).await;
    let track = here.publish("local");
    published(&world, "local").await;
    let mut announced = there.peer.announced(&path(""));
    assert_eq!(
        soon(announced.next()).await,
        Some(Announcement::Active(path("local")))
    );
    assert_eq!(soon(announced.next()).await, Some(Announcement::Live));
    let mut reader = there.subscribe("local");
    write_group(&track, &["0"]);
    assert_eq!(next_group(&mut reader).await.sequence(), 0);

    world.relay.origin().withdraw();
    assert_eq!(
        soon(announced.next()).await,
        Some(Announcement::Ended(path("local")))
    );
    let _later = here.publish("later");
    published(&world, "later").await;
    assert!(told(&there, "").await.is_empty());
    assert_eq!(told(&here, "").await, ["later", "local"]);
    // What is subscribed to goes on.
    write_group(&track, &["1"]);
    assert_eq!(next_group(&mut reader).await.sequence(), 1);
}

/// Lets everything happen that is on its way.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[tokio::test(start_paused = true)]
async fn hearsay_serves_while_there_is_nothing_better_and_does_not_come_back() {
    let mut world = World::new();
    let mut options = ServeOptions::default();
    options.claims = Some(Box::new(|name| Role::Node(name.clone())));
    let old = world.client_with_in(Dialect::Fork04, options).await;
    let _claim = old.publish("internal/origins/old:1");
    let only = old.publish("only");
    published(&world, "only").await;
    write_group(&only, &["hearsay"]);
    let viewer = client(&mut world).await;
    let group = next_group(&mut viewer.subscribe("only")).await;
    assert_eq!(read_group(group).await.expect("whole"), ["hearsay"]);

    // What it only repeats ends with what it repeats, whoever was heard first.
    let there = peer(&mut world, node("b")).await;
    let first = there.publish("first");
    published(&world, "first").await;
    let _repeated = old.publish("first");
    let _early = old.publish("later");
    published(&world, "later").await;
    let later = there.publish("later");
    settle().await;
    assert_eq!(told(&viewer, "").await, ["first", "later", "only"]);
    drop((first, later));
    settle().await;
    assert_eq!(told(&viewer, "").await, ["only"]);
}
