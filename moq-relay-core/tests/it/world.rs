//! A relay with peers around it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join;
use moq_relay_core::announced::Announcement;
use moq_relay_core::error::Error;
use moq_relay_core::limits::Limits;
use moq_relay_core::memory;
use moq_relay_core::model::cache::Cache;
use moq_relay_core::model::consumer::{TrackConsumer, TrackEvent};
use moq_relay_core::model::group::GroupConsumer;
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::relay::{Relay, RelayConfig};
use moq_relay_core::session::{self, ClientConfig, Peer};
use moq_relay_core::source::Source;
use moq_relay_core::stats::Snapshot;
use moq_relay_core::tracks::Tracks;
use moq_relay_core::visit::ServeOptions;
use moq_transfork::frame::frame;
use moq_transfork::path::Path;
use moq_transfork::{Code, Dialect};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Longer than anything in a test should take, on a clock that jumps.
const PATIENCE: Duration = Duration::from_secs(120);

/// A relay, and the tasks that run its sessions.
pub(crate) struct World {
    pub(crate) relay: Relay,
    /// The relay's side of each session, in the order they were accepted.
    pub(crate) served: JoinSet<Result<(), Error>>,
    drivers: JoinSet<Result<(), Error>>,
}

/// One peer of the relay.
pub(crate) struct Client {
    /// What the relay publishes to this peer.
    pub(crate) peer: Peer,
    /// What this peer publishes.
    pub(crate) tracks: Tracks,
    /// The peer's end of the transport.
    pub(crate) transport: memory::Session,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(RelayConfig::default())
    }

    pub(crate) fn with(config: RelayConfig) -> Self {
        Self {
            relay: Relay::new(config),
            served: JoinSet::new(),
            drivers: JoinSet::new(),
        }
    }

    /// Accepts a session whose other end is returned bare.
    pub(crate) fn accept(&mut self, config: memory::Config) -> memory::Session {
        let (client, server) = memory::pair(config);
        self.serve(server);
        client
    }

    /// Connects a peer that the relay serves with `options`.
    pub(crate) async fn client_with(&mut self, options: ServeOptions) -> Client {
        self.try_client(options).await.expect("the relay accepts")
    }

    pub(crate) async fn client_with_in(
        &mut self,
        dialect: Dialect,
        options: ServeOptions,
    ) -> Client {
        let client = self.try_client_in(dialect, options).await;
        client.expect("the relay accepts")
    }

    pub(crate) async fn try_client(&mut self, options: ServeOptions) -> Result<Client, Error> {
        self.try_client_in(Dialect::Draft03, options).await
    }

    async fn try_client_in(
        &mut self,
        dialect: Dialect,
        options: ServeOptions,
    ) -> Result<Client, Error> {
        let (transport, server) = memory::pair(memory::Config::default());
        let relay = self.relay.clone();
        self.served
            .spawn(async move { relay.serve_with(server, options).await });
        self.connect(transport, dialect).await
    }

    /// Serves the relay's end of a session.
    pub(crate) fn serve(&mut self, server: memory::Session) {
        let relay = self.relay.clone();
        self.served.spawn(async move { relay.serve(server).await });
    }

    /// Connects a peer, and returns the relay's handle to it too.
    pub(crate) async fn client_and_handle(&mut self) -> (Client, Peer) {
        let (transport, server) = memory::pair(memory::Config::default());
        let relay = self.relay.clone();
        let accept = relay.accept(server, ServeOptions::default());
        let connect = self.connect(transport, Dialect::Draft03);
        let (visit, client) = soon(join(accept, connect)).await;
        let visit = visit.expect("the peer says hello");
        let handle = visit.peer().clone();
        self.served.spawn(visit.run());
        (client.expect("the relay accepts"), handle)
    }

    /// Connects a peer that speaks `dialect`.
    pub(crate) async fn client(&mut self, dialect: Dialect) -> Client {
        self.client_over(dialect, memory::Config::default()).await
    }

    pub(crate) async fn client_over(&mut self, dialect: Dialect, config: memory::Config) -> Client {
        let transport = self.accept(config);
        self.connect(transport, dialect)
            .await
            .expect("the relay accepts")
    }

    async fn connect(
        &mut self,
        transport: memory::Session,
        dialect: Dialect,
    ) -> Result<Client, Error> {
        let tracks = Tracks::new(Cache::default(), Limits::default());
        let mut client = ClientConfig::default();
        client.dialects = vec![dialect];
        client.publish = Some(Arc::new(tracks.clone()));
        let (peer, driver) = soon(session::connect(transport.clone(), client)).await?;
        self.drivers.spawn(driver.run());
        Ok(Client {
            peer,
            tracks,
            transport,
        })
    }
}

impl Client {
    pub(crate) fn publish(&self, name: &str) -> TrackProducer {
        self.publish_with(name, TrackInfo::default())
    }

    pub(crate) fn publish_with(&self, name: &str, info: TrackInfo) -> TrackProducer {
        self.tracks
            .create(path(name), info)
            .expect("the path is free")
    }

