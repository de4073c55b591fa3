//! Frames from one publisher through the relay to many subscribers, all in memory: what the hot
//! path does, without a socket and without a clock that matters.
//!
//! `cargo xtask instructions` counts the instructions of two runs that differ in nothing but the
//! number of frames.
//!
//! ```sh
//! cargo run --release -p moq-relay-core --example fanout -- SUBSCRIBERS FRAMES BYTES FRAMES_PER_GROUP
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::Context as _;
use bytes::Bytes;
use moq_relay_core::memory::{Config, Session, pair};
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::relay::{Relay, RelayConfig};
use moq_relay_core::session::{self, ClientConfig};
use moq_relay_core::source::Source;
use moq_relay_core::tracks::Tracks;
use moq_transfork::coding::varint;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::Subscribe;
use moq_transfork::path::Path;
use moq_transfork::setup;
use moq_transfork::stream::{GroupReader, subscribe};
use tokio::task::{JoinSet, yield_now};
use web_transport_trait::Session as _;

/// More rounds than any frame takes to arrive everywhere.
const ROUNDS: u32 = 1_000_000;

/// What is sent.
struct Load {
    subscribers: u64,
    frames: u64,
    size: usize,
    grouping: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let load = Load::from_args()?;
    let relay = Relay::new(RelayConfig::default());
    let mut tasks = JoinSet::new();
    let path: Path = "track".parse()?;

    let tracks = Tracks::default();
    let track = tracks.create(path.clone(), TrackInfo::default())?;
    let mut client = ClientConfig::default();
    client.publish = Some(Arc::new(tracks));
    let (_peer, driver) = session::connect(join(&relay, &mut tasks), client).await?;
    tasks.spawn(async move {
        let _ended = driver.run().await;
    });
    relay
        .origin()
        .announced(&path)
        .next()
        .await
        .context("nothing is announced")?;

    let received = Arc::new(AtomicU64::new(0));
    for _ in 0..load.subscribers {
        let session = join(&relay, &mut tasks);
        tasks.spawn(read(session, path.clone(), Arc::clone(&received)));
    }
    while relay.stats().subscriptions < load.subscribers {
        yield_now().await;
    }
    publish(&load, &track, &received).await
}

/// Gives the relay one end of a new session and returns the other.
fn join(relay: &Relay, tasks: &mut JoinSet<()>) -> Session {
    let (client, server) = pair(Config::default());
    let relay = relay.clone();
    tasks.spawn(async move {
        let _ended = relay.serve(server).await;
    });
    client
}

/// Writes each frame once the one before has arrived everywhere.
async fn publish(load: &Load, track: &TrackProducer, received: &AtomicU64) -> anyhow::Result<()> {
    let payload = Bytes::from(vec![7; load.size]);
    let wire = (varint::len(load.size as u64) + load.size) as u64;
    let mut open = None;
    for frame in 1..=load.frames {
        let mut group = match open.take() {
            Some(group) => group,
            None => track.append_group()?,
        };
        group.write_frame(payload.clone())?;
        if frame % load.grouping == 0 {
            group.finish()?;
        } else {
            open = Some(group);
        }
        let mut rounds = 0;
        while received.load(Relaxed) < wire * load.subscribers * frame {
            yield_now().await;
            rounds += 1;
            anyhow::ensure!(rounds < ROUNDS, "frame {frame} does not arrive everywhere");
        }
    }
    Ok(())
}

/// A subscriber that does as little as it can.
async fn read(session: Session, path: Path, received: Arc<AtomicU64>) {
    let dialect = Dialect::Draft03;
    let wanted = Subscribe {
        id: 0,
        path,
        priority: Default::default(),
        order: Default::default(),
        expires: Default::default(),
        min: None,
        max: None,
    };
    let Ok(_established) = setup::connect(&session, &[dialect]).await else {
        return;
    };
    let Ok((_request, mut replies)) = subscribe(&session, dialect, &wanted).await else {
        return;
    };
    if replies.info().await.is_err() {
        return;
    }
    let mut groups = JoinSet::new();
    while let Ok(stream) = session.accept_uni().await {
        while groups.try_join_next().is_some() {}
        let received = Arc::clone(&received);
        groups.spawn(async move {
            let accepted = GroupReader::<Session>::accept(stream, dialect).await;
            let Ok((_header, mut reader)) = accepted else {
                return;
            };
            while let Ok(Some(bytes)) = reader.read(usize::MAX).await {
                received.fetch_add(bytes.len() as u64, Relaxed);
            }
        });
    }
}

impl Load {
    fn from_args() -> anyhow::Result<Self> {
        let numbers: Result<Vec<u64>, _> =
            std::env::args().skip(1).map(|arg| arg.parse()).collect();
        let usage = "give SUBSCRIBERS FRAMES BYTES FRAMES_PER_GROUP";
        let [subscribers, frames, size, grouping] = numbers.context(usage)?[..] else {
            anyhow::bail!(usage);
        };
        Ok(Self {
            subscribers,
            frames,
            size: size.try_into()?,
            grouping: grouping.max(1),
        })
    }
}
