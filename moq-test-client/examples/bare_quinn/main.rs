//! The fan-out of frames with quinn and no protocol: the floor that a relay is measured against.
//!
//! One process sends every frame to all connections, each on a stream of its own or, with
//! `--frames-per-stream`, a group of them on one; another process receives, checks and tells what
//! came, in the words of `moq-test-client bench --format json`. Quinn is configured as the relay
//! configures it, and the receiving process does what that of the benchmark does: so what differs
//! is the relay's own work.
//!
//! ```sh
//! bare_quinn --bind 127.0.0.1:4400 --connections 100 send --fps 30 --frame-size 10240
//! bare_quinn --bind 127.0.0.1:4400 --connections 100 receive --duration 5
//! ```

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};
use moq_test_client::bench;
use tokio::runtime::Builder;
use tokio::time::sleep;

mod quic;
mod receive;
mod send;

/// How long is waited before the end: whoever reads what is told may want to look at the processes,
/// at the sender's after the receivers have gone.
const LINGER: Duration = Duration::from_millis(300);

#[derive(Parser)]
struct Args {
    /// Where the sender listens.
    #[arg(long)]
    bind: SocketAddr,
    /// How many connections there are.
    #[arg(long)]
    connections: usize,
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Waits for all connections, then sends until they are gone.
    Send(send::Load),
    /// Connects, waits a second, and measures.
    Receive(receive::Plan),
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = match &args.role {
        Role::Receive(plan) => bench::runtime(plan.flood)?,
        // As the relay's threads have.
        Role::Send(_) => Builder::new_current_thread().enable_all().build()?,
    };
    runtime.block_on(run(args))
}

async fn run(args: Args) -> anyhow::Result<()> {
    match args.role {
        Role::Send(load) => {
            let connections = send::accept(args.bind, args.connections).await?;
            load.send(connections).await?;
            sleep(2 * LINGER).await;
            Ok(())
        }
        Role::Receive(plan) => receive::receive(args.bind, args.connections, &plan).await,
    }
}

fn now_micros() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since_epoch.as_micros() as u64
}
