//! Relays that form a cluster, as processes.

use std::net::UdpSocket;
use std::time::Duration;

use moq_relay_core::announced::Announcement;
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::source::Source;
use moq_relay_core::tracks::Tracks;
use moq_transfork::path::Path;
use tokio::time::Instant;

use crate::client::{self, Client};
use crate::process::{Files, Process, fail, soon};

const SECRET: &str = "what the nodes of this test share\n";

/// A root and nodes on the loopback interface, with a certificate that all of them use.
pub(crate) struct Cluster {
    files: Files,
    pub(crate) cert: String,
    pub(crate) key: String,
    pub(crate) root: u16,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let files = Files::new();
        let (cert, key) = files.certificate("127.0.0.1");
        files.write("secret", SECRET);
        Self {
            files,
            cert,
            key,
            root: free_port(),
        }
    }

    /// Starts the root.
    pub(crate) async fn root(&self, proof: &[&str]) -> Process {
        self.start(self.root, proof).await
    }

    /// Starts a node.
    pub(crate) async fn node(&self, proof: &[&str]) -> (String, Process) {
        let port = free_port();
        let name = format!("127.0.0.1:{port}");
        let root = format!("127.0.0.1:{}", self.root);
        let flags = [
            &["--cluster-root", &root, "--cluster-node", &name][..],
            proof,
        ];
        let process = self.start(port, &flags.concat()).await;
        (name, process)
    }

    async fn start(&self, port: u16, flags: &[&str]) -> Process {
        let bind = format!("127.0.0.1:{port}");
        let tls = ["--tls-cert", &self.cert, "--tls-key", &self.key];
        let trust = ["--tls-root", &self.cert];
        Process::start_at(&bind, &[&tls[..], &trust, flags].concat()).await
    }

    pub(crate) fn secret(&self) -> [String; 2] {
        [
            "--cluster-secret-file".to_owned(),
            self.files.path("secret"),
        ]
    }

    fn certificates(&self) -> [String; 2] {
        ["--cluster-tls-root".to_owned(), self.cert.clone()]
    }
}

/// A port that nobody uses now.
pub(crate) fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

pub(crate) fn path(text: &str) -> Path {
    text.parse().unwrap()
}

async fn user(relay: &Process) -> (Client, Tracks) {
    let tracks = Tracks::default();
    (Client::new(client::raw(relay).await, &tracks).await, tracks)
}

fn write(track: &TrackProducer, frame: &str) {
    let mut group = track.append_group().unwrap();
    group.write_frame(frame.to_owned()).unwrap();
    group.finish().unwrap();
}

/// Waits until a user of this relay is told that a path ended.
async fn unannounced(user: &Client, gone: &str) -> Duration {
    let mut announced = user.peer.announced(&path(gone));
    let begun = Instant::now();
    let mut active = false;
    loop {
        match soon(announced.next()).await.expect("the session goes on") {
            Announcement::Active(_) => active = true,
            Announcement::Live if active => {}
            Announcement::Live | Announcement::Ended(_) => return begun.elapsed(),
        }
    }
}

/// Tracks flow between all of them, from any to any.
async fn flows(relays: &[&Process]) {
    for (index, from) in relays.iter().enumerate() {
        let (publisher, tracks) = user(from).await;
        let own = path(&format!("from/{index}"));
        let track = tracks.create(own.clone(), TrackInfo::default()).unwrap();
        for (count, to) in relays.iter().enumerate() {
            let (reader, _) = user(to).await;
            let mut reader = reader.subscribe(&own).await;
            soon(reader.info()).await.unwrap();
            write(&track, &format!("{count}"));
            let mut group = soon(reader.next_group()).await.unwrap().unwrap();
            while soon(group.next_frame()).await.unwrap() != Some(format!("{count}").into()) {
                group = soon(reader.next_group()).await.unwrap().unwrap();
            }
        }
        drop(publisher);
    }
}

