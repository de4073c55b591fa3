//! Who is let in.

use std::time::Duration;

use moq_relay_cluster::auth::{Auth, Secret};
use moq_relay_cluster::snapshot::NodeState;

use crate::net::config;
use crate::world::{World, links, pass, state, until};

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_prove_itself_is_refused_and_keeps_trying() {
    let mut world = World::new();
    let (root, [a]) = world.cluster(["a"]).await;
    let stranger = world.node_with("stranger", |config| {
        config.auth.secret = Some(Secret::new(b"the secret of another cluster").expect("long"));
    });
    pass(60).await;
    assert!(links(&stranger).is_empty());
    assert!(matches!(
        state(&stranger, "root"),
        Some(NodeState::Backoff { .. } | NodeState::Dialling)
    ));
    assert_eq!((links(&root).len(), links(&a).len()), (1, 1));
    let error = stranger.cluster.snapshot().nodes[0].last_error.clone();
    assert!(error.is_some_and(|error| error.contains("unauthorized")));
}

#[tokio::test(start_paused = true)]
async fn a_node_does_not_join_a_root_that_cannot_prove_itself() {
    let mut world = World::new();
    let mut open = config(None, None, 5);
    open.auth = Auth::default();
    open.auth.open = true;
    let root = world.net.start("root", open);
    let a = world.node("a");
    pass(60).await;
    assert!(links(&a).is_empty());
    assert!(links(&root).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_was_told_of_no_cluster_is_no_root() {
    let mut world = World::new();
    let mut plain = config(None, None, 5);
    plain.auth = Auth::default();
    let _root = world.net.start("root", plain);
    let a = world.node("a");
    pass(60).await;
    assert!(links(&a).is_empty());
    assert!(a.cluster.snapshot().failures_total >= 5);
}

#[tokio::test(start_paused = true)]
async fn an_open_cluster_links_without_proof() {
    let world = World::new();
    let open = |root: Option<&str>, node: Option<&str>, seed| {
        let mut config = config(root, node, seed);
        config.auth = Auth::default();
        config.auth.open = true;
        config
    };
    let root = world.net.start("root", open(None, None, 1));
    let a = world.net.start("a", open(Some("root"), Some("a"), 2));
    let b = world.net.start("b", open(Some("root"), Some("b"), 3));
    until("all are linked", || {
        [&root, &a, &b].iter().all(|node| links(node).len() == 2)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dials_itself_finds_out() {
    let world = World::new();
    // Its root is the name by which it can be reached itself.
    let lonely = world
        .net
        .start("root", config(Some("root"), Some("me.example"), 3));
    pass(30).await;
    assert!(links(&lonely).is_empty());
    let nodes = lonely.cluster.snapshot().nodes;
    let error = nodes[0].last_error.clone().expect("it says so");
    assert!(error.contains("itself"), "{error}");
    assert!(world.net.dials().len() < 10);
}

#[tokio::test(start_paused = true)]
async fn a_second_node_of_the_same_name_is_told_off_by_the_first() {
    let mut world = World::new();
    let (_root, [a, b]) = world.cluster(["a", "b"]).await;
    // A machine elsewhere that believes it is a.
    let twin = world
        .net
        .start("elsewhere", config(Some("root"), Some("a"), 1234));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(links(&b).iter().filter(|(name, _)| name == "a").count() <= 2);
    drop((a, twin));
}
