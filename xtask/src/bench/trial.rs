//! One run of one shape against one target.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use tokio::time::timeout;

use super::results::Trial;
use super::shape::{Focus, Shape};
use super::target::{Programs, Target};
use super::usage::Usage;
use crate::process::{Line, Teller};

/// How long a trial may take beyond what is measured.
const PATIENCE: Duration = Duration::from_secs(120);

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
    join: Quantiles,
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
}

/// What is noted while the load runs.
#[derive(Default)]
struct Notes {
    marks: Vec<Mark>,
    summary: Option<Summary>,
}

/// Runs it, and measures for `seconds`.
///
/// # Errors
/// Where a program fails; loss is a result and no failure.
pub(super) async fn run(
    target: &Target,
    shape: &Shape,
    run: u32,
    seconds: u64,
    programs: &Programs,
) -> anyhow::Result<Trial> {
    let mut stage = target.start(programs, shape, seconds).await?;
    let notes = Arc::new(Mutex::new(Notes::default()));
    let load_pid = Arc::new(OnceLock::new());
    let teller = teller(stage.pid, Arc::clone(&load_pid), Arc::clone(&notes));
    let mut load = stage.load(teller)?;
    // It is read from only after this, on this same thread.
    let _ = load_pid.set(load.id().context("the load ended at once")?);
    let limit = PATIENCE + Duration::from_secs(seconds);
    let status = timeout(limit, load.wait())
        .await
        .context("the load does not end")??;
    let said = || format!("{}\n{}", load.log().tail(20).join("\n"), stage.tail());
    ensure!(status.success(), "the load failed: {status}\n{}", said());
    ensure!(
        stage.is_running(),
        "the relay ended under the load\n{}",
        stage.tail()
    );
    let notes = lock(&notes);
    notes.trial(target, shape, run)
}

/// Notes what both processes have used whenever a phase begins.
fn teller(relay: u32, load: Arc<OnceLock<u32>>, notes: Arc<Mutex<Notes>>) -> Teller {
    let usages = move || {
        let load = *load.get().context("there is no load")?;
        anyhow::Ok((Usage::of(relay)?, Usage::of(load)?))
    };
    Box::new(move |line: &Line| match serde_json::from_str(&line.text) {
        Ok(Event::Sample(sample)) => {
            // A phase that is not noted is missed at the end.
            if let Ok((relay, load)) = usages() {
                let mark = Mark {
                    sample,
                    relay,
                    load,
                };
                lock(&notes).marks.push(mark);
            }
        }
        Ok(Event::Result(summary)) => lock(&notes).summary = Some(summary),
        Err(_of_no_interest) => {}
    })
}

impl Notes {
    fn mark(&self, phase: &str) -> anyhow::Result<&Mark> {
        let mark = self.marks.iter().find(|mark| mark.sample.phase == phase);
        mark.with_context(|| format!("the load did not get to phase {phase}"))
    }

    fn trial(&self, target: &Target, shape: &Shape, run: u32) -> anyhow::Result<Trial> {
        let (start, steady, end) = (
            self.mark("start")?,
            self.mark("steady")?,
            self.mark("drain")?,
        );
        let spent = end.relay.since(&steady.relay);
        let seconds = end.sample.seconds - steady.sample.seconds;
        let summary = self.summary.as_ref();
        // Bare quinn has no summary: what it loses, quinn sends again.
        let latency = summary.map_or(end.sample.latency, |summary| summary.latency);
        let millis = |micros: f64| micros / 1e3;
        let announcing = match shape.focus {
            Focus::Announcements => Some((self.mark("announcing")?, self.mark("ramp")?)),
            Focus::Frames(_) | Focus::Memory => None,
        };
        let grown = end.relay.since(&start.relay).rss;
        Ok(Trial {
            shape: shape.name.to_owned(),
            target: target.name().to_owned(),
            run,
            frames: end.sample.frames - steady.sample.frames,
            bytes: end.sample.bytes - steady.sample.bytes,
            seconds,
            cpu: spent.cpu,
            load_core: end.load.since(&steady.load).cpu / seconds,
            switches: spent.switches,
            kib_per_subscriber: (shape.subscribers > 0)
                .then(|| grown / f64::from(shape.subscribers)),
            p50: millis(latency.p50),
            p99: millis(latency.p99),
            p999: millis(latency.p999),
            max: millis(latency.max),
            join: summary
                .filter(|summary| summary.join.count > 0)
                .map(|summary| millis(summary.join.p99)),
            loss: summary.map(|summary| summary.loss),
            failed: summary.map_or(0, |summary| summary.failed),
            announced: announcing
                .and(summary)
                .map(|summary| summary.announced.max / 1e6),
            announce_cpu: announcing.map(|(from, to)| to.relay.since(&from.relay).cpu),
        })
    }
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
}
