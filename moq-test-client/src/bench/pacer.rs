//! Publishes the frames when they are due.

use std::sync::Arc;
use std::time::Duration;

use moq_relay_core::error::Error;
use moq_relay_core::model::group::GroupProducer;
use moq_relay_core::model::track::{TrackInfo, TrackProducer};
use moq_relay_core::tracks::Tracks;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::board::{Board, now_micros};
use super::flood::Flood;
use super::plan::{Plan, Shape};
use super::schedule::Schedule;
use super::timer::Timer;
use crate::payload::{Stamp, encode};

/// The tracks of all publishers, on one clock.
pub(super) struct Pacer {
    schedule: Schedule,
    tracks: Vec<Track>,
    /// When the first frame is due, in microseconds since the Unix epoch, unless that is at once.
    begin: Option<u64>,
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
            begin: plan.rounds.map(|rounds| rounds.warm()),
        };
        for (publisher, set) in sets.iter().enumerate() {
            let shape = plan.shape(publisher);
            for number in 0..plan.tracks_by(publisher) {
                let path = plan.path_of(publisher, number)?;
                pacer
                    .schedule
                    .add(shape.beat(plan.seed, pacer.tracks.len()));
                pacer.tracks.push(Track {
                    producer: set.create(path, TrackInfo::default())?,
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
        let begin = self.begin().await;
        let timer = Timer::new()?;
        loop {
            let next = if stop.is_cancelled() {
                Next::Nothing
            } else {
                Next::Group
            };
            let now = now_micros();
            let since = Duration::from_micros(now.saturating_sub(begin));
            while let Some(due) = self.schedule.take(since) {
                self.write(due.track, after(begin, due.at), next, &board)?;
            }
            if next == Next::Nothing && self.is_complete() {
                return Ok(());
            }
            let Some(at) = self.schedule.next() else {
                stop.cancelled().await;
                continue;
            };
            let wait = Duration::from_micros(after(begin, at).saturating_sub(now));
            tokio::select! {
                () = timer.wait(wait) => {}
                () = stop.cancelled(), if next == Next::Group => {}
            }
        }
    }

    /// Writes frames as fast as they arrive, from when there are as many subscriptions as `flood`
    /// says. After `stop` the groups that are open are completed, and it returns.
    ///
    /// # Errors
    ///
    /// If a group cannot be written.
    pub(super) async fn flood(
        &mut self,
        mut flood: Flood,
        board: Arc<Board>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut turns = (0..self.tracks.len()).cycle();
        self.begin().await;
        while !stop.is_cancelled() {
            while flood.has_room(&board) {
                let Some(track) = turns.next() else { break };
                self.write(track, now_micros(), Next::Group, &board)?;
            }
            tokio::select! {
                () = flood.wait(&board) => {}
                () = stop.cancelled() => {}
            }
        }
        for track in 0..self.tracks.len() {
            while self.tracks[track].open.is_some() {
                self.write(track, now_micros(), Next::Nothing, &board)?;
            }
        }
        Ok(())
    }

    /// Waits until the first frame is due, and returns when that is.
    async fn begin(&self) -> u64 {
        let now = now_micros();
        let begin = self.begin.unwrap_or(now);
        sleep(Duration::from_micros(begin.saturating_sub(now))).await;
        begin
    }

    fn write(&mut self, index: usize, due: u64, next: Next, board: &Board) -> Result<(), Error> {
        let track = &mut self.tracks[index];
        if track.open.is_none() && next == Next::Nothing {
            return Ok(());
        }
        track.write(index as u64, due)?;
        board.wrote(due);
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.tracks.iter().all(|track| track.open.is_none())
    }

    /// Tells the newest group of a track.
    pub(super) fn newest(&self, track: usize) -> Option<u64> {
        self.tracks.get(track)?.group
    }
}

/// The time after another one, in microseconds.
fn after(begin: u64, time: Duration) -> u64 {
    begin + time.as_micros() as u64
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
