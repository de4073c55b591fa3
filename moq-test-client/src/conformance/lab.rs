//! What every test needs: sessions, paths of its own, and oracles that do not wait for ever.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use moq_relay_core::announced::{Announced, Announcement};
use moq_relay_core::error::Error;
use moq_relay_core::model::subscription::Subscription;
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::source::Source;
use moq_relay_core::tracks::Tracks;
use moq_transfork::path::{Path, PathError};
use tokio::time::timeout;

use crate::connect::{Client, connect};
use crate::dial::DialOptions;
use crate::payload::{Stamp, encode};
use crate::reading::{Event, Order, Reading};

/// Limit on every step that depends on the relay.
pub(super) const STEP: Duration = Duration::from_secs(2);

/// Limit on a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Where one test runs.
pub(super) struct Lab {
    options: DialOptions,
    prefix: Path,
}

/// What should have happened and did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) expected: String,
    pub(super) received: String,
    pub(super) message: Option<String>,
}

/// Groups that must come, each with all its frames.
pub(super) type Groups = BTreeMap<u64, Vec<Bytes>>;

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

impl Failure {
    pub(super) fn new(expected: impl Display, received: impl Display) -> Self {
        Self {
            expected: expected.to_string(),
            received: received.to_string(),
            message: None,
        }
    }
}

/// Ends sessions, all at once.
pub(super) async fn close<const N: usize>(clients: [Client; N]) {
    join_all(clients.map(|client| client.close("done"))).await;
}

/// Waits for a step of the relay, but not for ever.
pub(super) async fn within<T>(what: &str, step: impl Future<Output = T>) -> Result<T, Failure> {
    timeout(STEP, step).await.map_err(|_| Failure {
        message: Some(format!(
            "the relay stayed silent for {} ms",
            STEP.as_millis()
        )),
        ..Failure::new(what, "nothing")
    })
}

/// Does something on our own side, which fails only if the relay broke it.
pub(super) fn ours<T>(what: &str, result: Result<T, Error>) -> Result<T, Failure> {
    result.map_err(|error| Failure::new(what, error))
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

/// Waits until the relay tells `wanted`; other news may come before it.
pub(super) async fn expect_news(
    announced: &mut Announced,
    wanted: &Announcement,
    what: &str,
) -> Result<(), Failure> {
    within(what, async {
        loop {
            match announced.next().await {
                Some(news) if news == *wanted => return Ok(()),
                Some(_other) => {}
                None => return Err(Failure::new(what, "an end of the announce stream")),
            }
        }
    })
    .await?
}

/// Waits until the relay refuses a subscription, and returns its error.
pub(super) async fn expect_refusal(reading: &mut Reading, what: &str) -> Result<Error, Failure> {
    let event = within(what, reading.next()).await?;
    let Event::TrackEnd(Err(error)) = event else {
        return Err(Failure::new(what, describe(&event)));
    };
    Ok(error)
}

/// Waits until the first frames of a group have come, and compares their bytes.
pub(super) async fn expect_frames(
    reading: &mut Reading,
    group: u64,
    frames: &[Bytes],
) -> Result<(), Failure> {
    for (index, wanted) in frames.iter().enumerate() {
        let what = format!("frame {index} of group {group}");
        loop {
            let event = within(&what, reading.next()).await?;
            match &event {
                Event::Begin(begun) if *begun == group => {}
                Event::Frame { group: of, payload } if *of == group => {
                    expect_bytes(&what, wanted, payload)?;
                    break;
                }
                Event::Begin(_)
                | Event::Frame { .. }
                | Event::End { .. }
                | Event::Gap(_)
                | Event::TrackEnd(_) => return Err(Failure::new(what, describe(&event))),
            }
        }
    }
    Ok(())
}

/// Waits until every wanted group has come whole, in any order, and compares all bytes. `begun`
/// tells how many frames of a group were taken before.
///
/// A group that is missing, cut, given up, repeated or not wanted is a failure.
pub(super) async fn expect_groups(
    reading: &mut Reading,
    wanted: &Groups,
    begun: &[(u64, usize)],
) -> Result<(), Failure> {
    let mut next: BTreeMap<u64, usize> = begun.iter().copied().collect();
    let mut left = wanted.clone();
    while let Some(missing) = left.keys().next() {
        let what = format!("group {missing}, whole");
        let event = within(&what, reading.next()).await?;
        match event {
            Event::Begin(group) => {
                if !left.contains_key(&group) || next.insert(group, 0).is_some() {
                    return Err(Failure::new(
                        what,
                        format!("group {group}, which is not due"),
                    ));
                }
            }
            Event::Frame { group, payload } => {
                let index = next.entry(group).or_default();
                let what = format!("frame {index} of group {group}");
                match left.get(&group).and_then(|frames| frames.get(*index)) {
                    Some(frame) => expect_bytes(&what, frame, &payload)?,
                    None => return Err(Failure::new("the end of the group", what)),
                }
                *index += 1;
            }
            Event::End { group, end: Ok(()) } => {
                let got = next.get(&group).copied().unwrap_or_default();
                let frames = left.remove(&group).map_or(0, |frames| frames.len());
                if got != frames {
                    let received = format!("a clean end after {got} frames");
                    return Err(Failure::new(
                        format!("{frames} frames of group {group}"),
                        received,
                    ));
                }
            }
            Event::End { end: Err(_), .. } | Event::Gap(_) | Event::TrackEnd(_) => {
                return Err(Failure::new(what, describe(&event)));
            }
        }
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

fn expect_bytes(what: &str, wanted: &Bytes, got: &Bytes) -> Result<(), Failure> {
    if wanted == got {
        return Ok(());
    }
    let differ = wanted
        .iter()
        .zip(got)
        .position(|(wanted, got)| wanted != got);
    let at = differ.unwrap_or(wanted.len().min(got.len()));
    Err(Failure {
        message: Some(format!("the first difference is at byte {at}")),
        ..Failure::new(
            format!("{what}: {} bytes as they were sent", wanted.len()),
            format!("{} bytes that differ", got.len()),
        )
    })
}

/// Describes an event that was not expected.
pub(super) fn describe(event: &Event) -> String {
    match event {
        Event::Begin(group) => format!("group {group}"),
        Event::Frame { group, payload } => {
            format!("a frame of group {group} with {} bytes", payload.len())
        }
        Event::End { group, end: Ok(()) } => format!("the end of group {group}"),
        Event::End {
            group,
            end: Err(error),
        } => format!("group {group} cut short: {error}"),
        Event::Gap(gap) => format!(
            "groups {} to {} given up with code {}",
            gap.groups.start(),
            gap.groups.end(),
            gap.code
        ),
        Event::TrackEnd(Ok(())) => "an end of the track".to_owned(),
        Event::TrackEnd(Err(error)) => format!("an end of the track: {error}"),
    }
}
