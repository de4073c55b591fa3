//! The network of a cluster: machines, the names of nodes, and how bad the ways between them are.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use self::namespaces::Namespaces;
use self::proxy::Proxy;
use super::names::Node;
use crate::process::Launch;

mod namespaces;
mod proxy;

/// Where all relays and proxies listen, each at an address of its own.
pub(super) const PORT: u16 = 4443;

/// How bad an impaired network is, on each way.
const IMPAIRED: &str = "delay=40ms loss=1% reorder=1%";

/// The machine that no node is on at first.
pub(super) const SPARE: usize = Node::ALL.len();

/// What the network is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A namespace for each machine.
    Namespaces,
    /// An address of the loopback interface for each machine, and a proxy before each name.
    Loopback,
}

/// How bad the network is when nothing is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weather {
    Clear,
    /// 40 ms, 1 % of loss and 1 % out of order on each way between two nodes.
    Impaired,
}

/// The network of one cluster. Dropping it removes everything.
pub(super) struct Net {
    weather: Weather,
    client: PathBuf,
    /// Which machine each node's name leads to.
    places: BTreeMap<Node, usize>,
    /// By the machine they stand on, which is `None` where one stands before the name for all.
    proxies: BTreeMap<(Option<usize>, Node), Proxy>,
    backing: Backing,
}

enum Backing {
    Namespaces(Namespaces),
    /// The first two parts of all addresses.
    Loopback([u8; 2]),
}

impl Net {
    /// Makes the machines; `client` is the program with the impairment proxy.
    ///
    /// # Errors
    /// Where namespaces are not allowed.
    pub(super) fn new(kind: Kind, weather: Weather, client: &Path) -> anyhow::Result<Self> {
        let backing = match kind {
            Kind::Namespaces => {
                let names = Node::ALL.map(Node::short).into_iter().chain(["spare"]);
                let machines: Vec<_> = names
                    .enumerate()
                    .map(|(index, name)| (name, within([10, 87, 0], index)))
                    .collect();
                Backing::Namespaces(Namespaces::new(&machines)?)
            }
            Kind::Loopback => {
                // Runs at the same time do not meet.
                let [.., high, low] = std::process::id().to_be_bytes();
                Backing::Loopback([64 | (high & 63), low])
            }
        };
        let places = Node::ALL.into_iter().enumerate();
        Ok(Self {
            weather,
            client: client.to_owned(),
            places: places.map(|(index, node)| (node, index)).collect(),
            proxies: BTreeMap::new(),
            backing,
        })
    }

    /// What it is made of, for the eye.
    pub(super) fn describe(&self) -> String {
        let weather = match self.weather {
            Weather::Clear => "nothing is bad".to_owned(),
            Weather::Impaired => format!("{IMPAIRED} on each way, by the impairment proxy"),
        };
        match &self.backing {
            Backing::Namespaces(_) => format!("network namespaces; {weather}"),
            Backing::Loopback(_) => format!("loopback addresses behind proxies; {weather}"),
        }
    }

    /// The machine that a node's name leads to.
    pub(super) fn place(&self, node: Node) -> usize {
        self.places[&node]
    }

    /// A machine's address.
    pub(super) fn address(&self, machine: usize) -> Ipv4Addr {
        match &self.backing {
            Backing::Namespaces(_) => within([10, 87, 0], machine),
            Backing::Loopback([a, b]) => within([127, *a, *b], machine),
        }
    }

    /// What a node is called by the others.
    pub(super) fn name(&self, node: Node) -> String {
        match &self.backing {
            Backing::Namespaces(_) => format!("{}:{PORT}", host(node)),
            Backing::Loopback(_) => format!("{}:{PORT}", self.gate(node)),
        }
    }

    /// All that certificates have to be for.
    pub(super) fn identities(&self) -> (Vec<String>, Vec<IpAddr>) {
        let machines = (0..=SPARE).map(|machine| self.address(machine));
        let gates = Node::ALL.map(|node| self.gate(node));
        let addresses = machines.chain(gates).map(IpAddr::from).collect();
        (Node::ALL.map(host).into(), addresses)
    }

    /// Prepares to start a program on a machine.
    pub(super) fn launch(&self, machine: usize, name: &str, program: &Path) -> Launch {
        match &self.backing {
            Backing::Namespaces(namespaces) => {
                let inside = namespaces.inside(machine);
                let launch = Launch::new(name, inside[0]);
                launch.args(&inside[1..]).args([program])
            }
            Backing::Loopback(_) => Launch::new(name, program),
        }
    }

