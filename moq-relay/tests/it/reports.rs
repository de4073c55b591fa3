//! What the relay tells of itself when asked.

use crate::client;
use crate::cluster::Cluster;
use crate::process::Process;

#[tokio::test]
async fn who_asks_is_told_the_counters() {
    let mut relay = Process::development(&[]).await;
    let _session = client::Client::new(client::raw(&relay).await, &Default::default()).await;
    relay.says("session begins").await;
    relay.signal("USR1").await;
    let line = relay.says("open now").await;
    assert!(line.contains(" sessions=1 nodes=0 "), "{line}");
    let line = relay.says("since the start").await;
    assert!(line.contains(" groups_delivered=0 "), "{line}");
}

#[tokio::test]
async fn who_asks_is_told_of_each_node() {
    let cluster = Cluster::new();
    let secret = cluster.secret();
    let proof = secret.each_ref().map(String::as_str);
    let mut root = cluster.root(&proof).await;
    let (name, mut node) = cluster.node(&proof).await;
    root.says(&format!("linked node={name}")).await;
    root.signal("USR1").await;
    let line = root.says(&format!(" node node={name} state=Linked")).await;
    assert!(line.contains(" dialled=false "), "{line}");
    assert!(line.contains(" announcements_received="), "{line}");
    let line = root.says(" cluster nodes=1 linked=1 ").await;
    assert!(line.contains("links_total=1 failures_total=0"), "{line}");

    root.signal("KILL").await;
    node.says("link lost").await;
    node.signal("USR1").await;
    let line = node.says(" node node=").await;
    assert!(line.contains("last_error="), "{line}");
}