#[tokio::test]
async fn three_relays_form_a_mesh_that_survives_its_root_and_the_death_of_a_node() {
    let cluster = Cluster::new();
    let secret = cluster.secret();
    let proof = secret.each_ref().map(String::as_str);
    let root = cluster.root(&proof).await;
    let (_, mut a) = cluster.node(&proof).await;
    let (b_name, b) = cluster.node(&proof).await;
    a.says(&format!("linked node={b_name}")).await;
    flows(&[&root, &a, &b]).await;

    root.signal("KILL").await;
    let (status, _) = root.end().await;
    assert_eq!(status.code(), None);
    flows(&[&a, &b]).await;
    let root = cluster.root(&proof).await;
    flows(&[&root, &a, &b]).await;

    let (publisher, tracks) = user(&b).await;
    let _track = tracks.create(path("from/b"), TrackInfo::default()).unwrap();
    let (reader, _) = user(&a).await;
    let _reading = reader.subscribe(&path("from/b")).await;
    b.signal("KILL").await;
    let took = unannounced(&reader, "from/b").await;
    assert!(took < Duration::from_secs(8), "{took:?}");
    drop(publisher);
}

#[tokio::test]
async fn certificates_prove_who_is_a_node() {
    let cluster = Cluster::new();
    let certificates = cluster.certificates();
    let proof = certificates.each_ref().map(String::as_str);
    let root = cluster.root(&proof).await;
    let (_, a) = cluster.node(&proof).await;
    let (_, b) = cluster.node(&proof).await;
    flows(&[&root, &a, &b]).await;
    // Clients have no certificate and are served all the same.
    let (reader, _) = user(&root).await;
    assert!(reader.peer.dialect().has_live());

    // One whose certificate is not the cluster's.
    let other = Cluster {
        root: cluster.root,
        ..Cluster::new()
    };
    let roots = ["--cluster-tls-root", &cluster.cert];
    let (_, mut stranger) = other.node(&roots).await;
    stranger.says("not linked").await;
}

#[tokio::test]
async fn a_node_without_the_secret_is_refused() {
    let cluster = Cluster::new();
    let secret = cluster.secret();
    let mut root = cluster.root(&secret.each_ref().map(String::as_str)).await;
    let other = cluster
        .files
        .write("other", "the secret of another cluster");
    let (name, mut stranger) = cluster.node(&["--cluster-secret-file", &other]).await;
    let line = root.says("refused").await;
    assert!(line.contains(&format!("node=\"{name}\"")), "{line}");
    let line = stranger.says("not linked").await;
    assert!(line.contains("unauthorized"), "{line}");
}

#[tokio::test]
async fn a_node_that_is_told_to_stop_withdraws_first() {
    let cluster = Cluster::new();
    let secret = cluster.secret();
    let proof = secret.each_ref().map(String::as_str);
    let _root = cluster.root(&proof).await;
    let (_, a) = cluster.node(&proof).await;
    let (_, b) = cluster.node(&proof).await;
    let (_publisher, tracks) = user(&b).await;
    let _track = tracks.create(path("from/b"), TrackInfo::default()).unwrap();
    let (reader, _) = user(&a).await;
    let _reading = reader.subscribe(&path("from/b")).await;
    b.signal("TERM").await;
    let took = unannounced(&reader, "from/b").await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    let (status, log) = b.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
}

#[tokio::test]
async fn cluster_flags_need_something_that_tells_who_is_a_node() {
    for flags in [["--cluster-root", "a"], ["--cluster-node", "a"]] {
        let (code, said) = fail(&[&["--dev"], &flags[..]].concat()).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("--cluster-secret-file"), "{said}");
    }
    let files = Files::new();
    let short = files.write("secret", "too short\n");
    let (code, said) = fail(&["--dev", "--cluster-secret-file", &short]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("at least 16 bytes"), "{said}");
}

#[tokio::test]
async fn an_open_cluster_is_warned_of() {
    let cluster = Cluster::new();
    let mut root = cluster.root(&["--cluster-open"]).await;
    let (name, mut node) = cluster.node(&["--cluster-open"]).await;
    node.says("anyone may act as a node").await;
    root.says(&format!("linked node={name}")).await;
}
