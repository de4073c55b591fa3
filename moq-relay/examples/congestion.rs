//! Prints the tables of `docs/congestion.md`: what a subscriber behind a bad link gets of a live
//! track, for each congestion control and for other limits of the relay.
//!
//! ```sh
//! cargo run --release -p moq-relay --example congestion
//! ```

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(dead_code, reason = "the tests use more of what they share with it")]

#[path = "../tests/sim/figures.rs"]
mod figures;
#[path = "../tests/sim/journal.rs"]
mod journal;
#[path = "../tests/sim/load.rs"]
mod load;
#[path = "../tests/sim/net/mod.rs"]
mod net;
#[path = "../tests/sim/quic.rs"]
mod quic;
#[path = "../tests/sim/scenario.rs"]
mod scenario;
#[path = "../tests/sim/table.rs"]
mod table;
#[path = "../tests/sim/world.rs"]
mod world;

use std::ops::RangeInclusive;
use std::time::Duration;

use moq_relay::transport::Congestion::{self, Bbr, Cubic, NewReno};

use crate::load::Load;
use crate::scenario::{Scenario, VIDEO};
use crate::table::{LINKS, Spoil, head, row};

const SEEDS: RangeInclusive<u64> = 1..=5;

/// The links on which the relay has to give something up.
const TOO_MUCH: [usize; 5] = [2, 3, 5, 6, 7];

fn main() {
    println!("Video of 2.4 Mbit/s at 40 ms: 30 frames of 10 KiB a second for 30 seconds.\n");
    for seconds in [1, 2] {
        algorithms(&format!("groups of {seconds} s"), groups_of(30 * seconds));
    }
    algorithms("a group for every frame", groups_of(1));
    backlogs();
    windows();
}

/// The video, with so many frames in a group.
const fn groups_of(frames: u64) -> Load {
    Load {
        group: frames,
        groups: VIDEO.frames() / frames,
        ..VIDEO
    }
}

fn algorithms(title: &str, load: Load) {
    println!("{}", head(title));
    for (name, spoil) in LINKS {
        for congestion in [Cubic, Bbr, NewReno] {
            let scenario = Scenario {
                load,
                congestion,
                ..Scenario::new(spoil)
            };
            let name = format!("{name}, {}", algorithm(congestion));
            println!("{}", row(&name, &scenario.median(SEEDS)));
        }
    }
    println!();
}

fn algorithm(congestion: Congestion) -> &'static str {
    match congestion {
        Cubic => "cubic",
        Bbr => "bbr",
        NewReno => "newreno",
    }
}

/// How long a group may stay on its way once a newer one is.
fn backlogs() {
    println!("{}", head("cubic, groups of 1 s, `max_backlog`"));
    for link in TOO_MUCH {
        let (name, spoil) = LINKS[link];
        for seconds in [5, 3, 2, 1] {
            let mut scenario = Scenario::new(spoil);
            scenario.relay.limits.max_backlog = Duration::from_secs(seconds);
            let name = format!("{name}, {seconds} s");
            println!("{}", row(&name, &scenario.median(SEEDS)));
        }
    }
    println!();
}

/// What the window has to do with it: a video of 8 Mbit/s, and links that do not take it.
fn windows() {
    const LINKS: [(&str, Spoil); 2] = [
        ("5 Mbit/s", |path| {
            path.limited(5_000_000, Duration::from_millis(100))
        }),
        ("20 Mbit/s, 1 % loss", |path| {
            path.limited(20_000_000, Duration::from_millis(100))
                .lossy(0.01)
        }),
    ];
    println!(
        "{}",
        head("cubic, 8 Mbit/s, groups of 1 s, `max_backlog`, send window")
    );
    for (name, spoil) in LINKS {
        for seconds in [5, 2] {
            for kib in [256, 1024, 2048, 4096] {
                let mut scenario = Scenario::new(spoil);
                scenario.load.frame = 34 * 1024;
                scenario.relay.limits.max_backlog = Duration::from_secs(seconds);
                scenario.send_window = Some(kib * 1024);
                let name = format!("{name}, {seconds} s, {kib} KiB");
                println!("{}", row(&name, &scenario.median(SEEDS)));
            }
        }
    }
}
