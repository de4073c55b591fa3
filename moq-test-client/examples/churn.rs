//! Publishes and withdraws tracks at a relay, one change after the other, as fast as it is told to.
//!
//! ```text
//! cargo run -p moq-test-client --example churn -- --relay moqf://127.0.0.1:4443 --rate 200
//! ```
//!
//! Each of `--paths` paths comes and goes at random. After `--duration` it prints the paths that
//! are published then, as JSON on one line, and goes on publishing them until its stdin ends.

#![expect(clippy::print_stdout, reason = "a program that prints what it did")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use moq_relay_core::model::track::TrackInfo;
use moq_relay_core::tracks::Tracks;
use moq_test_client::address::RelayUrl;
use moq_test_client::connect::connect;
use moq_test_client::dial::DialOptions;
use moq_test_client::tls::Trust;
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Publishes and withdraws tracks.
#[derive(Parser)]
struct Args {
    /// The relay
    #[arg(long)]
    relay: RelayUrl,
    /// Trust this root certificate
    #[arg(long)]
    tls_root: Vec<PathBuf>,
    /// What all paths begin with
    #[arg(long, default_value = "churn")]
    prefix: String,
    /// Changes a second
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// Paths that come and go
    #[arg(long, default_value_t = 40)]
    paths: usize,
    /// Seconds until it comes to rest
    #[arg(long, default_value_t = 10)]
    duration: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut options = DialOptions::new(args.relay);
    options.trust = Trust::Roots(args.tls_root);
    let tracks = Tracks::default();
    let client = connect(&options, Some(Arc::new(tracks.clone()))).await?;
    let mut published = BTreeMap::new();
    let mut random = 1_usize;
    let mut pace = interval(Duration::from_secs(1) / args.rate);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let end = Instant::now() + Duration::from_secs(args.duration);
    let mut changes = 0_u64;
    while pace.tick().await < end {
        // Numerical Recipes' generator: which path is next need not be hard to guess.
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let path = format!("{}/{}", args.prefix, (random >> 16) % args.paths);
        if published.remove(&path).is_none() {
            let track = tracks.create(path.parse()?, TrackInfo::default());
            published.insert(path, track.context("the path is free")?);
        }
        changes += 1;
    }
    let left: Vec<_> = published.keys().collect();
    println!(
        "{}",
        serde_json::json!({ "event": "rest", "changes": changes, "left": left })
    );
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    client.close("done").await;
    Ok(())
}
