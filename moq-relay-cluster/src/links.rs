//! The table of nodes: which are linked, by which links, and which of two links is kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moq_relay_core::role::NodeName;
use moq_relay_core::session::Peer;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::snapshot::{LinkSnapshot, NodeSnapshot, NodeState, Snapshot};

/// The table of nodes that are linked or wanted.
#[derive(Debug)]
pub(crate) struct Links {
    own: Option<NodeName>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    nodes: BTreeMap<NodeName, Node>,
    next_id: u64,
    failures: u64,
}

#[derive(Debug)]
struct Node {
    /// In order of their making.
    links: Vec<Link>,
    pursuit: Pursuit,
    last_error: Option<String>,
    /// True while there is a link.
    linked: watch::Sender<bool>,
}

#[derive(Debug)]
struct Link {
    id: u64,
    dialled: bool,
    instance: Option<u64>,
    since: Instant,
    live: bool,
    peer: Peer,
    retire: CancellationToken,
}

/// What is done to link a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pursuit {
    Waiting,
    Dialling,
    Until(Instant),
    /// Nothing: it is linked, or not wanted.
    None,
}

/// What is known of the other side of a link.
#[derive(Debug, Clone)]
pub(crate) struct Other {
    pub(crate) name: NodeName,
    /// Tells one process from the next of the same name. Relays of the forks do not say.
    pub(crate) instance: Option<u64>,
    pub(crate) dialled: bool,
}

/// Keeps a link in the table.
#[derive(Debug)]
pub(crate) struct Registered {
    links: Arc<Links>,
    pub(crate) name: NodeName,
    id: u64,
    /// Cancelled when another link took the place of this one.
    pub(crate) retire: CancellationToken,
}

impl Links {
    pub(crate) fn new(own: Option<NodeName>) -> Arc<Self> {
        Arc::new(Self {
            own,
            state: Mutex::default(),
        })
    }

    /// Adds a link that is set up.
    pub(crate) fn register(self: &Arc<Self>, other: &Other, peer: Peer) -> Registered {
        let retire = CancellationToken::new();
        let mut state = self.lock();
        state.next_id += 1;
        let id = state.next_id;
        let dialect = peer.dialect();
        let node = state.node(&other.name);
        node.links.push(Link {
            id,
            dialled: other.dialled,
            instance: other.instance,
            since: Instant::now(),
            live: false,
            peer,
            retire: retire.clone(),
        });
        node.pursuit = Pursuit::None;
        node.linked.send_replace(true);
        info!(node = %other.name, dialled = other.dialled, %dialect, "linked");
        Registered {
            links: self.clone(),
            name: other.name.clone(),
            id,
            retire,
        }
    }

    /// Tells whether a node is linked, now and later.
    pub(crate) fn linked(&self, name: &NodeName) -> watch::Receiver<bool> {
        self.lock().node(name).linked.subscribe()
    }

    /// Notes what is done to link a node.
    pub(crate) fn pursue(&self, name: &NodeName, pursuit: Pursuit) {
        self.lock().node(name).pursuit = pursuit;
    }

    /// Notes that an attempt failed.
    pub(crate) fn failed(&self, name: &NodeName, error: String) {
        let mut state = self.lock();
        state.failures += 1;
        state.node(name).last_error = Some(error);
    }

    /// Forgets a node that is not wanted any more, unless it is linked.
    pub(crate) fn forget(&self, name: &NodeName) {
        let mut state = self.lock();
        let node = state.node(name);
        node.pursuit = Pursuit::None;
        if node.links.is_empty() {
            state.nodes.remove(name);
        }
    }

