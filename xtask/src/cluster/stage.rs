//! A cluster as processes: its network, its relays, and the clients that watch them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::names::Node;
use super::net::{Kind, Net, PORT, Weather};
use super::said::open_links;
use super::watch::{Follower, Publisher, Reader};
use crate::cargo::Binaries;
use crate::cert;
use crate::process::{Launch, Line, Process, pause};
use crate::relay::listening;

/// How long a cluster may take to come up, and a client to be served.
const START: Duration = Duration::from_secs(30);

/// What relays log: the life of links, and every SUBSCRIBE they send.
const LOG: &str = "info,moq_relay_core::session::ingest::upstream=debug";

/// What a relay that had a bug hit prints.
const PANIC: &str = "panicked at";

/// Our programs.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    relay: PathBuf,
    pub(super) client: PathBuf,
    churn: PathBuf,
}

impl Programs {
    /// Finds them among what was built.
    ///
    /// # Errors
    /// Where one was not.
    pub(super) fn of(built: &Binaries) -> anyhow::Result<Self> {
        let path = |name| built.path(name).map(Path::to_owned);
        Ok(Self {
            relay: path("moq-relay")?,
            client: path("moq-test-client")?,
            churn: path("churn")?,
        })
    }
}

/// A cluster. Dropping it ends every process and removes its network.
pub(super) struct Stage {
    programs: Programs,
    relays: BTreeMap<Node, Process>,
    pub(super) net: Net,
    cert: cert::Files,
    secret: PathBuf,
    /// Dropped last: the processes use it.
    _folder: TempDir,
}

