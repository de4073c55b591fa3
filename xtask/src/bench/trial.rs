//! One run of one shape against one target.

use std::error::Error;
use std::fmt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::results::{Busy, Join, Trial, WithoutSlow};
use super::shape::{Focus, Shape};
use super::stage::{self, Programs, Stage};
use super::steal;
use super::syscalls;
use super::target::Target;
use super::usage::Usage;
use crate::process::{Line, Process, Teller};

/// How long a trial may take beyond what is measured.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long before the measurement the counting of system calls begins. What has only just joined
/// sends otherwise than later, and no shape that counts them has a warm-up much longer than twice
/// this.
const COUNTING: Duration = Duration::from_secs(1);

/// What the load tells, as far as it is of interest.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    Sample(Sample),
    Result(Summary),
}

#[derive(Clone, Debug, Deserialize)]
struct Sample {
    phase: String,
    seconds: f64,
    frames: u64,
    bytes: u64,
    latency: Quantiles,
}

#[derive(Clone, Debug, Deserialize)]
struct Summary {
    failed: u64,
    loss: f64,
    latency: Quantiles,
    latency_beside_slow: Quantiles,
    join: Quantiles,
    beyond: Quantiles,
    round_trip: Quantiles,
    announced: Quantiles,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Quantiles {
    count: u64,
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

/// What was seen when a phase began.
#[derive(Clone, Debug)]
struct Mark {
    sample: Sample,
    relay: Usage,
    load: Usage,
    /// What the host had taken from this machine.
    steal: u64,
}

/// What was used between two marks, or more of them.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    frames: u64,
    bytes: u64,
    seconds: f64,
    cpu: f64,
    load: f64,
    switches: f64,
}

/// What is noted while the load runs.
#[derive(Default)]
struct Notes {
    marks: Vec<Mark>,
    summary: Option<Summary>,
    counting: Option<Process>,
    /// System calls of the relay a second.
    syscalls: Option<f64>,
}

/// What is looked at when the load says something.
struct Watch {
    relay: u32,
    load: Arc<OnceLock<u32>>,
    /// How long after the warm-up begins system calls are to be counted, if at all.
    counts: Option<Duration>,
    notes: Arc<Mutex<Notes>>,
}

/// The load gave up.
#[derive(Debug)]
pub(super) struct Failed {
    status: ExitStatus,
    /// What relay and load said last.
    said: String,
    /// What the relay did meanwhile.
    pub(super) busy: Option<Busy>,
}

/// What is tried.
pub(super) struct Attempt<'a> {
    pub(super) target: &'a Target,
    pub(super) shape: &'a Shape,
    pub(super) run: u32,
    /// For how long it is measured.
    pub(super) seconds: u64,
    /// Whether system calls can be counted here.
    pub(super) counts: bool,
}

impl Attempt<'_> {
    /// Runs it.
    ///
    /// # Errors
    /// Where a program fails; loss is a result and no failure.
    pub(super) async fn run(&self, programs: &Programs) -> anyhow::Result<Trial> {
        let seconds = self.seconds.min(self.shape.at_most);
        let mut stage = Stage::set(self.target, programs, self.shape, seconds).await?;
        let notes = Arc::new(Mutex::new(Notes::default()));
        let load_pid = Arc::new(OnceLock::new());
        let watch = Watch {
            relay: stage.pid,
            load: Arc::clone(&load_pid),
            counts: self.counts_after(),
            notes: Arc::clone(&notes),
        };
        let mut load = stage.load(watch.teller())?;
        // It is read from only after this, on this same thread.
        let _ = load_pid.set(load.id().context("the load ended at once")?);
        let limit = PATIENCE + self.shape.lasts(seconds);
        let began = Instant::now();
        let status = timeout(limit, load.wait())
            .await
            .context("the load does not end")??;
        if !status.success() {
            let said = format!("{}\n{}", stage.tail(), load.log().tail(20).join("\n"));
            let busy = Usage::of(stage.pid).ok().map(|usage| Busy {
                cpu: usage.cpu,
                seconds: began.elapsed().as_secs_f64(),
            });
            return Err(Failed { status, said, busy }.into());
        }
        ensure!(
            stage.is_running(),
            "the relay ended under the load\n{}",
            stage.tail()
        );
        let counting = lock(&notes).counting.take();
        if let Some(counting) = counting {
            let rate = syscalls::rate(counting).await;
            lock(&notes).syscalls = rate;
        }
        let notes = lock(&notes);
        notes.trial(self)
    }

    /// How long after its warm-up begins system calls are counted: not without frames, nor in
    /// rounds, where the warm-up is silent at first.
    fn counts_after(&self) -> Option<Duration> {
        let warmup = Duration::from_millis(self.shape.warmup.into());
        let can = self.counts && self.shape.has_frames() && self.shape.rounds == 0;
        warmup.checked_sub(COUNTING).filter(|_| can)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the load failed: {}\n{}", self.status, self.said)
    }
}

