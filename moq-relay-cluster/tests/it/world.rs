//! A cluster of a few nodes, and users around it.

use std::sync::Arc;
use std::time::Duration;

use moq_relay_cluster::config::Config;
use moq_relay_cluster::snapshot::NodeState;
use moq_relay_core::error::Error;
use moq_relay_core::limits::Limits;
use moq_relay_core::model::cache::Cache;
use moq_relay_core::model::consumer::TrackConsumer;
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::session::{self, ClientConfig, Peer};
use moq_relay_core::source::Source;
use moq_relay_core::tracks::Tracks;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::net::{Machine, Net, config, path};

/// Longer than anything in a test should take, on a clock that jumps.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often something is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// A network, and the tasks of the users in it.
pub(crate) struct World {
    pub(crate) net: Net,
    tasks: JoinSet<Result<(), Error>>,
    seed: u64,
}

/// A user of one node.
pub(crate) struct User {
    pub(crate) peer: Peer,
    pub(crate) tracks: Tracks,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::over(Net::new())
    }

    pub(crate) fn over(net: Net) -> Self {
        Self {
            net,
            tasks: JoinSet::new(),
            seed: 0,
        }
    }

    fn seed(&mut self) -> u64 {
        self.seed += 1;
        self.seed
    }

    /// Starts a root, which has no name of its own.
    pub(crate) fn root(&mut self) -> Machine {
        let seed = self.seed();
        self.net.start("root", config(None, None, seed))
    }

    /// Starts a node of the cluster.
    pub(crate) fn node(&mut self, name: &str) -> Machine {
        let seed = self.seed();
        self.net.start(name, config(Some("root"), Some(name), seed))
    }

    /// Starts a node that is told more.
    pub(crate) fn node_with(&mut self, name: &str, change: impl FnOnce(&mut Config)) -> Machine {
        let mut config = config(Some("root"), Some(name), self.seed());
        change(&mut config);
        self.net.start(name, config)
    }

    /// Starts a root and nodes, and waits until all are linked.
    pub(crate) async fn cluster<const N: usize>(
        &mut self,
        names: [&str; N],
    ) -> (Machine, [Machine; N]) {
        let root = self.root();
        let nodes = names.map(|name| self.node(name));
        let all: Vec<_> = nodes.iter().chain([&root]).collect();
        until("all are linked", || fully_linked(&all)).await;
        (root, nodes)
    }

    /// Connects a user to a node.
    pub(crate) async fn user(&mut self, node: &Machine) -> User {
        let transport = self.net.client(&node.name);
        let tracks = Tracks::new(Cache::default(), Limits::default());
        let mut client = ClientConfig::default();
        client.publish = Some(Arc::new(tracks.clone()));
        let connect = session::connect(transport, client);
        let (peer, driver) = soon(connect).await.expect("the node accepts");
        self.tasks.spawn(driver.run());
        User { peer, tracks }
    }
}

impl User {
    pub(crate) fn publish(&self, name: &str) -> TrackProducer {
        self.tracks
            .create(path(name), TrackInfo::default())
            .expect("the path is free")
    }

    pub(crate) fn subscribe(&self, name: &str) -> TrackConsumer {
        self.peer
            .track(&path(name), Subscription::default())
            .expect("the session is open")
    }
}

/// The links that a node has: with whom, and whether they are live.
pub(crate) fn links(node: &Machine) -> Vec<(String, bool)> {
    let mut links = Vec::new();
    for other in node.cluster.snapshot().nodes {
        let live = other.links.iter().map(|link| link.live);
        links.extend(live.map(|live| (other.name.to_string(), live)));
    }
    links
}

/// True if each of these has exactly one live link to each other.
pub(crate) fn fully_linked(nodes: &[&Machine]) -> bool {
    nodes.iter().all(|node| {
        let links = links(node);
        links.len() == nodes.len() - 1 && links.iter().all(|(_, live)| *live)
    })
}

/// What one node thinks of its link to another.
pub(crate) fn state(node: &Machine, other: &str) -> Option<NodeState> {
    let nodes = node.cluster.snapshot().nodes;
    let found = nodes.iter().find(|node| node.name.as_str() == other);
    found.map(|node| node.state)
}

/// Waits until something holds, and returns how long that took.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        sleep(LOOK).await;
    }
    start.elapsed()
}

/// Fails the test instead of waiting for ever.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .expect("something that should happen did not")
}

/// Lets so much time pass.
pub(crate) async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

/// Writes a group of one frame.
pub(crate) fn write_group(track: &TrackProducer, frame: &str) {
    let mut group = track.append_group().expect("the track is live");
    group.write_frame(frame.to_owned()).expect("there is room");
    group.finish().expect("whole");
}

/// Reads the next group: its number and its only frame.
pub(crate) async fn read_group(track: &mut TrackConsumer) -> (u64, String) {
    let next = soon(track.next_group()).await.expect("the track is live");
    let mut group = next.expect("the track goes on");
    let frame = soon(group.next_frame()).await.expect("the group is whole");
    let text = String::from_utf8_lossy(&frame.expect("it has a frame")).into_owned();
    (group.sequence(), text)
}
