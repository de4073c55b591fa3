//! What the relay tells of itself when asked by a signal: its counters, and the nodes it knows.

use std::convert::Infallible;

use moq_relay_cluster::cluster::Cluster;
use moq_relay_cluster::snapshot::{NodeSnapshot, NodeState};
use moq_relay_core::stats::Snapshot;
use tracing::info;

use crate::cluster::QuicDial;
use crate::signals::Requests;

/// Logs what there is to tell of a relay each time somebody asks. Cancel-safe.
pub async fn run(cluster: &Cluster<QuicDial>, mut requests: Requests) -> Infallible {
    loop {
        requests.next().await;
        log(cluster);
    }
}

/// Logs what is open, what was done since the start, and a line for each other node that is linked
/// or wanted.
fn log(cluster: &Cluster<QuicDial>) {
    log_counters(&cluster.relay().stats());
    let snapshot = cluster.snapshot();
    for node in &snapshot.nodes {
        log_node(node);
    }
    if !snapshot.nodes.is_empty() {
        let linked = |node: &&NodeSnapshot| node.state == NodeState::Linked;
        info!(
            nodes = snapshot.nodes.len(),
            linked = snapshot.nodes.iter().filter(linked).count(),
            links_total = snapshot.links_total,
            failures_total = snapshot.failures_total,
            "cluster"
        );
    }
}

fn log_counters(counters: &Snapshot) {
    let Snapshot {
        sessions,
        nodes,
        announced,
        subscriptions,
        upstreams,
        cache_bytes,
        groups_received,
        groups_cut,
        groups_delivered,
        groups_given_up,
        bytes_received,
        bytes_delivered,
        announcements_received,
        announcements_sent,
        announcements_refused,
        announce_errors,
        ..
    } = counters;
    info!(
        sessions,
        nodes, announced, subscriptions, upstreams, cache_bytes, "open now"
    );
    info!(
        sessions = counters.sessions_total,
        subscriptions = counters.subscriptions_total,
        upstreams = counters.upstreams_total,
        fetches = counters.fetches_total,
        groups_received,
        groups_cut,
        groups_delivered,
        groups_given_up,
        bytes_received,
        bytes_delivered,
        announcements_received,
        announcements_sent,
        announcements_refused,
        announce_errors,
        "since the start"
    );
}

fn log_node(node: &NodeSnapshot) {
    let NodeSnapshot {
        name,
        state,
        last_error,
        links,
        ..
    } = node;
    let last_error = last_error.as_deref();
    if links.is_empty() {
        info!(node = %name, ?state, last_error, "node");
    }
    for link in links {
        info!(
            node = %name,
            ?state,
            live = link.live,
            dialled = link.dialled,
            dialect = %link.dialect,
            age = ?link.age,
            announcements_received = link.announcements.received,
            announcements_sent = link.announcements.sent,
            last_error,
            "node"
        );
    }
}
