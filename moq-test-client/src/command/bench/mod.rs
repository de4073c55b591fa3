//! `bench`: a load of any size, and what becomes of it.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use moq_transfork::path::Path;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::bench;
use crate::bench::plan::{Plan, Role, Stay};
use crate::bench::range::{self, Range};
use crate::bench::rounds::RoundsArgs;
use crate::bench::run;
use crate::bench::sample::{Sample, Summary};
use crate::command::{Context, Outcome, written};
use crate::dial::DialOptions;
use crate::output::{Format, Progress, Results};
use crate::units;

/// Samples that wait to be shown; more than that are waited for.
const SAMPLES: usize = 64;

/// A load, and who bears it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Numbers written LOW..HIGH are rolled for every connection, the same ones for the same --seed. Latency counts from when a frame was due, so that a stall shows in every frame that waited
for it. A group counts as lost if it never came though a later one did, or was published here.

With --format json: a line with \"event\":\"sample\" at every phase and interval, its counters
cumulative, and a last one with \"event\":\"result\". Latencies are in microseconds.

Examples:
  100 subscribers of one track:
    moq-test-client -r http://localhost:4443 bench --subscribers 100 --fps 50 --frame-size 1K
  1,000 rooms of ten, each with a track of its own:
    moq-test-client bench --publishers 100 --broadcasts 10 --subscribers 1000 --subscriptions 10
  As much as the relay can bear, up to eight frames under way:
    moq-test-client bench --subscribers 100 --in-flight 8 --frame-size 10K
  The roles on two machines:
    moq-test-client -r URL bench --role publish   --prefix demo --duration 60s
    moq-test-client -r URL bench --role subscribe --prefix demo --subscribers 500

Exit code 1 if anything was lost, cut, doubled or corrupt, or a session failed; unless
--allow-loss.")]
pub struct Args {
    /// Which roles to play here. Another process with the same numbers and --prefix plays the other.
    #[arg(long, value_enum, default_value_t, value_name = "ROLE")]
    role: Role,

    /// Below which path the tracks are [default: bench/NUMBER, a random one].
    #[arg(long, value_name = "PATH")]
    prefix: Option<Path>,

    /// Connections that publish.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    publishers: usize,

    /// Tracks that each of them publishes.
    #[arg(long, value_name = "COUNT", default_value = "1",
          value_parser = |text: &str| range::parse_with(text, range::number::<u32>))]
    broadcasts: Range<u32>,

    /// Connections that subscribe.
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    subscribers: usize,

    /// Tracks that each of them subscribes to.
    #[arg(long, value_name = "COUNT", default_value = "1",
          value_parser = |text: &str| range::parse_with(text, range::number::<u32>))]
    subscriptions: Range<u32>,

    /// How many of the subscribers read slowly; they are left out of the results.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    slow: usize,

    /// How many bytes a second a slow one reads.
    #[arg(long, value_name = "BYTES", default_value = "10K", value_parser = units::parse_bytes)]
    slow_rate: usize,

    /// When slow ones are there: with every-second-round, what the others have of it is told apart.
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    slow_stay: Stay,

    /// Connections that only follow what is announced.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    listeners: usize,

    /// Frames a second and track; 0 publishes none.
    #[arg(long, value_name = "RATE", default_value = "30",
          value_parser = |text: &str| range::parse_with(text, parse_rate))]
    fps: Range<f64>,

    /// Instead of a rate, as fast as frames arrive: so many of a track may be under way.
    #[arg(long, value_name = "COUNT", conflicts_with = "fps",
          value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: Option<u32>,

    /// Bytes of a frame, at least 44.
    #[arg(long, value_name = "BYTES", default_value = "1K",
          value_parser = |text: &str| range::parse_with(text, parse_size))]
    frame_size: Range<u32>,

    /// Frames of a group.
    #[arg(long, value_name = "COUNT", default_value = "30",
          value_parser = |text: &str| range::parse_with(text, parse_grouping))]
    frames_per_group: Range<u32>,

    /// How many times larger the first frame of a group is.
    #[arg(long, value_name = "FACTOR", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    key_frame: u32,

    /// What is rolled follows from this.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// Over how long the subscribers come [default: 5 ms each].
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration)]
    ramp: Option<Duration>,

    /// How long each of them stays [default: to the end].
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration)]
    stay: Option<Duration>,

    #[command(flatten)]
    rounds: RoundsArgs,

    /// How long the relay may settle once all are there.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = units::parse_duration)]
    warmup: Duration,

    /// How long to measure.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::parse_duration)]
    duration: Duration,

    /// How long frames may be under way afterwards.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = units::parse_duration)]
    drain: Duration,

    /// How often to tell how it goes.
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = units::parse_duration)]
    interval: Duration,

    /// Exit with 0 whatever was lost.
    #[arg(long)]
    allow_loss: bool,
}

