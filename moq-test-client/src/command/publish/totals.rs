//! What is published, and how much of it so far.

use std::fmt;
use std::time::Duration;

use moq_relay_core::model::track::TrackProducer;
use serde::Serialize;
use tokio::time::Instant;

use crate::connect::Client;
use crate::output::{Progress, Results};
use crate::units;

/// How often the progress line changes.
const REFRESH: Duration = Duration::from_millis(200);

/// The track is on offer.
#[derive(Serialize)]
#[serde(tag = "event", rename = "publishing")]
pub(super) struct Publishing {
    path: String,
    relay: String,
    dialect: String,
}

/// What was published in all.
#[derive(Serialize)]
#[serde(tag = "event", rename = "published")]
pub(super) struct Published {
    groups: u64,
    frames: u64,
    bytes: u64,
    seconds: f64,
}

/// What was published so far, on the progress line.
pub(super) struct Totals {
    published: Published,
    start: Instant,
    shown: Instant,
    progress: Progress,
}

impl Publishing {
    pub(super) fn new(track: &TrackProducer, client: &Client) -> Self {
        Self {
            path: track.path().to_string(),
            relay: client.remote().to_string(),
            dialect: client.peer().dialect().to_string(),
        }
    }
}

impl Totals {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            published: Published {
                groups: 0,
                frames: 0,
                bytes: 0,
                seconds: 0.0,
            },
            start: now,
            shown: now,
            progress: Progress::new(Results::Few),
        }
    }

    pub(super) fn group(&mut self) {
        self.published.groups += 1;
    }

    pub(super) fn frame(&mut self, track: &TrackProducer, len: usize) {
        self.published.frames += 1;
        self.published.bytes += len as u64;
        let now = Instant::now();
        if now - self.shown >= REFRESH {
            self.shown = now;
            self.published.seconds = (now - self.start).as_secs_f64();
            let reader = if track.demand().is_some() {
                ""
            } else {
                ", no subscriber"
            };
            self.progress.set(format!("{}{reader}", self.published));
        }
    }

    pub(super) fn finish(mut self) -> Published {
        self.published.seconds = self.start.elapsed().as_secs_f64();
        self.published
    }
}

impl fmt::Display for Publishing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "publishing {} to {} ({})",
            self.path, self.relay, self.dialect
        )
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = units::bytes(self.bytes);
        let Self {
            groups,
            frames,
            seconds,
            ..
        } = self;
        write!(
            f,
            "published {groups} groups, {frames} frames, {size} in {seconds:.1} s"
        )
    }
}