    /// Makes all names known on a machine, before a relay starts there.
    ///
    /// # Errors
    /// Where a proxy or a file cannot be made.
    pub(super) async fn prepare(&mut self, machine: usize) -> anyhow::Result<()> {
        for node in Node::ALL {
            if self.place(node) != machine {
                self.open(machine, node).await?;
            }
        }
        let mut hosts = Vec::new();
        for node in Node::ALL {
            let proxied = self.proxies.contains_key(&(Some(machine), node));
            let address = if proxied {
                self.gate(node)
            } else {
                self.address(self.place(node))
            };
            hosts.push((host(node), address));
        }
        match &self.backing {
            Backing::Namespaces(namespaces) => namespaces.set_hosts(machine, &hosts),
            Backing::Loopback(_) => Ok(()),
        }
    }

    /// Leads a node's name to another machine, for everyone.
    ///
    /// # Errors
    /// Where a proxy or a file cannot be made.
    pub(super) async fn point(&mut self, node: Node, machine: usize) -> anyhow::Result<()> {
        self.places.insert(node, machine);
        let proxies = self.proxies.keys();
        let stale = proxies.filter(|(_, to)| *to == node).copied();
        for key in stale.collect::<Vec<_>>() {
            self.proxies.remove(&key);
        }
        for machine in 0..=SPARE {
            self.prepare(machine).await?;
        }
        Ok(())
    }

    /// Takes the way between two nodes away, or gives it back. Between proxies, none of the two
    /// can be dialled by anyone then; links that others have to them are cut, too.
    ///
    /// # Errors
    /// Where the network's tools refuse.
    pub(super) async fn set_cut(&mut self, a: Node, b: Node, is_cut: bool) -> anyhow::Result<()> {
        if let Backing::Namespaces(namespaces) = &self.backing {
            return namespaces.set_cut(self.place(a), self.place(b), is_cut);
        }
        let line = if is_cut { "cut" } else { "heal" };
        self.tell(a, line).await?;
        self.tell(b, line).await
    }

    /// Limits a node's line, in kbit/s each way; `None` takes the limit away.
    ///
    /// # Errors
    /// Where the network's tools refuse.
    pub(super) async fn set_rate(&mut self, node: Node, kbit: Option<u32>) -> anyhow::Result<()> {
        if let Backing::Namespaces(namespaces) = &self.backing {
            return namespaces.set_rate(self.place(node), kbit);
        }
        let rate = kbit.map_or("rate=none".to_owned(), |kbit| format!("rate={kbit}kbit"));
        self.tell(node, &rate).await
    }

    /// Loses so many of a hundred packets on a node's line, each way.
    ///
    /// # Errors
    /// Where the network's tools refuse.
    pub(super) async fn set_loss(&mut self, node: Node, percent: u8) -> anyhow::Result<()> {
        if let Backing::Namespaces(namespaces) = &self.backing {
            return namespaces.set_loss(self.place(node), percent);
        }
        self.tell(node, &format!("loss={percent}%")).await
    }

    async fn tell(&mut self, node: Node, line: &str) -> anyhow::Result<()> {
        let proxies = self.proxies.iter_mut();
        for (_, proxy) in proxies.filter(|((_, to), _)| *to == node) {
            proxy.tell(line).await?;
        }
        Ok(())
    }

    /// Starts the proxy that a machine needs on its way to a node, if it needs one.
    async fn open(&mut self, machine: usize, node: Node) -> anyhow::Result<()> {
        let (from, stands_on) = match (&self.backing, self.weather) {
            (Backing::Namespaces(_), Weather::Clear) => return Ok(()),
            (Backing::Namespaces(_), Weather::Impaired) => (Some(machine), machine),
            (Backing::Loopback(_), _) => (None, machine),
        };
        if self.proxies.contains_key(&(from, node)) {
            return Ok(());
        }
        let weather = match self.weather {
            Weather::Clear => "clear",
            Weather::Impaired => IMPAIRED,
        };
        let launch = self.launch(stands_on, "proxy", &self.client);
        let to = self.address(self.place(node));
        let proxy = Proxy::start(launch, self.gate(node), to, weather).await?;
        self.proxies.insert((from, node), proxy);
        Ok(())
    }

    /// Where a proxy to a node listens: the same address on every machine, which only it sees.
    fn gate(&self, node: Node) -> Ipv4Addr {
        let index = node as usize + 100;
        match &self.backing {
            Backing::Namespaces(_) => within([127, 0, 1], index),
            Backing::Loopback([a, b]) => within([127, *a, *b], index),
        }
    }
}

/// The host in a node's name, where names are looked up.
fn host(node: Node) -> String {
    format!("{}.drill", node.short())
}

fn within([a, b, c]: [u8; 3], index: usize) -> Ipv4Addr {
    let last = u8::try_from(index + 10).unwrap_or(u8::MAX);
    Ipv4Addr::new(a, b, c, last)
}
