//! What a run comes to, in figures.

use std::time::Duration;

use crate::journal::{Entry, whole};
use crate::load::Load;
use crate::net::link::Counts;

/// A frame that took longer than this is too late for a live picture.
pub(crate) const IN_TIME: Duration = Duration::from_millis(500);

/// What one subscriber got of a load, and what its link did for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figures {
    /// The latency that half of the delivered frames kept to.
    pub(crate) p50: Duration,
    /// The latency that 99 % of the delivered frames kept to.
    pub(crate) p99: Duration,
    /// The latency of the latest frame.
    pub(crate) max: Duration,
    /// The share of all frames that came [`IN_TIME`].
    pub(crate) in_time: f64,
    /// The share of all frames that came.
    pub(crate) frames: f64,
    /// The share of all groups that came whole.
    pub(crate) groups: f64,
    /// The share of packets that the link dropped because its queue was full.
    pub(crate) dropped: f64,
    /// Bytes given to the link for each byte of a frame that came.
    pub(crate) cost: f64,
}

impl Figures {
    /// Sums up what came of a load.
    pub(crate) fn of(seen: &[Entry], load: &Load, link: Counts) -> Self {
        let latencies = latencies(seen);
        let came = latencies.len() as f64;
        let in_time = latencies.partition_point(|latency| *latency <= IN_TIME) as f64;
        let all = load.frames() as f64;
        Self {
            p50: percentile(&latencies, 50),
            p99: percentile(&latencies, 99),
            max: latencies.last().copied().unwrap_or_default(),
            in_time: in_time / all,
            frames: came / all,
            groups: whole(seen).len() as f64 / load.groups as f64,
            dropped: link.dropped as f64 / link.packets as f64,
            cost: link.bytes as f64 / (came * load.frame as f64),
        }
    }

    /// The median of each figure over several runs.
    pub(crate) fn median(runs: &[Self]) -> Self {
        let time = |figure: fn(&Self) -> Duration| middle(runs.iter().map(figure), Duration::cmp);
        let share = |figure: fn(&Self) -> f64| middle(runs.iter().map(figure), f64::total_cmp);
        Self {
            p50: time(|run| run.p50),
            p99: time(|run| run.p99),
            max: time(|run| run.max),
            in_time: share(|run| run.in_time),
            frames: share(|run| run.frames),
            groups: share(|run| run.groups),
            dropped: share(|run| run.dropped),
            cost: share(|run| run.cost),
        }
    }
}

/// How long each frame that came was on its way, shortest first.
pub(crate) fn latencies(seen: &[Entry]) -> Vec<Duration> {
    let latency = |(at, event): &Entry| Some(*at - event.frame()?.written);
    let mut latencies: Vec<_> = seen.iter().filter_map(latency).collect();
    latencies.sort();
    latencies
}

/// The smallest of the sorted values that so many percent of them do not exceed.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

fn middle<T: Copy>(values: impl Iterator<Item = T>, order: fn(&T, &T) -> std::cmp::Ordering) -> T {
    let mut values: Vec<_> = values.collect();
    values.sort_by(order);
    values[values.len() / 2]
}
