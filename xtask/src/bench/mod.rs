//! What a delivered frame costs: our relay beside bare quinn and the published one, run by run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use tokio::time::Instant;

use self::results::{Failure, Machine, Results};
use self::shape::{Shape, batches};
use self::stage::Programs;
use self::target::{Running, Streams, Target, turns};
use self::trial::{Attempt, Failed};
use crate::cargo::{self, Binaries};
use crate::client::Transport;
use crate::interop::peers::{Folder, SEED};
use crate::process::Process;
use crate::term::{self, Table, say};

mod awake;
mod page;
mod plot;
mod report;
mod results;
mod shape;
mod shapes;
mod stage;
mod stats;
mod steal;
mod syscalls;
mod target;
mod trial;
mod usage;
mod verdict;

/// Up to this load average a machine is taken to be at rest.
const QUIET: f64 = 0.5;

/// So often a target may fail at a shape before it is left out of it.
const GIVE_UP: usize = 2;

/// Where the results are kept that the page is made from.
const RESULTS: &str = "docs/performance.json";

/// Measures relays against each other, and against the floor
#[derive(clap::Args)]
#[command(after_help = "\
Every shape is run against every target in turns, forth and back (A B C C B A ...), the relay alone
on processor 0 and the load on processor 1. Ratios compare within a run; each figure is a median
[least..most].

Examples:
  cargo xtask bench --quick                        four shapes, in under five minutes
  cargo xtask bench --shape audio --runs 3         one shape
  cargo xtask bench --write                        everything, and docs/performance.md from it
  cargo xtask bench --page                         the page again, from the results kept
  cargo xtask bench --against new=moqf://localhost:4443,$PID,draft03")]
pub(crate) struct Args {
    /// Runs a few shapes, three times, shortly
    #[arg(long)]
    quick: bool,

    /// Runs this shape; may be given several times
    #[arg(long, value_name = "NAME")]
    shape: Vec<String>,

    /// Lists the shapes and ends
    #[arg(long)]
    list: bool,

    /// How often each is run [default: 5, or 3 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,

    /// For how long each run measures, in seconds [default: 4, or 2 with --quick]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,

    /// Also measures a relay that runs, pinned to processor 0 by whoever started it
    #[arg(long, value_name = "NAME=URL,PID[,DIALECT]")]
    against: Vec<Running>,

    /// Leaves out a target: bare, bare-group, ours or seed
    #[arg(long, value_name = "TARGET")]
    without: Vec<String>,

    /// What is spoken to the relays
    #[arg(long, value_enum, default_value_t = Transport::Quic)]
    transport: Transport,

    /// Measures this program instead of our relay built from the sources
    #[arg(long, value_name = "PATH")]
    relay_bin: Option<PathBuf>,

    /// Measures the programs in this folder, such as target/release, and builds nothing
    #[arg(long, value_name = "PATH")]
    programs: Option<PathBuf>,

    /// Where to write the results as JSON
    #[arg(long, value_name = "PATH", default_value = "target/bench.json")]
    out: PathBuf,

    /// Also keeps the results in docs/performance.json, and makes docs/performance.md from them
    #[arg(long)]
    write: bool,

    /// Keeps the processors awake between two frames, with `chrt` of util-linux: steadier, but
    /// another machine than most relays run on
    #[arg(long)]
    awake: bool,

    /// A sentence on the circumstances, for the results
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,

    /// Makes docs/performance.md from the results that are kept, and ends
    #[arg(long)]
    page: bool,
}

