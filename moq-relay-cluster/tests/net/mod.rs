//! A network in memory, for tests and simulations: hosts by name, cut cables, dead machines.

#![allow(
    dead_code,
    reason = "each program that includes this uses a part of it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moq_relay_cluster::auth::{Auth, Secret};
use moq_relay_cluster::cluster::Cluster;
use moq_relay_cluster::config::Config;
use moq_relay_cluster::dial::{Dial, DialError, Dialled, Visitor};
use moq_relay_core::memory;
use moq_relay_core::relay::{Relay, RelayConfig};
use moq_relay_core::role::NodeName;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Sessions that wait to be accepted by a host.
const BACKLOG: usize = 4096;

/// A network in memory. Clones are the same network.
#[derive(Clone, Default)]
pub(crate) struct Net {
    shared: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    hosts: BTreeMap<NodeName, Host>,
    /// Pairs of hosts without a way between them.
    cut: BTreeSet<(NodeName, NodeName)>,
    cables: Vec<Cable>,
    /// Who dialled whom, in order.
    dials: Vec<(NodeName, NodeName)>,
    link: memory::Config,
}

/// What is behind a name.
#[derive(Clone)]
pub(crate) enum Host {
    /// A relay.
    Up(mpsc::Sender<memory::Session>),
    /// Something that accepts and never says a word.
    Mute,
    /// Something that accepts and goes away in the middle of the handshake.
    Dying,
}

struct Cable {
    ends: [NodeName; 2],
    session: memory::Session,
}

/// A relay in the network, and everything that runs on its machine.
pub(crate) struct Machine {
    pub(crate) name: NodeName,
    pub(crate) cluster: Cluster<NetDial>,
    net: Net,
    _tasks: JoinSet<()>,
}

/// Dials from a machine.
pub(crate) struct NetDial {
    net: Net,
    from: NodeName,
}

impl Net {
    /// Makes a network whose links fail as quickly as real ones do.
    pub(crate) fn new() -> Self {
        Self::with(Duration::ZERO)
    }

    /// Makes a network in which everything takes this long from one end to the other.
    pub(crate) fn with(delay: Duration) -> Self {
        let net = Self::default();
        net.lock().link = memory::Config {
            max_bi_streams: 10_000,
            max_uni_streams: 10_000,
            delay,
            idle: Some(Duration::from_secs(3)),
            ..memory::Config::default()
        };
        net
    }

    /// Starts a relay, reachable by `name`.
    pub(crate) fn start(&self, name: &str, config: Config) -> Machine {
        self.start_with(name, config, RelayConfig::default())
    }

    pub(crate) fn start_with(&self, name: &str, config: Config, relay: RelayConfig) -> Machine {
        let name = self::name(name);
        let dial = NetDial {
            net: self.clone(),
            from: name.clone(),
        };
        let cluster = Cluster::new(Relay::new(relay), config, dial);
        let (door, mut visitors) = mpsc::channel(BACKLOG);
        self.put(&name, Host::Up(door));
        let mut tasks = JoinSet::new();
        let running = cluster.clone();
        tasks.spawn(async move { running.run().await });
        let serving = cluster.clone();
        tasks.spawn(async move {
            let mut sessions = JoinSet::new();
            loop {
                tokio::select! {
                    biased;
                    Some(_ended) = sessions.join_next() => {}
                    visitor = visitors.recv() => {
                        let Some(session) = visitor else { return };
                        let cluster = serving.clone();
                        let visit = async move {
                            let _end = cluster.serve(session, Visitor::default()).await;
                        };
                        sessions.spawn(visit);
                    }
                }
            }
        });
        Machine {
            name,
            cluster,
            net: self.clone(),
            _tasks: tasks,
        }
    }

    /// Puts something behind a name.
    pub(crate) fn put(&self, name: &NodeName, host: Host) {
        self.lock().hosts.insert(name.clone(), host);
    }

    /// Makes a host reachable by another name too.
    pub(crate) fn alias(&self, alias: &str, host: &str) {
        let mut state = self.lock();
        let host = state.hosts.get(&name(host)).cloned().expect("it is there");
        state.hosts.insert(name(alias), host);
    }