impl Error for Failed {}

impl Watch {
    /// Notes what both processes have used whenever a phase begins.
    fn teller(self) -> Teller {
        Box::new(move |line: &Line| match serde_json::from_str(&line.text) {
            Ok(Event::Sample(sample)) => self.note(sample),
            Ok(Event::Result(summary)) => lock(&self.notes).summary = Some(summary),
            Err(_of_no_interest) => {}
        })
    }

    fn note(&self, sample: Sample) {
        if let Some(after) = self.counts.filter(|_| sample.phase == "warmup") {
            // Without it the figure is missing, and nothing else.
            let counting = stage::beside_the_load(syscalls::count(self.relay, after));
            lock(&self.notes).counting = counting.ok();
        }
        // A phase that is not noted is missed at the end.
        if let Ok((relay, load)) = self.usages() {
            let mark = Mark {
                sample,
                relay,
                load,
                steal: steal::ticks(),
            };
            lock(&self.notes).marks.push(mark);
        }
    }

    fn usages(&self) -> anyhow::Result<(Usage, Usage)> {
        let load = *self.load.get().context("there is no load")?;
        Ok((Usage::of(self.relay)?, Usage::of(load)?))
    }
}

impl Notes {
    fn mark(&self, phase: &str) -> anyhow::Result<&Mark> {
        let mark = self.marks.iter().find(|mark| mark.sample.phase == phase);
        mark.with_context(|| format!("the load did not get to phase {phase}"))
    }

    fn trial(&self, attempt: &Attempt<'_>) -> anyhow::Result<Trial> {
        let shape = attempt.shape;
        let (start, steady, end) = (
            self.mark("start")?,
            self.mark("steady")?,
            self.mark("drain")?,
        );
        let in_rounds = shape.rounds > 0;
        let used = if in_rounds {
            self.used_beside_slow()
        } else {
            Used::default().and(steady, end)
        };
        let summary = self.summary.as_ref();
        let latency = match summary {
            Some(summary) if in_rounds => summary.latency_beside_slow,
            Some(summary) => summary.latency,
            // Bare quinn has no summary: what it loses, quinn sends again.
            None => end.sample.latency,
        };
        let without_slow = summary.filter(|_| in_rounds).map(|summary| WithoutSlow {
            p50: millis(summary.latency.p50),
            p99: millis(summary.latency.p99),
        });
        let announcing = match shape.focus {
            Focus::Announcements => Some((self.mark("announcing")?, self.mark("ramp")?)),
            Focus::Frames(_) | Focus::Throughput | Focus::Memory | Focus::Join => None,
        };
        let grown = end.relay.since(&start.relay).heap;
        Ok(Trial {
            shape: shape.name.to_owned(),
            target: attempt.target.name().to_owned(),
            run: attempt.run,
            frames: used.frames,
            bytes: used.bytes,
            seconds: used.seconds,
            cpu: used.cpu,
            load_core: used.load / used.seconds,
            switches: used.switches,
            steal: end.steal.saturating_sub(steady.steal),
            syscalls: self.syscalls_per_frame(&steady.sample),
            kib_per_subscriber: (shape.subscribers > 0)
                .then(|| grown / f64::from(shape.subscribers)),
            rss: end.relay.rss as f64 / 1024.0,
            p50: millis(latency.p50),
            p99: millis(latency.p99),
            p999: millis(latency.p999),
            max: millis(latency.max),
            without_slow,
            join: summary.and_then(Summary::join),
            loss: summary.map(|summary| summary.loss),
            failed: summary.map_or(0, |summary| summary.failed),
            announced: announcing
                .and(summary)
                .map(|summary| summary.announced.max / 1e6),
            announce_cpu: announcing.map(|(from, to)| to.relay.since(&from.relay).cpu),
            heard: shape.heard(),
        })
    }

