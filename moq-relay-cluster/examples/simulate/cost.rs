//! What a full mesh costs: to form, to keep, and for each announcement.

use std::process::ExitCode;
use std::time::Duration;

use moq_relay_core::model::track::TrackInfo;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use crate::net::{Machine, Net, config, path};

/// Announcements that the cost of one is averaged over.
const ANNOUNCEMENTS: usize = 100;

struct Cost {
    links: u64,
    /// Announcements until the mesh was whole.
    forming: u64,
    forming_time: Duration,
    forming_cpu: Duration,
    memory: u64,
    /// Announcements that one publication causes.
    messages: f64,
    known_after: Duration,
    cpu: Duration,
}

/// Prints what meshes of these sizes cost.
pub(crate) fn table(sizes: &[usize], delay: Duration) -> ExitCode {
    println!(
        "| nodes | links | mesh whole after | announcements for it | processor for it | memory of \
         all nodes | per link end | messages per announcement | all know after | processor per \
         announcement |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for nodes in sizes {
        let Some(cost) = measure(*nodes, delay) else {
            println!("| {nodes} | never whole |");
            return ExitCode::FAILURE;
        };
        println!(
            "| {nodes} | {} | {:.2?} | {} | {:.2?} | {} MiB | {:.1} KiB | {:.1} | {:.0?} | {:.0?} |",
            cost.links,
            cost.forming_time,
            cost.forming,
            cost.forming_cpu,
            cost.memory / (1024 * 1024),
            cost.memory as f64 / 1024.0 / (2 * cost.links) as f64,
            cost.messages,
            cost.known_after,
            cost.cpu,
        );
    }
    ExitCode::SUCCESS
}

fn measure(nodes: usize, delay: Duration) -> Option<Cost> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .ok()?;
    runtime.block_on(async {
        let net = Net::with(delay);
        let before = resident();
        let cpu = processor();
        let start = Instant::now();
        let mut all = vec![net.start("root", config(None, None, 0))];
        for index in 1..nodes {
            let name = format!("n{index}");
            let seed = index as u64;
            all.push(net.start(&name, config(Some("root"), Some(&name), seed)));
        }
        if !until(&all, |machine| live_links(machine) == nodes - 1).await {
            return None;
        }
        let (forming_time, forming_cpu) = (start.elapsed(), processor().saturating_sub(cpu));
        let forming = sent(&all);
        let memory = resident().saturating_sub(before);
        let cpu = processor();
        let mut known_after = Duration::ZERO;
        let mut tracks = Vec::new();
        for number in 0..ANNOUNCEMENTS {
            let relay = all[1 + number % (nodes - 1)].cluster.relay();
            let own = path(&format!("demo/{number}"));
            let start = Instant::now();
            tracks.push(relay.publish(own, TrackInfo::default()).ok()?);
            let count = number as u64 + 1;
            if !until(&all, |machine| {
                machine.cluster.relay().stats().announced == count
            })
            .await
            {
                return None;
            }
            known_after = known_after.max(start.elapsed());
        }
        let count = ANNOUNCEMENTS as u32;
        Some(Cost {
            links: (nodes * (nodes - 1) / 2) as u64,
            forming,
            forming_time,
            forming_cpu,
            memory,
            messages: (sent(&all) - forming) as f64 / f64::from(count),
            known_after,
            cpu: processor().saturating_sub(cpu) / count,
        })
    })
}

/// Waits until something holds for all; gives up after a while.
async fn until(all: &[Machine], holds: impl Fn(&Machine) -> bool) -> bool {
    for _ in 0..60_000 {
        if all.iter().all(&holds) {
            return true;
        }
        sleep(Duration::from_millis(1)).await;
    }
    false
}

fn live_links(machine: &Machine) -> usize {
    let nodes = machine.cluster.snapshot().nodes;
    let links = nodes.iter().flat_map(|node| &node.links);
    links.filter(|link| link.live).count()
}

fn sent(all: &[Machine]) -> u64 {
    let stats = all.iter().map(|machine| machine.cluster.relay().stats());
    stats.map(|stats| stats.announcements_sent).sum()
}

/// Time that this thread, which does everything, had on a processor.
fn processor() -> Duration {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = schedstat.split(' ').next().map(str::parse);
    Duration::from_nanos(nanos.and_then(Result::ok).unwrap_or_default())
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default() * 4096
}