    /// Takes the way between two hosts away, or gives it back.
    pub(crate) fn set_cut(&self, a: &str, b: &str, is_cut: bool) {
        let pair = pair(&name(a), &name(b));
        let mut state = self.lock();
        if is_cut {
            let ends = &[pair.0.clone(), pair.1.clone()];
            state.cables.retain(|cable| {
                let hit = ends.iter().all(|end| cable.ends.contains(end));
                if hit {
                    cable.session.cut();
                }
                !hit
            });
            state.cut.insert(pair);
        } else {
            state.cut.remove(&pair);
        }
    }

    /// Who dialled whom, in order.
    pub(crate) fn dials(&self) -> Vec<(NodeName, NodeName)> {
        self.lock().dials.clone()
    }

    /// Reaches a host as a client does.
    pub(crate) fn client(&self, host: &NodeName) -> memory::Session {
        let mut state = self.lock();
        let (client, server) = memory::pair(state.link.clone());
        let Some(Host::Up(door)) = state.hosts.get(host).cloned() else {
            panic!("nobody is there");
        };
        let ends = [name("client"), host.clone()];
        let session = client.clone();
        state.cables.push(Cable { ends, session });
        door.try_send(server).expect("there is room");
        client
    }

    /// Lets a machine fall silent for good.
    fn silence(&self, name: &NodeName) {
        let mut state = self.lock();
        state.cables.retain(|cable| {
            let hit = cable.ends.contains(name);
            if hit {
                cable.session.cut();
            }
            !hit
        });
        state.hosts.remove(name);
    }

    fn connect(
        &self,
        from: &NodeName,
        to: &NodeName,
    ) -> Result<Option<memory::Session>, DialError> {
        let mut state = self.lock();
        state.dials.push((from.clone(), to.clone()));
        if state.cut.contains(&pair(from, to)) {
            return Ok(None);
        }
        let Some(host) = state.hosts.get(to).cloned() else {
            return Err(DialError("nobody is there".into()));
        };
        let (client, server) = memory::pair(state.link.clone());
        let ends = [from.clone(), to.clone()];
        let session = server.clone();
        match host {
            Host::Up(door) => door
                .try_send(server)
                .map_err(|error| DialError(Box::new(error)))?,
            // Kept with its cable.
            Host::Mute => {}
            Host::Dying => server.cut(),
        }
        state.cables.push(Cable { ends, session });
        Ok(Some(client))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Machine {
    /// The machine loses its power: nobody hears of it.
    pub(crate) fn die(self) {
        self.net.silence(&self.name);
    }

    /// The machine is switched off in good order: its sessions are closed.
    pub(crate) fn stop(self) {
        self.net.lock().hosts.remove(&self.name);
    }

    /// The paths that users of this node see, sorted.
    pub(crate) fn view(&self) -> Vec<String> {
        use moq_relay_core::announced::Announcement;
        use moq_relay_core::source::Source;
        let mut announced = self.cluster.relay().origin().announced(&path(""));
        let mut paths = Vec::new();
        while let Some(news) = announced.try_next() {
            if let Announcement::Active(path) = news {
                paths.push(path.to_string());
            }
        }
        paths
    }
}

impl Dial for NetDial {
    type Session = memory::Session;

    async fn dial(&self, node: &NodeName) -> Result<Dialled<memory::Session>, DialError> {
        match self.net.connect(&self.from, node)? {
            Some(session) => Ok(Dialled {
                session,
                binding: None,
                proven: false,
            }),
            None => std::future::pending().await,
        }
    }
}

pub(crate) fn name(text: &str) -> NodeName {
    text.parse().expect("a name")
}

pub(crate) fn path(text: &str) -> moq_transfork::path::Path {
    text.parse().expect("a path")
}

/// What a member of the tests' cluster is told.
pub(crate) fn config(root: Option<&str>, node: Option<&str>, seed: u64) -> Config {
    let mut auth = Auth::default();
    auth.secret = Some(Secret::new(b"what the tests' nodes share").expect("long enough"));
    let mut config = Config::default();
    config.root = root.map(name);
    config.node = node.map(name);
    config.auth = auth;
    config.seed = seed;
    config
}

fn pair(a: &NodeName, b: &NodeName) -> (NodeName, NodeName) {
    if a < b {
        (a.clone(), b.clone())
    } else {
        (b.clone(), a.clone())
    }
}