    /// What was used in those windows in which slow readers had come: every second one.
    fn used_beside_slow(&self) -> Used {
        let phase = |name: &'static str| {
            let marks = self.marks.iter();
            marks.filter(move |mark| mark.sample.phase == name)
        };
        let windows = phase("open").zip(phase("close")).skip(1).step_by(2);
        windows.fold(Used::default(), |used, (open, close)| used.and(open, close))
    }

    /// System calls for each frame: both by the second, of the warm-up.
    fn syscalls_per_frame(&self, steady: &Sample) -> Option<f64> {
        let warmup = &self.mark("warmup").ok()?.sample;
        let frames = steady.frames.checked_sub(warmup.frames)? as f64;
        let rate = frames / (steady.seconds - warmup.seconds);
        Some(self.syscalls? / rate).filter(|calls| calls.is_finite())
    }
}

impl Used {
    /// Adds what was used from one mark to another.
    fn and(self, from: &Mark, to: &Mark) -> Self {
        let relay = to.relay.since(&from.relay);
        Self {
            frames: self.frames + to.sample.frames - from.sample.frames,
            bytes: self.bytes + to.sample.bytes - from.sample.bytes,
            seconds: self.seconds + to.sample.seconds - from.sample.seconds,
            cpu: self.cpu + relay.cpu,
            load: self.load + to.load.since(&from.load).cpu,
            switches: self.switches + relay.switches,
        }
    }
}

impl Summary {
    fn join(&self) -> Option<Join> {
        (self.join.count > 0).then(|| Join {
            p50: millis(self.join.p50),
            p99: millis(self.join.p99),
            beyond_p50: millis(self.beyond.p50),
            beyond_p99: millis(self.beyond.p99),
            round_trip: millis(self.round_trip.p50),
        })
    }
}

fn millis(micros: f64) -> f64 {
    micros / 1e3
}

fn lock(notes: &Mutex<Notes>) -> MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_load_says_is_understood() {
        let sample = r#"{"event":"sample","phase":"steady","seconds":1.5,"frames":10,"bytes":100,"groups":1,
            "latency":{"count":1,"p50":1,"p90":1,"p99":2,"p999":2,"max":3}}"#;
        let event = serde_json::from_str(sample).unwrap();
        assert!(
            matches!(event, Event::Sample(sample) if sample.phase == "steady" && sample.frames == 10)
        );
        assert!(serde_json::from_str::<Event>(r#"{"event":"other"}"#).is_err());
    }

    #[test]
    fn only_every_second_window_is_one_with_slow_readers() {
        let mark = |phase: &str, frames| Mark {
            sample: Sample {
                phase: phase.to_owned(),
                seconds: frames as f64,
                frames,
                bytes: 0,
                latency: Quantiles::default(),
            },
            relay: Usage {
                cpu: 2.0 * frames as f64,
                ..Usage::default()
            },
            load: Usage::default(),
            steal: 0,
        };
        // Windows of 1, 2, 4 and 8 frames, with a silence between them.
        let windows = [(0, 1), (10, 12), (20, 24), (30, 38)];
        let marks = windows.map(|(from, to)| [mark("open", from), mark("close", to)]);
        let notes = Notes {
            marks: marks.concat(),
            ..Notes::default()
        };
        let used = notes.used_beside_slow();
        assert_eq!((used.frames, used.seconds, used.cpu), (10, 10.0, 20.0));
    }
}
