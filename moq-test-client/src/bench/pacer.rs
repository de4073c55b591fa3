//! Publishes the frames when they are due.

use std::sync::Arc;
use std::time::Duration;

use moq_relay_core::error::Error;
use moq_relay_core::model::group::GroupProducer;
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::tracks::Tracks;
use tokio_util::sync::CancellationToken;

use super::board::{Board, now_micros};
use super::plan::{Plan, Shape};
use super::schedule::{Due, Schedule};
use super::timer::Timer;
use crate::payload::{Stamp, encode};

/// The tracks of all publishers, on one clock.
pub(super) struct Pacer {
    schedule: Schedule,
    tracks: Vec<Track>,
}

struct Track {
    producer: TrackProducer,
    shape: Shape,
    open: Option<GroupProducer>,
    /// The newest group.
    group: Option<u64>,
    /// The place in it of the next frame.
    frame: u32,
}

/// Whether a group that ends is followed by another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Group,
    Nothing,
}

impl Pacer {
    /// Publishes all tracks of the plan, each from its publisher's set; none has a frame yet.
    ///
    /// # Errors
    ///
    /// If a path cannot be published.
    pub(super) fn publish(plan: &Plan, sets: &[Tracks]) -> anyhow::Result<Self> {
        let mut pacer = Self {
            schedule: Schedule::default(),
            tracks: Vec::new(),
        };
        for (publisher, set) in sets.iter().enumerate() {
            let shape = plan.shape(publisher);
            let first = publisher * plan.broadcasts;
            for track in first..first + plan.broadcasts {
                pacer.schedule.add(shape.beat(plan.seed, track));
                pacer.tracks.push(Track {
                    producer: set.create(plan.path(track)?, TrackInfo::default())?,
                    shape,
                    open: None,
                    group: None,
                    frame: 0,
                });
            }
        }
        Ok(pacer)
    }

    /// Writes every frame when it is due. After `stop` the groups that are open are completed, and
    /// it returns.
    ///
    /// # Errors
    ///
    /// If a group cannot be written, or the system has no timer.
    pub(super) async fn run(
        &mut self,
        board: Arc<Board>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let start = now_micros();
        let timer = Timer::new()?;
        loop {
            let next = if stop.is_cancelled() {
                Next::Nothing
            } else {
                Next::Group
            };
            let elapsed = Duration::from_micros(now_micros().saturating_sub(start));
            while let Some(due) = self.schedule.take(elapsed) {
                self.write(due, start, next, &board)?;
            }
            if next == Next::Nothing && self.tracks.iter().all(|track| track.open.is_none()) {
                return Ok(());
            }
            let Some(at) = self.schedule.next() else {
                stop.cancelled().await;
                continue;
            };
            tokio::select! {
                () = timer.wait(at.saturating_sub(elapsed)) => {}
                () = stop.cancelled(), if next == Next::Group => {}
            }
        }
    }

    fn write(&mut self, due: Due, start: u64, next: Next, board: &Board) -> Result<(), Error> {
        let track = &mut self.tracks[due.track];
        if track.open.is_none() && next == Next::Nothing {
            return Ok(());
        }
        let micros = start + due.at.as_micros() as u64;
        track.write(due.track as u64, micros)?;
        board.wrote(micros);
        Ok(())
    }

    /// Tells the newest group of a track.
    pub(super) fn newest(&self, track: usize) -> Option<u64> {
        self.tracks.get(track)?.group
    }
}

impl Track {
    fn write(&mut self, stream: u64, micros: u64) -> Result<(), Error> {
        let mut group = match self.open.take() {
            Some(group) => group,
            None => {
                self.frame = 0;
                self.producer.append_group()?
            }
        };
        self.group = Some(group.sequence());
        let frames = self.shape.grouping;
        let stamp = Stamp {
            stream,
            group: group.sequence(),
            frame: self.frame,
            frames,
            micros,
        };
        group.write_frame(encode(&stamp, self.shape.len(self.frame)))?;
        self.frame += 1;
        if self.frame < frames {
            self.open = Some(group);
            return Ok(());
        }
        group.finish()
    }
}
