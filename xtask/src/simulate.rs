//! The simulation of clusters, whole: many seeds, many nodes, with progress.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::cargo::Binaries;
use crate::process::{Launch, Line};
use crate::term::{self, say};

/// Simulates clusters: each seed is a story of joins, deaths, partitions and republishing.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask simulate                          1,000 stories of 200 nodes: hours of processor time
  cargo xtask simulate --seeds 100 --nodes 40   a smaller one
  cargo xtask simulate --seed 17 --seeds 1      one story again
  cargo xtask simulate --seed 350 --seeds 650   the rest of a run that was stopped

After each quiet moment what every node announces has to be what is published where it can reach,
each pair of nodes has one link, and in the end no task is left. The tests do the same with 220
stories of 4 to 12 nodes.")]
pub(crate) struct Args {
    /// Nodes of each cluster, besides its root
    #[arg(long, default_value_t = 200)]
    nodes: usize,

    /// Stories
    #[arg(long, default_value_t = 1000)]
    seeds: u64,

    /// The seed of the first story; the others follow
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Stories at a time [default: one for each processor]
    #[arg(long)]
    jobs: Option<usize>,
}

/// Builds the simulation with optimisation, and tells its stories.
///
/// # Errors
/// Where it cannot be built or started; a story that ends badly makes the exit code.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let built = Binaries::build_example("simulate").await?;
    let jobs = args
        .jobs
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let launch = Launch::new("simulation", built.path("simulate")?).args([
        format!("--nodes={}", args.nodes),
        format!("--seeds={}", args.seeds),
        format!("--seed={}", args.seed),
        format!("--jobs={jobs}"),
    ]);
    let start = Instant::now();
    let bar = bar(args.seeds);
    let shown = bar.clone();
    let mut process = launch.start_told(Some(Box::new(move |line: &Line| tell(&shown, line))))?;
    let status = process.wait().await?;
    bar.finish_and_clear();
    let log = process.log();
    let stories: Vec<_> = log
        .stdout()
        .iter()
        .filter_map(|line| Story::of(line))
        .collect();
    ensure!(
        !stories.is_empty(),
        "no story was told:\n{}",
        log.tail(20).join("\n")
    );
    report(&stories, &args, start.elapsed());
    let is_whole = stories.len() as u64 == args.seeds && status.success();
    Ok(if is_whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// How one story ended.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Story {
    seed: u64,
    /// From the last event until all knew the truth, at its longest; `None` if they never did.
    settled: Option<Duration>,
}

impl Story {
    /// Reads a line of the simulation.
    fn of(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("seed ")?;
        if let Some((seed, _)) = rest.split_once(" FAILED") {
            let seed = seed.parse().ok()?;
            return Some(Self {
                seed,
                settled: None,
            });
        }
        let (seed, rest) = rest.split_once(": ")?;
        let (_, rest) = rest.split_once("settled: ")?;
        let (settled, _) = rest.split_once(',')?;
        Some(Self {
            seed: seed.parse().ok()?,
            settled: Some(printed(settled)?),
        })
    }
}

/// Reads a duration as `Debug` prints it.
fn printed(text: &str) -> Option<Duration> {
    let number = text.trim_end_matches(char::is_alphabetic);
    let unit = match &text[number.len()..] {
        "s" => 1.0,
        "ms" => 1e-3,
        "µs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * unit).ok()
}

fn bar(stories: u64) -> ProgressBar {
    if !term::watched() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("[{elapsed}] {bar:40} {pos}/{len}, {eta} left {msg}");
    let bar = ProgressBar::new(stories);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

/// Moves the bar, or where nobody watches, repeats the line.
fn tell(bar: &ProgressBar, line: &Line) {
    let is_bad = line.text.contains("FAILED");
    if bar.is_hidden() || is_bad {
        bar.suspend(|| say!("{}", line.text));
    }
    if Story::of(&line.text).is_some() {
        bar.inc(1);
    }
}

fn report(stories: &[Story], args: &Args, took: Duration) {
    let failed: Vec<_> = stories
        .iter()
        .filter(|story| story.settled.is_none())
        .collect();
    let longest = stories.iter().max_by_key(|story| story.settled);
    say!(
        "{} of {} stories of {} nodes in {} s, {} failed",
        stories.len(),
        args.seeds,
        args.nodes,
        term::seconds(took),
        failed.len()
    );
    for story in failed {
        say!(
            "again: cargo xtask simulate --nodes {} --seeds 1 --seed {}",
            args.nodes,
            story.seed
        );
    }
    if let Some((seed, settled)) = longest.and_then(|story| Some((story.seed, story.settled?))) {
        let settled = term::seconds(settled);
        say!(
            "the truth was known everywhere at most {settled} s after the last event (seed {seed})"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stories_are_read_whether_they_ended_well_or_not() {
        let good = "seed 7: Told { settled: 4.8s, events: 183, links: 2 }, longest so far 4.8s";
        let quick = "seed 8: Told { settled: 300ms, events: 183, links: 2 }, longest so far 4.8s";
        let settled = |line: &str| Story::of(line).and_then(|story| story.settled);
        assert_eq!(settled(good), Some(Duration::from_millis(4800)));
        assert_eq!(settled(quick), Some(Duration::from_millis(300)));
        assert_eq!(printed("0ns"), Some(Duration::ZERO));
        assert_eq!(printed("1.5µs"), Some(Duration::from_nanos(1500)));
        assert_eq!(printed("4.8h"), None);
        let bad = Story {
            seed: 9,
            settled: None,
        };
        assert_eq!(Story::of("seed 9 FAILED: n1 has ghosts"), Some(bad));
        assert_eq!(Story::of("3 stories of 200 nodes, 0 failed"), None);
    }
}