/// Runs `bench`.
///
/// # Errors
///
/// When the relay cannot be reached, or does not announce the tracks.
pub async fn run(context: &mut Context, args: &Args) -> anyhow::Result<Outcome> {
    let plan = args.plan(context.options.clone())?;
    let (samples, mut shown) = mpsc::channel(SAMPLES);
    let stop = context.stop.child_token();
    let result = start(plan, samples, stop)?;
    let progress = Progress::new(Results::Few);
    while let Some(sample) = shown.recv().await {
        match context.output.format() {
            Format::Json => written(progress.pause(|| context.output.event(&sample)))?,
            Format::Text => progress.set(sample.to_string()),
        }
    }
    drop(progress);
    let summary = result.await.context("the benchmark's thread died")??;
    written(context.output.event(&summary))?;
    if summary.is_flawless() || args.allow_loss {
        Ok(Outcome::Done)
    } else {
        Ok(Outcome::Failed)
    }
}

/// Plays the plan on a thread of its own; where frames have a rate, its tasks run on another.
fn start(
    plan: Plan,
    samples: mpsc::Sender<Sample>,
    stop: CancellationToken,
) -> anyhow::Result<oneshot::Receiver<anyhow::Result<Summary>>> {
    let (done, result) = oneshot::channel();
    let runtime = bench::runtime(plan.in_flight.is_some())?;
    let play = move || {
        let summary = runtime.block_on(run::run(plan, samples, stop));
        // Who asked may have given up.
        let _ = done.send(summary);
    };
    thread::Builder::new()
        .name("bench".to_owned())
        .spawn(play)?;
    Ok(result)
}

impl Args {
    fn plan(&self, dial: DialOptions) -> anyhow::Result<Plan> {
        ensure!(
            self.slow <= self.subscribers,
            "--slow cannot be more than --subscribers"
        );
        ensure!(
            self.in_flight.is_none() || self.role == Role::Both,
            "--in-flight needs both roles here: it goes by what arrives"
        );
        ensure!(
            self.slow_stay == Stay::Always || self.rounds.rounds().is_some(),
            "--slow-stay every-second-round needs --rounds"
        );
        ensure!(!self.interval.is_zero(), "--interval cannot be 0");
        let prefix = match &self.prefix {
            Some(prefix) => prefix.clone(),
            None => format!("bench/{:08x}", crate::unique::random() >> 32).parse()?,
        };
        Ok(Plan {
            dial,
            role: self.role,
            prefix,
            publishers: self.publishers,
            broadcasts: self.broadcasts,
            subscribers: self.subscribers,
            subscriptions: self.subscriptions,
            slow: self.slow,
            slow_rate: self.slow_rate as u64,
            slow_stay: self.slow_stay,
            listeners: self.listeners,
            rate: self.fps,
            in_flight: self.in_flight,
            size: self.frame_size,
            grouping: self.frames_per_group,
            key_frame: self.key_frame,
            seed: self.seed,
            ramp: self
                .ramp
                .unwrap_or(Duration::from_millis(5) * self.subscribers as u32),
            warmup: self.warmup,
            duration: self.duration,
            stay: self.stay,
            rounds: self.rounds.rounds(),
            drain: self.drain,
            interval: self.interval,
        })
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.0..=1e6).contains(&rate) => Ok(rate),
        _ => Err(format!(
            "{text:?} is not a rate: write a number from 0 to 1000000"
        )),
    }
}

fn parse_size(text: &str) -> Result<u32, String> {
    let size = units::parse_bytes(text)?;
    let fits = u32::try_from(size).ok().filter(|&size| size <= 1 << 26);
    fits.ok_or_else(|| format!("{text:?} is more than a frame may have: 64M"))
}

fn parse_grouping(text: &str) -> Result<u32, String> {
    match range::number(text)? {
        0 => Err("a group has at least one frame".to_owned()),
        frames => Ok(frames),
    }
}