    pub(crate) fn subscribe(&self, name: &str) -> TrackConsumer {
        self.subscribe_with(name, Subscription::default())
    }

    pub(crate) fn subscribe_with(&self, name: &str, subscription: Subscription) -> TrackConsumer {
        self.peer
            .track(&path(name), subscription)
            .expect("the session is open")
    }
}

impl World {
    /// What the relay's counters say once everything that can happen at once has.
    pub(crate) async fn stats(&self) -> Snapshot {
        settle().await;
        self.relay.stats()
    }

    /// Asserts that nothing is left of all that ever happened.
    pub(crate) async fn assert_nothing_left(&mut self) {
        let stats = self.stats().await;
        assert_eq!(stats.sessions, 0, "{stats:?}");
        assert_eq!(stats.subscriptions, 0, "{stats:?}");
        assert_eq!(stats.upstreams, 0, "{stats:?}");
        assert_eq!(stats.announced, 0, "{stats:?}");
        assert_eq!(stats.cache_bytes, 0, "{stats:?}");
        while self.served.try_join_next().is_some() {}
        assert!(self.served.is_empty(), "a session is still served");
    }
}

/// What a reader of a track was given, in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seen {
    /// A whole group.
    Group(u64, Vec<String>),
    /// A group that was cut short.
    Cut(u64, Code),
    /// Groups that will not come: the first, the last, and why.
    Gap(u64, u64, Code),
    /// A clean end.
    End,
    /// An end with an error.
    Failed(Code),
}

/// Reads everything there is for a reader at this time, to the end of each group.
pub(crate) async fn read_all(track: &mut TrackConsumer) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Ok(next) = timeout(INSTANT, track.next()).await {
        match next {
            Ok(Some(TrackEvent::Group(group))) => {
                let sequence = group.sequence();
                seen.push(match read_group(group).await {
                    Ok(frames) => Seen::Group(sequence, frames),
                    Err(error) => Seen::Cut(sequence, error.code()),
                });
            }
            Ok(Some(TrackEvent::Gap(gap))) => {
                seen.push(Seen::Gap(*gap.groups.start(), *gap.groups.end(), gap.code));
            }
            Ok(None) => {
                seen.push(Seen::End);
                break;
            }
            Err(error) => {
                seen.push(Seen::Failed(error.code()));
                break;
            }
        }
    }
    seen
}

/// The whole groups of these sequences, as [`write_group`] with one frame `frame` writes them.
pub(crate) fn groups(sequences: impl IntoIterator<Item = u64>) -> Vec<Seen> {
    let group = |sequence| Seen::Group(sequence, vec![sequence.to_string()]);
    sequences.into_iter().map(group).collect()
}

/// Writes groups of one frame, which says the group's number.
pub(crate) fn write_groups(track: &TrackProducer, sequences: impl IntoIterator<Item = u64>) {
    for sequence in sequences {
        let mut group = track.create_group(sequence).expect("the track is live");
        group
            .write_frame(sequence.to_string())
            .expect("there is room");
        group.finish().expect("the frame is whole");
    }
}

/// A time in which everything that need not wait for a clock happens.
pub(crate) const INSTANT: Duration = Duration::from_millis(1);

/// Lets everything happen that need not wait for a clock: a paused clock moves on only when
/// nothing else can.
pub(crate) async fn settle() {
    sleep(INSTANT).await;
}

/// Frames in wire form.
pub(crate) fn wire(frames: &[&str]) -> Vec<u8> {
    let frames = frames.iter().map(|payload| frame(payload.as_bytes()));
    frames
        .flat_map(|frame| frame.expect("it is small").to_vec())
        .collect()
}

/// Waits until a path is published at the relay.
pub(crate) async fn published(world: &World, name: &str) {
    let path = path(name);
    let mut announced = world.relay.origin().announced(&path);
    while soon(announced.next()).await != Some(Announcement::Active(path.clone())) {}
}

pub(crate) fn path(name: &str) -> Path {
    name.parse().expect("the path is valid")
}

/// Fails the test instead of waiting for ever.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .expect("something that should happen did not")
}

/// Writes a group of frames and finishes it.
pub(crate) fn write_group(track: &TrackProducer, frames: &[&str]) {
    let mut group = track.append_group().expect("the track is live");
    for frame in frames {
        group
            .write_frame(Bytes::copy_from_slice(frame.as_bytes()))
            .expect("there is room");
    }
    group.finish().expect("the frames are whole");
}

/// Reads a group to its end.
pub(crate) async fn read_group(mut group: GroupConsumer) -> Result<Vec<String>, Error> {
    let mut frames = Vec::new();
    while let Some(frame) = soon(group.next_frame()).await? {
        frames.push(String::from_utf8_lossy(&frame).into_owned());
    }
    Ok(frames)
}

/// Waits for the next group.
pub(crate) async fn next_group(track: &mut TrackConsumer) -> GroupConsumer {
    soon(track.next_group())
        .await
        .expect("the track is live")
        .expect("the track goes on")
}