impl Stage {
    /// Makes the network, and nobody in it.
    ///
    /// # Errors
    /// Where that is not allowed.
    pub(super) fn new(programs: &Programs, kind: Kind, weather: Weather) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("moq-cluster-").context("no temporary folder")?;
        let net = Net::new(kind, weather, &programs.client)?;
        let (names, addresses) = net.identities();
        let cert = cert::write_for(folder.path(), names, addresses)?;
        let secret = folder.path().join("secret");
        fs::write(&secret, "what the nodes of this drill share\n")?;
        Ok(Self {
            programs: programs.clone(),
            relays: BTreeMap::new(),
            net,
            cert,
            secret,
            _folder: folder,
        })
    }

    /// Makes the network, and starts a root and two nodes that find each other.
    ///
    /// # Errors
    /// Where they do not.
    pub(super) async fn up(
        programs: &Programs,
        kind: Kind,
        weather: Weather,
    ) -> anyhow::Result<Self> {
        let mut stage = Self::new(programs, kind, weather)?;
        for node in Node::FIRST {
            stage.start(node).await?;
        }
        stage.whole(&Node::FIRST, START).await?;
        Ok(stage)
    }

    /// Starts a node's relay where its name leads, and waits until it listens.
    ///
    /// # Errors
    /// Where it does not.
    pub(super) async fn start(&mut self, node: Node) -> anyhow::Result<()> {
        self.launch(node).await?;
        listening(&self.relays[&node]).await?;
        Ok(())
    }

    /// Starts a node's relay and waits for nothing.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(super) async fn launch(&mut self, node: Node) -> anyhow::Result<()> {
        let machine = self.net.place(node);
        self.net.prepare(machine).await?;
        let bind = format!("{}:{PORT}", self.net.address(machine));
        let mut launch = self
            .net
            .launch(machine, node.short(), &self.programs.relay)
            .args(["--bind", &bind, "--tls-cert"])
            .args([&self.cert.cert])
            .args(["--tls-key"])
            .args([&self.cert.key])
            .args(["--tls-root"])
            .args([&self.cert.cert])
            .args(["--cluster-secret-file"])
            .args([&self.secret])
            .env("RUST_LOG", LOG)
            .env("NO_COLOR", "1");
        if node != Node::Root {
            let (root, own) = (self.net.name(Node::Root), self.net.name(node));
            launch = launch.args(["--cluster-root", &root, "--cluster-node", &own]);
        }
        self.relays.insert(node, launch.start()?);
        Ok(())
    }

    /// Sends a node's relay a signal.
    pub(super) fn signal(&self, node: Node, signal: Signal) {
        self.relays[&node].signal(signal);
    }

    /// Kills a node's relay: nobody hears of it.
    pub(super) fn kill(&mut self, node: Node) {
        self.relays.remove(&node);
    }

    /// Waits for a relay that was told to end, which has to do so in good order.
    ///
    /// # Errors
    /// Where it does not.
    pub(super) async fn ended(&mut self, node: Node) -> anyhow::Result<()> {
        let mut relay = self.relays.remove(&node).context("it is not there")?;
        let status = timeout(START, relay.wait()).await;
        let status = status.context("it did not end in time")??;
        ensure!(status.success(), "{node} ended with {status}");
        Ok(())
    }

    /// What a node's relay has logged so far.
    pub(super) fn said(&self, node: Node) -> Vec<Line> {
        let relay = self.relays.get(&node);
        relay.map_or_else(Vec::new, |relay| relay.log().all())
    }

    /// The nodes that are linked to a node, and by how many links.
    pub(super) fn links(&self, node: Node) -> BTreeMap<Node, usize> {
        let open = open_links(&self.said(node));
        let known = Node::ALL.into_iter();
        known
            .filter_map(|other| Some((other, *open.get(&self.net.name(other))?)))
            .collect()
    }

    /// Waits until each of these nodes has one link to each other one, and no others do.
    ///
    /// # Errors
    /// Where it takes longer than `limit`; the message says what is missing.
    pub(super) async fn whole(&self, nodes: &[Node], limit: Duration) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let is_whole = |node: &Node| {
            let links = self.links(*node);
            let others = nodes.iter().filter(|other| *other != node);
            links.len() == nodes.len() - 1
                && others.into_iter().all(|other| links.get(other) == Some(&1))
        };
        while !nodes.iter().all(is_whole) {
            if start.elapsed() >= limit {
                let links = nodes
                    .iter()
                    .map(|node| format!("{node}: {:?}", self.links(*node)));
                let links: Vec<_> = links.collect();
                bail!("not whole after {limit:?}: {}", links.join("; "));
            }
            pause().await;
        }
        Ok(start.elapsed())
    }

    /// Publishes groups that prove themselves at a node, and waits until it is at work. Whoever
    /// publishes the same path publishes the same.
    ///
    /// # Errors
    /// Where it cannot.
    pub(super) async fn publish(
        &self,
        node: Node,
        path: &str,
        kind: &[&str],
    ) -> anyhow::Result<Publisher> {
        let launch = self.client(node, "publisher", &["publish", "--load", "--stream=7"]);
        Publisher::start(launch.args(["--path", path]).args(kind)).await
    }

    /// Follows what a node announces.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(super) fn follow(&self, node: Node) -> anyhow::Result<Follower> {
        Follower::start(self.client(node, "follower", &["announced"]))
    }

    /// Reads a track at a node, from when it is announced there.
    ///
    /// # Errors
    /// Where nothing comes.
    pub(super) async fn read(&self, node: Node, path: &str) -> anyhow::Result<Reader> {
        let follower = self.follow(node)?;
        follower.active(path, START).await?;
        let launch = self.client(node, "subscriber", &["subscribe", "--hash", "--path", path]);
        Reader::start(launch).await
    }

    /// Prepares our client as one of a node's users.
    pub(super) fn client(&self, node: Node, name: &str, words: &[&str]) -> Launch {
        let machine = self.net.place(node);
        let launch = self.net.launch(machine, name, &self.programs.client);
        launch
            .args(["--format=json"])
            .args(self.way(node))
            .args(words)
    }

    /// Prepares what publishes and withdraws many tracks at a node.
    pub(super) fn churn(&self, node: Node) -> Launch {
        let machine = self.net.place(node);
        let launch = self.net.launch(machine, "churn", &self.programs.churn);
        launch.args(self.way(node)).fed()
    }

    /// Makes sure that no relay is gone, hit a bug, or was told an announcement twice.
    ///
    /// # Errors
    /// Where one is, did, or was.
    pub(super) async fn sound(&mut self) -> anyhow::Result<()> {
        for (node, relay) in &mut self.relays {
            ensure!(relay.is_running(), "the relay of {node} is gone");
            let log = relay.log();
            let asked = SystemTime::now();
            relay.signal(Signal::USR1);
            let told = log.find(|line| {
                let counters = line.at >= asked && line.text.contains("since the start");
                counters.then(|| line.text.clone())
            });
            let told = timeout(START, told).await.context("no counters")?;
            let told = told.with_context(|| format!("the relay of {node} is gone"))?;
            let is_right = told.contains("announce_errors=0");
            ensure!(is_right, "{node} was told nonsense: {told}");
            ensure!(!log.contains(PANIC), "the relay of {node} panicked");
        }
        Ok(())
    }

    /// The last lines of every relay, for a report.
    pub(super) fn tails(&self, lines: usize) -> String {
        let mut tails = String::new();
        for (node, relay) in &self.relays {
            let tail = relay.log().tail(lines).join("\n");
            tails.push_str(&format!("--- {node}\n{tail}\n"));
        }
        tails
    }

    fn way(&self, node: Node) -> [String; 2] {
        let address = self.net.address(self.net.place(node));
        [
            format!("--relay=moqf://{address}:{PORT}"),
            format!("--tls-root={}", self.cert.cert.display()),
        ]
    }
}

/// The time since a time.
pub(super) fn since(start: SystemTime) -> Duration {
    start.elapsed().unwrap_or_default()
}
