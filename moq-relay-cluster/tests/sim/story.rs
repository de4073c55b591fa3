//! The random life of a cluster: nodes join, die and leave, ways are cut, paths come and go; and
//! after each quiet moment every node has to know what is really published.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use tokio::runtime::{Builder, Handle};
use tokio::time::{Instant, sleep};

use crate::net::{Machine, Net, config, path};

/// How long after the last event a cluster may take to know the truth. The longest way is: a dead
/// link is noticed (3 s), the root is dialled again (10 s), a node that hung is given up (5 s) and
/// dialled again (10 s).
const PATIENCE: Duration = Duration::from_secs(30);

/// How often is looked whether it does.
const LOOK: Duration = Duration::from_millis(100);

/// How long it has to stay that way.
const STEADY: Duration = Duration::from_secs(15);

/// How much happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Nodes that there may be, besides the root.
    pub(crate) nodes: usize,
    /// Times of trouble, each followed by a quiet moment.
    pub(crate) rounds: usize,
}

/// What is to tell of a cluster's life.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// The longest time from the last event of a round until all knew the truth.
    pub(crate) settled: Duration,
    /// Events there were.
    pub(crate) events: usize,
    /// Announcements that were sent, over all links.
    pub(crate) announcements: u64,
    /// Links that were made.
    pub(crate) links: u64,
}

struct Story {
    net: Net,
    random: fastrand::Rng,
    root: Option<Machine>,
    nodes: BTreeMap<usize, Node>,
    plan: Plan,
    cut: BTreeSet<(usize, usize)>,
    told: Told,
}

struct Node {
    machine: Machine,
    tracks: BTreeMap<String, TrackProducer>,
}

/// Tells the life of a cluster.
///
/// # Errors
/// What a node knows that is not so, or does not know.
pub(crate) fn tell(plan: Plan, seed: u64) -> Result<Told, String> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut story = Story::new(plan, seed);
        for _ in 0..plan.rounds {
            story.trouble().await;
            story.quiet().await?;
        }
        story.end().await
    })
}

impl Story {
    fn new(plan: Plan, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        // Every second network is slow.
        let delay = Duration::from_millis(random.u64(0..60).saturating_sub(30));
        let mut story = Self {
            net: Net::with(delay),
            random,
            root: None,
            nodes: BTreeMap::new(),
            plan,
            cut: BTreeSet::new(),
            told: Told::default(),
        };
        if story.random.bool() {
            story.start_root();
        }
        for index in 0..plan.nodes {
            if story.random.u8(..4) > 0 {
                story.join(index);
            }
        }
        story
    }

    /// Everything happens, at random times.
    async fn trouble(&mut self) {
        let events = self.random.usize(10..20 + self.plan.nodes);
        for _ in 0..events {
            self.event().await;
            let pause = match self.random.u8(..4) {
                0 => 0,
                1 => self.random.u64(..30),
                2 => self.random.u64(..400),
                _ => self.random.u64(..2000),
            };
            sleep(Duration::from_millis(pause)).await;
        }
        self.told.events += events;
    }

    async fn event(&mut self) {
        let index = self.random.usize(..self.plan.nodes);
        let other = self.random.usize(..self.plan.nodes);
        match self.random.u8(..20) {
            0 => match self.root.take() {
                Some(root) => root.die(),
                None => self.start_root(),
            },
            1..=3 => self.join(index),
            4 => self.die(index),
            5 => self.leave(index).await,
            // At once again, on another machine.
            6 => {
                self.die(index);
                self.join(index);
            }
            7 if index != other => self.set_cut(index, other, true),
            8 if index != other => self.set_cut(index, other, false),
            _ => self.republish(index),
        }
    }

    fn start_root(&mut self) {
        let seed = self.random.u64(..);
        let root = self.net.start("root", config(None, None, seed));
        self.root = Some(root);
    }

    fn join(&mut self, index: usize) {
        if self.nodes.contains_key(&index) {
            return;
        }
        let seed = self.random.u64(..);
        let name = name(index);
        let machine = self
            .net
            .start(&name, config(Some("root"), Some(&name), seed));
        let tracks = BTreeMap::new();
        self.nodes.insert(index, Node { machine, tracks });
    }

    fn die(&mut self, index: usize) {
        if let Some(node) = self.nodes.remove(&index) {
            node.machine.die();
        }
    }

    async fn leave(&mut self, index: usize) {
        if let Some(node) = self.nodes.remove(&index) {
            let cluster = &node.machine.cluster;
            cluster.leave(Duration::from_secs(1)).await;
            cluster.relay().drain(Duration::from_millis(100)).await;
            node.machine.stop();
        }
    }

