//! Every check that guards a change, with the time each takes.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum as _;
use console::Color;
use tokio::time::{Instant, timeout};

use self::step::{Outcome, Step};
use crate::term::{self, Table, say};

mod arrows;
mod house;
mod readme;
mod step;
mod tools;

/// How long a step may take; none needs a third of that on two cores with everything to compile.
const LIMIT: Duration = Duration::from_mins(25);

/// Runs every check that a change has to pass.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask ci                            everything, as the continuous integration does
  cargo xtask ci --list                     what there is
  cargo xtask ci --only fmt --only clippy   some of it

A tool that is missing is installed with cargo.")]
pub(crate) struct Args {
    /// Runs only this step; may be given several times
    #[arg(long, value_name = "STEP", value_enum)]
    only: Vec<Step>,

    /// Lists the steps and ends
    #[arg(long)]
    list: bool,
}

/// Runs the steps one after the other, all of them even if one fails.
///
/// # Errors
/// None: what fails is in the table, and makes the exit code.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let chosen = |step: &&Step| args.only.is_empty() || args.only.contains(step);
    let steps = Step::value_variants().iter().filter(chosen).copied();
    if args.list {
        list(steps);
        return Ok(ExitCode::SUCCESS);
    }
    let mut report = Report::new();
    for step in steps {
        say!(
            "{}",
            term::paint(
                &format!("== {}: {}", step.name(), step.about()),
                Color::Cyan
            )
        );
        let started = Instant::now();
        let result = timeout(LIMIT, step.run()).await;
        let result = result.context("it took too long").flatten();
        report.add(step, &result, started.elapsed());
    }
    Ok(report.print())
}

fn list(steps: impl Iterator<Item = Step>) {
    let mut table = Table::new(&["step", "what it checks"]);
    for step in steps {
        table.push(vec![step.name(), step.about().to_owned()]);
    }
    table.print();
}

/// What became of each step.
struct Report {
    table: Table,
    passed: usize,
    failed: usize,
    total: Duration,
}

impl Report {
    fn new() -> Self {
        let table = Table::new(&["step", "seconds", "result"]);
        Self {
            table,
            passed: 0,
            failed: 0,
            total: Duration::ZERO,
        }
    }

    fn add(&mut self, step: Step, result: &anyhow::Result<Outcome>, took: Duration) {
        match result {
            Ok(_) => self.passed += 1,
            Err(_) => self.failed += 1,
        }
        let result = match result {
            Ok(Outcome::Passed) => term::paint("passed", Color::Green),
            Ok(Outcome::Partly(reason)) => {
                format!("{}, {reason}", term::paint("passed in part", Color::Yellow))
            }
            Err(error) => {
                eprintln!(
                    "{} {error:#}",
                    term::red(&format!("{} failed:", step.name()))
                );
                term::red("failed")
            }
        };
        self.total += took;
        self.table
            .push(vec![step.name(), term::seconds(took), result]);
    }

    fn print(mut self) -> ExitCode {
        self.table
            .push(vec!["total".to_owned(), term::seconds(self.total)]);
        say!("");
        self.table.print();
        say!("\nsteps: {} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