/// Measures, and prints a table for each shape.
///
/// # Errors
/// Where something cannot be built, started or written.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let docs = cargo::root().join("docs");
    if args.page {
        page::write(&Results::load(&cargo::root().join(RESULTS))?, &docs)?;
        return Ok(ExitCode::SUCCESS);
    }
    let shapes = args.shapes()?;
    if args.list {
        list(&shapes);
        return Ok(ExitCode::SUCCESS);
    }
    let targets = args.targets();
    let began = Instant::now();
    let programs = args.build(&targets).await?;
    let built = began.elapsed().as_secs_f64();
    let results = measure(&args, &shapes, &targets, &programs).await?;
    let measured = began.elapsed().as_secs_f64() - built;
    say!("measured for {measured:.0} s, after {built:.0} s of building");
    say!("\nresults: {}", args.out.display());
    if args.write {
        results.save(&cargo::root().join(RESULTS))?;
        page::write(&results, &docs)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs each shape against each target, in turns.
async fn measure(
    args: &Args,
    shapes: &[Shape],
    targets: &[Target],
    programs: &Programs,
) -> anyhow::Result<Results> {
    let (runs, seconds) = args.amount();
    let mut results = Results {
        machine: Machine::here().await,
        note: args.note.clone(),
        without_syscalls: syscalls::obstacle().await,
        awake: false,
        trials: Vec::new(),
        failures: Vec::new(),
    };
    if results.machine.load > QUIET {
        say!(
            "others are at work here (load average {:.1}): go by the ratios alone",
            results.machine.load
        );
    }
    if let Some(why) = &results.without_syscalls {
        say!("system calls are not counted: {why}");
    }
    let awake = args.keep_awake().await?;
    results.awake = awake.is_some();
    for batch in batches(shapes) {
        for shape in &batch {
            say!("\n{}: {}", shape.name, shape.about);
        }
        take_turns(&mut results, &batch, targets, (runs, seconds), programs).await;
        for shape in &batch {
            show(&results, shape);
        }
        // What was measured is not lost with what comes after it.
        results.save(&args.out)?;
    }
    say!("\nIn short:");
    print(verdict::table(&results));
    let (most, all) = results.steal();
    say!(
        "\nload average {:.1} before; the host took up to {most} hundredths of a second of a run, \
         {all} in all",
        results.machine.load
    );
    // Until here the processors were kept awake, where that was asked for.
    drop(awake);
    Ok(results)
}

/// Runs shapes that are compared with each other, so that all of a run lie close together.
async fn take_turns(
    results: &mut Results,
    batch: &[Shape],
    targets: &[Target],
    (runs, seconds): (u32, u64),
    programs: &Programs,
) {
    for run in 0..runs {
        for target in turns(targets, run) {
            for shape in batch.iter().filter(|shape| target.takes(shape)) {
                if results.failures(shape.name, target.name()).len() >= GIVE_UP {
                    continue;
                }
                let attempt = Attempt {
                    target,
                    shape,
                    run,
                    seconds,
                    counts: results.without_syscalls.is_none(),
                };
                let tried = attempt.run(programs).await;
                match tried.with_context(|| format!("{} against {}", shape.name, target.name())) {
                    Ok(trial) => results.trials.push(trial),
                    // One that cannot do it is no reason to lose what the others did.
                    Err(error) => results.failures.push(failure(&attempt, &error)),
                }
            }
        }
    }
}

/// Tells of a run that failed, and keeps the last line of why.
fn failure(attempt: &Attempt<'_>, error: &anyhow::Error) -> Failure {
    let said = format!("{error:#}");
    say!("  {} {said}", term::red("failed:"));
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    Failure {
        shape: attempt.shape.name.to_owned(),
        target: attempt.target.name().to_owned(),
        run: attempt.run,
        reason: last.unwrap_or_default().to_owned(),
        busy: error
            .downcast_ref::<Failed>()
            .and_then(|failed| failed.busy),
    }
}

fn show(results: &Results, shape: &Shape) {
    say!("\n{}", shape.name);
    print(report::table(results, shape));
    for remark in report::remarks(results, shape) {
        say!("  {remark}");
    }
}

/// Prints rows, the first of which is their header.
fn print(rows: Vec<Vec<String>>) {
    let mut rows = rows.into_iter();
    let header = rows.next().unwrap_or_default();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = Table::new(&header);
    rows.for_each(|row| table.push(row));
    table.print();
}

fn list(shapes: &[Shape]) {
    let mut table = Table::new(&["shape", "quick", "load"]);
    for shape in shapes {
        let quick = if shape.quick { "yes" } else { "" };
        table.push([shape.name, quick, shape.about].map(str::to_owned).into());
    }
    table.print();
}

impl Args {
    fn shapes(&self) -> anyhow::Result<Vec<Shape>> {
        for name in &self.shape {
            let known = shapes::ALL.iter().any(|shape| shape.name == name);
            ensure!(known, "there is no shape {name}: see --list");
        }
        let mut shapes = shapes::ALL.to_vec();
        if !self.shape.is_empty() {
            shapes.retain(|shape| self.shape.iter().any(|name| name == shape.name));
        } else if self.quick {
            shapes.retain(|shape| shape.quick);
        }
        Ok(shapes)
    }

    fn targets(&self) -> Vec<Target> {
        let mut targets = vec![
            Target::Bare(Streams::Frame),
            Target::Bare(Streams::Group),
            Target::Ours,
            Target::Seed,
        ];
        targets.extend(self.against.iter().cloned().map(Target::Running));
        if self.quick {
            targets.retain(|target| *target != Target::Bare(Streams::Group));
        }
        targets.retain(|target| !self.without.iter().any(|name| name == target.name()));
        targets
    }

    /// Keeps the processors awake until what it returns is dropped, if that is asked for.
    async fn keep_awake(&self) -> anyhow::Result<Option<Vec<Process>>> {
        if !self.awake {
            return Ok(None);
        }
        let kept = awake::keep().await.context("keep the processors awake")?;
        Ok(Some(kept))
    }

    /// How often, and for how many seconds.
    fn amount(&self) -> (u32, u64) {
        let (runs, seconds) = if self.quick { (3, 2) } else { (5, 4) };
        (self.runs.unwrap_or(runs), self.seconds.unwrap_or(seconds))
    }

    async fn build(&self, targets: &[Target]) -> anyhow::Result<Programs> {
        if targets.contains(&Target::Seed) {
            Folder::find()?.install(&[SEED].into()).await?;
        }
        let [relay, client, bare] = match &self.programs {
            Some(folder) => ["moq-relay", "moq-test-client", "examples/bare_quinn"]
                .map(|name| folder.join(name)),
            None => {
                let built = Binaries::build_for_bench().await?;
                let path = |name| built.path(name).map(Path::to_owned);
                [
                    path("moq-relay")?,
                    path("moq-test-client")?,
                    path("bare_quinn")?,
                ]
            }
        };
        Ok(Programs {
            relay: self.relay_bin.clone().unwrap_or(relay),
            client,
            bare,
            transport: self.transport,
        })
    }
}