    /// The peers of all links.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        let state = self.lock();
        let links = state.nodes.values().flat_map(|node| &node.links);
        links.map(|link| link.peer.clone()).collect()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        let state = self.lock();
        let nodes = state.nodes.iter();
        Snapshot {
            nodes: nodes
                .filter(|(_, node)| !node.links.is_empty() || node.pursuit != Pursuit::None)
                .map(|(name, node)| node.snapshot(name, now))
                .collect(),
            links_total: state.next_id,
            failures_total: state.failures,
        }
    }

    /// Decides which of several links to a node is kept, and has the others retired.
    fn settle(&self, node: &Node, name: &NodeName) {
        let Some(instance) = node.links.last().map(|link| link.instance) else {
            return;
        };
        let own_dials = self.own.as_ref().is_some_and(|own| own < name);
        // Both sides come to the same: the process that is there now, then the one that the
        // smaller name has dialled, then the newest.
        let worth = |link: &Link| {
            let current = link.instance == instance;
            (current, link.dialled == own_dials, link.id)
        };
        let open = |link: &&Link| !link.retire.is_cancelled();
        let live = node.links.iter().filter(open).filter(|link| link.live);
        let Some(best) = live.max_by_key(|link| worth(link)).map(worth) else {
            return;
        };
        for link in node.links.iter().filter(open) {
            let is_old = best.0 && link.instance != instance;
            if worth(link) < best && (link.live || is_old) {
                info!(node = %name, dialled = link.dialled, "another link took over");
                link.retire.cancel();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn node(&mut self, name: &NodeName) -> &mut Node {
        self.nodes.entry(name.clone()).or_insert_with(|| Node {
            links: Vec::new(),
            pursuit: Pursuit::None,
            last_error: None,
            linked: watch::Sender::new(false),
        })
    }
}

impl Node {
    fn snapshot(&self, name: &NodeName, now: Instant) -> NodeSnapshot {
        let state = match self.pursuit {
            // Whatever was planned before.
            _ if !self.links.is_empty() => NodeState::Linked,
            Pursuit::None => NodeState::Linked,
            Pursuit::Waiting => NodeState::Waiting,
            Pursuit::Dialling => NodeState::Dialling,
            Pursuit::Until(at) => NodeState::Backoff {
                remaining: at.saturating_duration_since(now),
            },
        };
        let links = self.links.iter().map(|link| LinkSnapshot {
            dialled: link.dialled,
            live: link.live,
            age: now.saturating_duration_since(link.since),
            dialect: link.peer.dialect(),
            announcements: link.peer.announcements(),
        });
        NodeSnapshot {
            name: name.clone(),
            state,
            last_error: self.last_error.clone(),
            links: links.collect(),
        }
    }
}

impl Registered {
    /// Everything published there is known here: links that this one replaces may go.
    pub(crate) fn set_live(&self) {
        let mut state = self.links.lock();
        let Some(node) = state.nodes.get_mut(&self.name) else {
            return;
        };
        if let Some(link) = node.links.iter_mut().find(|link| link.id == self.id) {
            link.live = true;
        }
        self.links.settle(node, &self.name);
    }

    /// Takes the link out of the table, with the reason.
    pub(crate) fn end(self, error: Option<String>) {
        let mut state = self.links.lock();
        let Some(node) = state.nodes.get_mut(&self.name) else {
            return;
        };
        let age = node
            .links
            .iter()
            .find(|link| link.id == self.id)
            .map_or(Duration::ZERO, |link| link.since.elapsed());
        match &error {
            Some(error) => info!(node = %self.name, ?age, %error, "link lost"),
            None => info!(node = %self.name, ?age, "link closed"),
        }
        if error.is_some() {
            node.last_error = error;
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut state = self.links.lock();
        let Some(node) = state.nodes.get_mut(&self.name) else {
            return;
        };
        node.links.retain(|link| link.id != self.id);
        let is_linked = !node.links.is_empty();
        node.linked.send_replace(is_linked);
        // Nobody wants it and nobody waits for it.
        if !is_linked && node.linked.receiver_count() == 0 {
            state.nodes.remove(&self.name);
        }
    }
}
