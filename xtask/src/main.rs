//! The project's own chores: see it work, test it, check it, run it against real peers.
//!
//! Nothing here is linked into the relay. Every child process belongs to a
//! [`process::Process`], which ends it and waits for it however the chore itself ends.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

mod bench;
mod cargo;
mod cert;
mod ci;
mod client;
mod cluster;
mod demo;
mod instructions;
mod interop;
mod process;
mod relay;
mod simulate;
mod suite;
mod term;

/// The exit code of a chore that Ctrl-C stopped, as shells have it.
const INTERRUPTED: u8 = 130;

/// The project's chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, about, long_about = None)]
#[command(arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask demo                 see a relay, a publisher and a subscriber at work
  cargo xtask test                 run every test
  cargo xtask ci --only clippy     run one of the checks that guard a change
  cargo xtask interop --list       show what is tried against the published peers
  cargo xtask cluster --drill      what a cluster does while relays die and links are cut";

#[derive(Subcommand)]
enum Chore {
    /// Shows the main job: a relay, a publisher, and a subscriber printing what arrives
    Demo(demo::Args),
    /// Runs all tests: the workspace's, the documentation's, and those linking the old peers
    Test(suite::Args),
    /// Runs every check a change has to pass, and tells where the time went
    Ci(ci::Args),
    /// Runs the published peers against the relay, and the test client against theirs
    Interop(interop::Args),
    /// Measures the relay against bare quinn and the published relay, run by run
    Bench(bench::Args),
    /// Brings up a root and two nodes, each in a network of its own, and shows or drills them
    Cluster(cluster::Args),
    /// Simulates clusters of many nodes, on a clock that jumps, and holds them against the truth
    Simulate(simulate::Args),
    /// Counts instructions on the hot path, and fails if they became more than the baseline
    Instructions(instructions::Args),
}

fn main() -> ExitCode {
    match start(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{} {error:#}", term::red("error:"));
            ExitCode::FAILURE
        }
    }
}

/// Runs the chore to its end or to the first SIGINT or SIGTERM.
///
/// Either way the chore's future is dropped before this returns, and with it every child.
fn start(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no async runtime")?;
    // The demo takes Ctrl-C for its regular end, so it listens by itself.
    let listens = matches!(cli.chore, Chore::Demo(_));
    runtime.block_on(async {
        tokio::select! {
            biased;
            stopped = process::interrupted(), if !listens => {
                stopped?;
                eprintln!("\ninterrupted");
                Ok(ExitCode::from(INTERRUPTED))
            }
            code = run(cli.chore) => code,
        }
    })
}

async fn run(chore: Chore) -> anyhow::Result<ExitCode> {
    match chore {
        Chore::Demo(args) => demo::run(args).await,
        Chore::Test(args) => suite::run(args).await,
        Chore::Ci(args) => ci::run(args).await,
        Chore::Interop(args) => interop::run(args).await,
        Chore::Bench(args) => bench::run(args).await,
        Chore::Cluster(args) => cluster::run(args).await,
        Chore::Simulate(args) => simulate::run(args).await,
        Chore::Instructions(args) => instructions::run(args).await,
    }
}
