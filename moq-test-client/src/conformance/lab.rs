//! What every test needs: sessions, a path of its own, and something to publish.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use moq_relay_core::announced::{Announced, Announcement};
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::source::Source;
use moq_relay_core::tracks::Tracks;
use moq_transfork::path::{Path, PathError};

use crate::conformance::oracle::{Failure, Groups, expect_news, ours};
use crate::connect::{Client, connect};
use crate::dial::DialOptions;
use crate::payload::{Stamp, encode};
use crate::reading::{Order, Reading};

/// Limit on a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Where one test runs.
pub(super) struct Lab {
    options: DialOptions,
    prefix: Path,
}

impl Lab {
    /// Makes a place below a prefix that only this run and test uses.
    pub(super) fn new(options: &DialOptions, run: &str, test: &str) -> Result<Self, PathError> {
        let options = DialOptions {
            timeout: options.timeout.min(CONNECT),
            ..options.clone()
        };
        Ok(Self {
            options,
            prefix: Path::new(["moq-test", run, test])?,
        })
    }

    /// The dialect asked for.
    pub(super) fn options(&self) -> &DialOptions {
        &self.options
    }

    /// The path of the test's track.
    pub(super) fn track_path(&self) -> Result<Path, Failure> {
        let track = Path::new(["track"]).and_then(|track| self.prefix.join(&track));
        track.map_err(|error| Failure::new("a path", error))
    }

    /// Connects as someone who publishes nothing.
    pub(super) async fn subscriber(&self) -> Result<Client, Failure> {
        connect(&self.options, None).await.map_err(|error| {
            let failure = Failure::new("a session", &error);
            Failure {
                message: error.advice().map(str::to_owned),
                ..failure
            }
        })
    }

    /// Connects as the publisher of the test's track.
    pub(super) async fn publisher(&self) -> Result<(Client, TrackProducer), Failure> {
        let tracks = Tracks::default();
        let track = tracks
            .create(self.track_path()?, TrackInfo::default())
            .map_err(|error| Failure::new("a track of our own", error))?;
        let client = connect(&self.options, Some(Arc::new(tracks)))
            .await
            .map_err(|error| Failure::new("a session for the publisher", error))?;
        Ok((client, track))
    }

    /// Subscribes to the test's track as `client`.
    pub(super) fn subscribe(&self, client: &Client) -> Result<Reading, Failure> {
        let path = self.track_path()?;
        match client.peer().track(&path, Subscription::default()) {
            Ok(track) => Ok(Reading::new(track, Order::Interleaved)),
            Err(error) => Err(Failure::new("a subscription", error)),
        }
    }

    /// Connects a subscriber and waits until the relay has told it of the test's track, so that
    /// what follows does not race with the announcement.
    pub(super) async fn told_subscriber(&self) -> Result<(Client, Announced), Failure> {
        let client = self.subscriber().await?;
        let mut announced = client.peer().announced(&self.prefix);
        let active = Announcement::Active(self.track_path()?);
        expect_news(&mut announced, &active, "ANNOUNCE active").await?;
        Ok((client, announced))
    }
}

/// Ends sessions, all at once.
pub(super) async fn close<const N: usize>(clients: [Client; N]) {
    join_all(clients.map(|client| client.close("done"))).await;
}

/// Publishes whole groups at once.
pub(super) fn publish(track: &TrackProducer, groups: &Groups) -> Result<(), Failure> {
    for (sequence, frames) in groups {
        let mut group = ours("a group of our own", track.create_group(*sequence))?;
        for frame in frames {
            ours("room for a frame", group.write_frame(frame.clone()))?;
        }
        ours("an end of our own group", group.finish())?;
    }
    Ok(())
}

/// Frame `index` of a group that has `frames`; no two are alike.
pub(super) fn frame(group: u64, index: u32, frames: u32, len: usize) -> Bytes {
    encode(
        &Stamp {
            stream: 1,
            group,
            frame: index,
            frames,
            micros: 0,
        },
        len,
    )
}
