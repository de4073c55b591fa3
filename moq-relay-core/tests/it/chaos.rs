//! Many peers that come, go, publish and subscribe as they like.

use std::time::Duration;

use moq_relay_core::error::Error;
use moq_relay_core::memory::Config;
use moq_relay_core::model::consumer::TrackConsumer;
use moq_relay_core::model::group::GroupProducer;
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::model::track::TrackProducer;
use moq_relay_core::relay::RelayConfig;
use moq_relay_core::source::Source as _;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::Subscribe;
use moq_transfork::wt::{SendStream as _, Session as _};
use tokio::time::{sleep, timeout};

use crate::dice::{Dice, assert_no_panic, watch_for_panics};
use crate::raw::{Raw, said, subscribe};
use crate::world::{Client, World, groups, path, published, read_all, settle, write_groups};

const BUDGET: u64 = 300_000;

/// Everything there is at a time.
struct Crowd {
    world: World,
    dice: Dice,
    peers: Vec<Client>,
    tracks: Vec<(TrackProducer, Vec<GroupProducer>)>,
    readers: Vec<TrackConsumer>,
}

impl Crowd {
    fn new(seed: u64) -> Self {
        let mut config = RelayConfig::default();
        config.cache.max_bytes = BUDGET;
        Self {
            world: World::with(config),
            dice: Dice(seed),
            peers: Vec::new(),
            tracks: Vec::new(),
            readers: Vec::new(),
        }
    }

    /// Does one thing or another.
    async fn step(&mut self) {
        let ms = self.dice.roll(400) as u64;
        match self.dice.roll(12) {
            0 | 1 if self.peers.len() < 30 => self.connect().await,
            2 | 3 if !self.peers.is_empty() => self.publish(),
            4 | 5 if !self.peers.is_empty() => self.subscribe(),
            6..=8 if !self.tracks.is_empty() => self.write(),
            9 if !self.peers.is_empty() && self.dice.roll(4) == 0 => {
                let peer = take_any(&mut self.peers, &mut self.dice);
                peer.transport.close(0, "");
            }
            10 if !self.readers.is_empty() => drop(take_any(&mut self.readers, &mut self.dice)),
            11 if !self.tracks.is_empty() => drop(take_any(&mut self.tracks, &mut self.dice)),
            _ => sleep(Duration::from_millis(ms)).await,
        }
        let stats = self.world.relay.stats();
        assert!(stats.cache_bytes <= BUDGET, "{stats:?}");
    }

    async fn connect(&mut self) {
        let link = Config {
            max_uni_streams: 1 + self.dice.roll(20),
            stream_window: 10 + self.dice.roll(5000),
            ..Config::default()
        };
        let dialect = Dialect::ALL[self.dice.roll(4)];
        self.peers.push(self.world.client_over(dialect, link).await);
    }

    fn publish(&mut self) {
        let peer = &self.peers[self.dice.roll(self.peers.len())];
        let name = path(&format!("track/{}", self.dice.roll(8)));
        let created = peer.tracks.create(name, Default::default());
        self.tracks.extend(created.map(|track| (track, Vec::new())));
    }

    fn subscribe(&mut self) {
        let peer = &self.peers[self.dice.roll(self.peers.len())];
        let name = path(&format!("track/{}", self.dice.roll(8)));
        let asked = Subscription {
            min: Some(self.dice.roll(20) as u64).filter(|min| *min < 10),
            expires: Duration::from_millis(self.dice.roll(3000) as u64),
            ..Subscription::default()
        };
        self.readers.extend(peer.peer.track(&name, asked));
    }

    fn write(&mut self) {
        let at = self.dice.roll(self.tracks.len());
        let (track, open) = &mut self.tracks[at];
        let Ok(mut group) = track.append_group() else {
            return;
        };
        let _evicted = group.write_frame(vec![7; self.dice.roll(40_000)]);
        match self.dice.roll(4) {
            0 => open.push(group),
            1 => group.abort(Error::Timeout),
            _ => drop(group.finish()),
        }
    }
}

fn take_any<T>(all: &mut Vec<T>, dice: &mut Dice) -> T {
    all.swap_remove(dice.roll(all.len()))
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_many_peers_that_do_anything() {
    watch_for_panics();
    for seed in 1..=5 {
        let mut crowd = Crowd::new(0x9e37_79b9 * seed);
        for _ in 0..1000 {
            crowd.step().await;
        }
        for peer in &crowd.peers {
            peer.transport.close(0, "");
        }
        let Crowd { mut world, .. } = crowd;
        settle().await;
        world.assert_nothing_left().await;
        assert_no_panic();
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_opens_all_streams_there_are_and_reads_none_is_alone_in_its_misery() {
    let mut world = World::new();
    let publisher = world.client(Dialect::Draft03).await;
    let track = publisher.publish("clock");
    published(&world, "clock").await;
    let many = Config {
        max_bi_streams: 2000,
        max_uni_streams: 2000,
        stream_window: 1,
        ..Config::default()
    };
    let raw = Raw::connect_over(&mut world, Dialect::Draft03, many).await;
    let mut streams = Vec::new();
    for id in 0..1990 {
        let message = Subscribe {
            min: Some(0),
            ..subscribe(id, "clock")
        };
        let (mut send, recv) = raw.transport.open_bi().await.expect("open");
        let bytes = [&[2], &said(&message, Dialect::Draft03)[..]].concat();
        let wrote = timeout(Duration::from_millis(50), send.write_all(&bytes)).await;
        assert!(wrote.is_ok(), "the relay reads");
        streams.push((send, recv));
    }
    let client = world.client(Dialect::Draft03).await;
    let mut reader = client.subscribe("clock");
    for sequence in 0..20 {
        write_groups(&track, [sequence]);
        assert_eq!(read_all(&mut reader).await, groups([sequence]));
    }
    assert_eq!(world.stats().await.upstreams_total, 1);
    raw.transport.close(0, "");
    drop((raw, streams));
    sleep(Duration::from_secs(2)).await;
    let stats = world.stats().await;
    assert_eq!((stats.sessions, stats.subscriptions), (2, 1));
}