    fn set_cut(&mut self, a: usize, b: usize, is_cut: bool) {
        self.net.set_cut(&name(a), &name(b), is_cut);
        let pair = (a.min(b), a.max(b));
        if is_cut {
            self.cut.insert(pair);
        } else {
            self.cut.remove(&pair);
        }
    }

    /// A path comes or goes. Some are published by several nodes.
    fn republish(&mut self, index: usize) {
        let shared = self.random.u32(..8);
        let Some(node) = self.nodes.get_mut(&index) else {
            return;
        };
        let own = if self.random.bool() {
            format!("shared/{shared}")
        } else {
            format!("own/{index}/{}", shared % 3)
        };
        if node.tracks.remove(&own).is_none() {
            let relay = node.machine.cluster.relay();
            if let Ok(track) = relay.publish(path(&own), TrackInfo::default()) {
                node.tracks.insert(own, track);
            }
        }
    }

    /// Nothing happens any more: before long all know the truth, and go on knowing it.
    async fn quiet(&mut self) -> Result<(), String> {
        if self.root.is_none() {
            self.start_root();
        }
        let start = Instant::now();
        while let Err(error) = self.compare() {
            if start.elapsed() >= PATIENCE {
                return Err(error);
            }
            sleep(LOOK).await;
        }
        self.told.settled = self.told.settled.max(start.elapsed());
        let steady = Instant::now() + STEADY;
        while Instant::now() < steady {
            sleep(LOOK * 10).await;
            self.compare()
                .map_err(|error| format!("it did not last: {error}"))?;
        }
        self.compare_links()
    }

    /// Compares what each node tells its users with what is published where it can reach.
    fn compare(&self) -> Result<(), String> {
        for (index, node) in &self.nodes {
            let mut truth = BTreeSet::new();
            for (other, publisher) in &self.nodes {
                let pair = (*index.min(other), *index.max(other));
                if !self.cut.contains(&pair) {
                    truth.extend(publisher.tracks.keys().map(String::as_str));
                }
            }
            differ(&name(*index), &node.machine, &truth)?;
        }
        let all = self.nodes.values().flat_map(|node| node.tracks.keys());
        let truth = all.map(String::as_str).collect();
        self.root
            .as_ref()
            .map_or(Ok(()), |root| differ("root", root, &truth))
    }

    /// Each pair of nodes that reach each other has one link, and no other has any.
    fn compare_links(&self) -> Result<(), String> {
        for (index, node) in &self.nodes {
            let mut expected: BTreeMap<String, usize> = BTreeMap::from([("root".to_owned(), 1)]);
            for other in self.nodes.keys().filter(|other| *other != index) {
                let pair = (*index.min(other), *index.max(other));
                if !self.cut.contains(&pair) {
                    expected.insert(name(*other), 1);
                }
            }
            let nodes = node.machine.cluster.snapshot().nodes.into_iter();
            let links = nodes.map(|node| (node.name.to_string(), node.links.len()));
            let links: BTreeMap<_, _> = links.filter(|(_, links)| *links > 0).collect();
            if links != expected {
                let name = name(*index);
                return Err(format!(
                    "{name} has links {links:?} instead of {expected:?}"
                ));
            }
            let errors = node.machine.cluster.relay().stats().announce_errors;
            if errors > 0 {
                return Err(format!("{errors} announcements made no sense"));
            }
        }
        Ok(())
    }

    /// Everything is switched off, and nothing may be left of it.
    async fn end(mut self) -> Result<Told, String> {
        let machines = self.nodes.values().map(|node| &node.machine);
        for machine in machines.chain(&self.root) {
            self.told.announcements += machine.cluster.relay().stats().announcements_sent;
            self.told.links += machine.cluster.snapshot().links_total;
        }
        let told = self.told.clone();
        drop(self);
        sleep(Duration::from_secs(30)).await;
        match Handle::current().metrics().num_alive_tasks() {
            0 => Ok(told),
            left => Err(format!("{left} tasks are left")),
        }
    }
}

fn differ(name: &str, machine: &Machine, truth: &BTreeSet<&str>) -> Result<(), String> {
    let view = machine.view();
    let view: BTreeSet<_> = view.iter().map(String::as_str).collect();
    let ghosts: Vec<_> = view.difference(truth).collect();
    let missing: Vec<_> = truth.difference(&view).collect();
    if ghosts.is_empty() && missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{name} has ghosts {ghosts:?} and misses {missing:?}"
    ))
}

/// Long enough apart in their order that the smaller index is not always the smaller name.
fn name(index: usize) -> String {
    format!("n{:03}", index * 7919 % 1000)
}
