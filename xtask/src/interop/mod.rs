//! The relay among the programs that spoke this protocol before it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use console::Color;
use futures_util::StreamExt as _;
use futures_util::stream;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, timeout};

use self::cases::{Case, Scene};
use self::media::Film;
use self::peers::Folder;
use self::play::Troupe;
use self::stage::Stage;
use crate::cargo::{self, Binaries, Profile};
use crate::term::{self, Table, say};

mod cases;
mod clock;
mod conformance;
mod media;
mod mixed;
pub(crate) mod peers;
mod play;
mod stage;

/// How long a case may take.
const LIMIT: Duration = Duration::from_secs(90);

/// How many lines of each process are shown when a case failed.
const TAIL: usize = 25;

/// The columns of the table.
const HEADER: &[&str] = &[
    "scene",
    "publisher",
    "relay",
    "subscriber",
    "transport",
    "dialects",
    "result",
    "seconds",
];

/// Runs the published programs of three generations against the relay.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask interop                          everything; the first time compiles the peers
  cargo xtask interop --list                   what there is
  cargo xtask interop --case 'media 0.11.1'    the cases with both words in their row
  cargo xtask interop --relay-bin moq-relay    another relay with the same flags

The peers are kept in $MOQ_PEERS_DIR, else in moq-relay/peers in the user's cache folder.")]
pub(crate) struct Args {
    /// Runs only the cases whose row holds all of these words, and none that has a ! before it;
    /// may be given several times
    #[arg(long, value_name = "FILTER")]
    case: Vec<String>,

    /// Lists the cases and ends
    #[arg(long)]
    list: bool,

    /// How many cases run at the same time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,

    /// Tests this relay instead of ours
    #[arg(long, value_name = "PATH")]
    relay_bin: Option<PathBuf>,

    /// Compiles with optimisation
    #[arg(long)]
    release: bool,
}

/// Installs what is missing, runs the cases, and prints a row for each.
///
/// # Errors
/// Where something could not be prepared; a case that fails makes the exit code.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut cases = chosen(&args.case);
    ensure!(
        !cases.is_empty(),
        "no case has all these words in its row: see --list"
    );
    if args.list {
        list(&cases);
        return Ok(ExitCode::SUCCESS);
    }
    if args.relay_bin.is_some() && cases.iter().any(|case| case.scene == Scene::Cluster) {
        say!("note: the clusters are left out: they are tests of this repository's own relay");
        cases.retain(|case| case.scene != Scene::Cluster);
    }
    let troupe = prepare(args.relay_bin, args.release, &cases).await?;
    let progress = Progress::new(cases.len());
    let played = stream::iter(&cases).map(|case| play(&troupe, case, &progress));
    let played: Vec<_> = played.buffered(args.jobs.into()).collect().await;
    progress.end();
    Ok(report(&cases, &played))
}

fn chosen(filters: &[String]) -> Vec<Case> {
    let mut cases = cases::all();
    cases.retain(|case| filters.is_empty() || filters.iter().any(|filter| case.matches(filter)));
    cases
}

fn list(cases: &[Case]) {
    let mut table = Table::new(&HEADER[..6]);
    for case in cases {
        table.push(case.cells().to_vec());
    }
    table.print();
}

/// Builds our programs, installs theirs and makes the film, as far as the cases need them.
async fn prepare(relay: Option<PathBuf>, release: bool, cases: &[Case]) -> anyhow::Result<Troupe> {
    let peers = Folder::find()?;
    let needed: BTreeSet<_> = cases.iter().flat_map(Case::peers).collect();
    peers.install(&needed).await?;
    let profile = if release {
        Profile::Release
    } else {
        Profile::Dev
    };
    let ours = Binaries::build(profile).await?;
    let needs_film = cases.iter().any(|case| case.scene == Scene::Media);
    let film = if needs_film {
        Some(Film::make().await?)
    } else {
        None
    };
    let mixed = if cases.iter().any(|case| case.scene == Scene::Cluster) {
        Some(cargo::test_program(mixed::SOURCE, profile).await?)
    } else {
        None
    };
    Ok(Troupe {
        mixed,
        peers,
        ours,
        relay,
        film,
    })
}

/// How a case went.
struct Played {
    /// What it has to say for itself, or what went wrong.
    result: Result<String, Failure>,
    took: Duration,
}

/// Why a case failed, and what everyone printed.
struct Failure {
    error: anyhow::Error,
    tails: String,
}

async fn play(troupe: &Troupe, case: &Case, progress: &Progress) -> Played {
    let started = Instant::now();
    let result = on_stage(troupe, case).await;
    let played = Played {
        result,
        took: started.elapsed(),
    };
    progress.step(case, &played);
    played
}

async fn on_stage(troupe: &Troupe, case: &Case) -> Result<String, Failure> {
    let stage = Stage::new();
    let mut stage = stage.map_err(|error| Failure {
        error,
        tails: String::new(),
    })?;
    let played = timeout(LIMIT, play::play(troupe, &mut stage, case)).await;
    let played = played.context("it took too long").flatten();
    played.map_err(|error| Failure {
        error,
        tails: stage.tails(TAIL),
    })
}

/// A bar on a terminal, a line per case otherwise.
struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    fn new(cases: usize) -> Self {
        let bar = term::watched().then(|| {
            let bar = ProgressBar::new(cases as u64);
            let style = ProgressStyle::with_template("[{elapsed}] {bar:40} {pos}/{len} {msg}");
            style.map_or(bar.clone(), |style| bar.with_style(style))
        });
        Self { bar }
    }

    fn step(&self, case: &Case, played: &Played) {
        let verdict = if played.result.is_ok() {
            "passed"
        } else {
            "FAILED"
        };
        let line = format!("{verdict}: {}", case.cells().join(" "));
        match &self.bar {
            Some(bar) => {
                bar.set_message(line);
                bar.inc(1);
            }
            None => say!("{line} ({}s)", term::seconds(played.took)),
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Prints the table, and everything there is about the cases that failed.
fn report(cases: &[Case], played: &[Played]) -> ExitCode {
    let mut table = Table::new(HEADER);
    let mut failed = 0;
    for (case, played) in cases.iter().zip(played) {
        let mut row = case.cells().to_vec();
        row.push(match &played.result {
            Ok(remark) => format!("{} {remark}", term::paint("passed", Color::Green)),
            Err(failure) => {
                failed += 1;
                say!(
                    "\n{} {}: {:#}",
                    term::red("FAILED"),
                    row.join(" "),
                    failure.error
                );
                say!("{}", failure.tails);
                term::red("FAILED")
            }
        });
        row.push(term::seconds(played.took));
        table.push(row);
    }
    say!("");
    table.print();
    say!("\ncases: {} passed, {failed} failed", cases.len() - failed);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
