//! Clusters with the published relay 0.6.19 in them, which `cargo xtask interop` installs; it also
//! runs these tests, each as a case of its own.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]
#![expect(dead_code, reason = "other tests use more of what is shared")]

#[path = "../it/client.rs"]
mod client;
#[path = "../it/cluster.rs"]
mod cluster;
#[path = "../it/process.rs"]
mod process;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use moq_relay::session::Session;
use moq_relay::tls::trust::Trust;
use moq_relay::tls::{ALPN_RAW, provider};
use moq_relay::transport::{Congestion, client_config};
use moq_relay_core::announced::Announcement;
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::model::track::TrackInfo;
use moq_relay_core::session::ClientConfig;
use moq_relay_core::source::Source;
use moq_relay_core::tracks::Tracks;
use moq_transfork::Dialect;
use moq_transfork::path::Path;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::client::{Client, endpoint};
use crate::cluster::{Cluster, free_port, path};
use crate::process::{Process, soon};

/// The announcements that a relay still makes are gathered for so long.
const QUIET: Duration = Duration::from_millis(500);

/// A user of one of the relays, in the dialect that all of them speak.
struct User {
    client: Client,
    tracks: Tracks,
}

impl User {
    async fn new(port: u16) -> Self {
        let _provider = provider();
        let tls = Trust::Anyone.client_config(&ALPN_RAW).unwrap();
        let config = client_config(tls, Congestion::Cubic);
        let addr = ([127, 0, 0, 1], port).into();
        let conn = endpoint().connect_with(config, addr, "localhost").unwrap();
        let session = Session::raw(soon(conn).await.unwrap());
        let tracks = Tracks::default();
        let mut config = ClientConfig::default();
        config.dialects = vec![Dialect::Fork02];
        let client = Client::with(session, &tracks, config).await;
        Self { client, tracks }
    }

    /// The users' paths that are announced.
    async fn told(&self) -> Vec<Path> {
        let mut announced = self.client.peer.announced(&path(""));
        let mut paths = Vec::new();
        while let Ok(Some(news)) = timeout(QUIET, announced.next()).await {
            match news {
                Announcement::Active(path) if path.parts().next() == Some("from") => {
                    paths.push(path);
                }
                Announcement::Ended(path) => paths.retain(|known| *known != path),
                Announcement::Active(_) | Announcement::Live => {}
            }
        }
        paths
    }
}

/// Where `cargo xtask interop` keeps the published programs.
fn peers() -> PathBuf {
    if let Some(peers) = std::env::var_os("MOQ_PEERS_DIR") {
        return peers.into();
    }
    let home = PathBuf::from(std::env::var_os("HOME").expect("a home"));
    home.join(".cache/moq-relay/peers")
}

/// Starts the published relay. Dropping it kills it.
async fn published(cluster: &Cluster, port: u16, flags: &[&str]) -> Child {
    let program = peers().join("moq-relay-0.6.19/bin/moq-relay");
    let bind = format!("127.0.0.1:{port}");
    let tls = ["--tls-cert", &cluster.cert, "--tls-key", &cluster.key];
    let child = Command::new(program)
        .args(["--bind", &bind, "--tls-disable-verify"])
        .args(tls)
        .args(flags)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("it is installed");
    sleep(Duration::from_millis(500)).await;
    child
}

/// Tracks flow from each to each, and once they are withdrawn nothing is left of them at `ours`.
async fn flows(all: &[u16], ours: &[u16]) {
    for from in all {
        let publisher = User::new(*from).await;
        let own = path(&format!("from/{from}"));
        let track = publisher.tracks.create(own.clone(), TrackInfo::default());
        let track = track.unwrap();
        for to in all {
            let user = User::new(*to).await;
            let mut reader = user.client.subscribe(&own).await;
            soon(reader.info()).await.unwrap();
            let mut group = track.append_group().unwrap();
            group.write_frame(format!("to {to}")).unwrap();
            group.finish().unwrap();
            let sequence = track_newest(&track);
            let mut group = soon(reader.next_group()).await.unwrap().unwrap();
            while group.sequence() != sequence {
                group = soon(reader.next_group()).await.unwrap().unwrap();
            }
            let frame = soon(group.next_frame()).await.unwrap().unwrap();
            assert_eq!(frame, format!("to {to}"), "from {from}");
        }
        track.finish();
        sleep(Duration::from_secs(1)).await;
        for to in ours {
            let left = User::new(*to).await.told().await;
            assert!(left.is_empty(), "at {to}: {left:?}");
        }
    }
}

fn track_newest(track: &moq_relay_core::model::track::TrackProducer) -> u64 {
    let reader = track.consume(Subscription::default()).unwrap();
    reader.latest().unwrap()
}

#[tokio::test]
async fn the_published_relay_is_a_node_of_our_root() {
    let cluster = Cluster::new();
    let open = ["--cluster-open"];
    let _root = cluster.root(&open).await;
    let (name, mut node) = cluster.node(&open).await;
    let port = free_port();
    let root = format!("127.0.0.1:{}", cluster.root);
    let own = format!("127.0.0.1:{port}");
    let flags = ["--cluster-root", &root, "--cluster-node", &own];
    let _published = published(&cluster, port, &flags).await;
    node.says(&format!("linked node={own}")).await;
    let ours = [
        cluster.root,
        name.rsplit_once(':').unwrap().1.parse().unwrap(),
    ];
    flows(&[&ours[..], &[port]].concat(), &ours).await;
}

#[tokio::test]
async fn the_published_relay_is_the_root_of_our_nodes() {
    let cluster = Cluster::new();
    let open = ["--cluster-open"];
    let _root = published(&cluster, cluster.root, &[]).await;
    let nodes: [(String, Process); 2] = [cluster.node(&open).await, cluster.node(&open).await];
    sleep(Duration::from_secs(2)).await;
    let port = |name: &str| name.rsplit_once(':').unwrap().1.parse().unwrap();
    let ours = nodes.each_ref().map(|(name, _)| port(name));
    flows(&[&[cluster.root][..], &ours].concat(), &ours).await;
}
