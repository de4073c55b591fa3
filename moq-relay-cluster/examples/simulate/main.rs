//! Simulates clusters of any size: random lives compared with the truth, each replayed by its
//! seed, or what a full mesh costs.
//!
//! ```text
//! cargo run --release -p moq-relay-cluster --example simulate -- --nodes 200 --seeds 1000
//! cargo run --release -p moq-relay-cluster --example simulate -- --cost 10,100,1000
//! ```

#![expect(
    clippy::print_stdout,
    reason = "a program that prints what it measures"
)]

mod cost;
#[path = "../../tests/net/mod.rs"]
mod net;
#[path = "../../tests/sim/story.rs"]
mod story;

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use clap::Parser;

use crate::story::{Plan, tell};

/// Simulates clusters in one process, on a clock that jumps.
#[derive(Debug, Parser)]
struct Args {
    /// Nodes of a cluster, besides its root
    #[arg(long, default_value_t = 200)]
    nodes: usize,
    /// Stories to tell
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// The seed of the first story; the others follow
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Times of trouble in a story
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Stories to tell at a time
    #[arg(long, default_value_t = 2)]
    jobs: u64,
    /// Measure instead what full meshes of so many nodes cost
    #[arg(long, value_delimiter = ',')]
    cost: Vec<usize>,
    /// The way from one node to another takes so many milliseconds, when measuring; without any,
    /// the network itself needs less memory
    #[arg(long, default_value_t = 20)]
    delay: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if !args.cost.is_empty() {
        return cost::table(&args.cost, Duration::from_millis(args.delay));
    }
    let next = AtomicU64::new(args.seed);
    let failed = AtomicU64::new(0);
    let end = args.seed + args.seeds;
    thread::scope(|scope| {
        for _ in 0..args.jobs {
            scope.spawn(|| {
                let mut longest = Duration::ZERO;
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let plan = Plan {
                        nodes: args.nodes,
                        rounds: args.rounds,
                    };
                    match tell(plan, seed) {
                        Ok(told) => {
                            longest = longest.max(told.settled);
                            println!("seed {seed}: {told:?}, longest so far {longest:?}");
                        }
                        Err(error) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                            println!("seed {seed} FAILED: {error}");
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    println!(
        "{} stories of {} nodes, {failed} failed",
        args.seeds, args.nodes
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
