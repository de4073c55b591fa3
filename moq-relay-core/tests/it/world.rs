//! A relay with peers around it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use moq_relay_core::announced::Announcement;
use moq_relay_core::error::Error;
use moq_relay_core::limits::Limits;
use moq_relay_core::memory;
use moq_relay_core::model::cache::Cache;
use moq_relay_core::model::consumer::TrackConsumer;
use moq_relay_core::model::group::GroupConsumer;
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::relay::{Relay, RelayConfig};
use moq_relay_core::session::{self, ClientConfig, Peer};
use moq_relay_core::source::Source;
use moq_relay_core::tracks::Tracks;
use moq_relay_core::visit::ServeOptions;
use moq_transfork::Dialect;
use moq_transfork::path::Path;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Longer than anything in a test should take, on a clock that jumps.
const PATIENCE: Duration = Duration::from_secs(120);

/// A relay, and the tasks that run its sessions.
pub(crate) struct World {
    pub(crate) relay: Relay,
    tasks: JoinSet<Result<(), Error>>,
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
            tasks: JoinSet::new(),
        }
    }

    /// Accepts a session whose other end is returned bare.
    pub(crate) fn accept(&mut self, config: memory::Config) -> memory::Session {
        let (client, server) = memory::pair(config);
        let relay = self.relay.clone();
        self.tasks.spawn(async move { relay.serve(server).await });
        client
    }

    /// Connects a peer that the relay serves with `options`.
    pub(crate) async fn client_with(&mut self, options: ServeOptions) -> Client {
        self.try_client(options).await.expect("the relay accepts")
    }

    pub(crate) async fn try_client(&mut self, options: ServeOptions) -> Result<Client, Error> {
        let (transport, server) = memory::pair(memory::Config::default());
        let relay = self.relay.clone();
        self.tasks
            .spawn(async move { relay.serve_with(server, options).await });
        self.connect(transport, Dialect::Draft03).await
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
        self.tasks.spawn(driver.run());
        Ok(Client {
            peer,
            tracks,
            transport,
        })
    }
}

impl Client {
    pub(crate) fn publish(&self, name: &str) -> TrackProducer {
        self.tracks
            .create(path(name), TrackInfo::default())
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

/// Waits until a path is published at the relay.
pub(crate) async fn published(world: &World, name: &str) {
    let mut announced = world.relay.origin().announced(&path(name));
    // Being live is news too.
    while !matches!(soon(announced.next()).await, Some(Announcement::Active(_))) {}
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
