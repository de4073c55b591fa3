//! What a benchmark tells.

use std::fmt;

use serde::Serialize;

use super::latency::Quantiles;
use super::tally::Counts;
use crate::units;

/// Where a benchmark stands. Each phase begins with a [`Sample`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nobody is connected.
    Start,
    /// Publishers and listeners are connected; the tracks are about to be announced.
    Announcing,
    /// All tracks are known; the subscribers come.
    Ramp,
    /// Everyone is there; the relay may settle.
    Warmup,
    /// It is measured.
    Steady,
    /// A round's window opens.
    Open,
    /// A round's window closes.
    Close,
    /// It is no longer measured; what is under way still arrives.
    Drain,
}

/// Everything so far. All counters are cumulative, from the start of the program.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "event", rename = "sample")]
pub struct Sample {
    /// Where the benchmark stands.
    pub phase: Phase,
    /// Since the start.
    pub seconds: f64,
    /// What there is.
    #[serde(flatten)]
    pub body: SampleBody,
}

/// What a benchmark found.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename = "result")]
pub struct Summary {
    /// Everything at the end.
    #[serde(flatten)]
    pub last: SampleBody,
    /// How long was measured.
    pub steady_seconds: f64,
    /// Frames that came in that time.
    pub steady_frames: u64,
    /// Bytes that came in that time.
    pub steady_bytes: u64,
    /// Groups lost or cut, of all that were owed.
    pub loss: f64,
    /// Subscriptions that never had a group, though there were frames to be had.
    pub silent: u64,
    /// Frames that slow readers had.
    pub slow_frames: u64,
    /// From the request of a subscription to its first whole frame.
    pub join: Quantiles,
    /// How much of that was more than one round trip of the path.
    pub beyond: Quantiles,
    /// The round trip of the path when the first frame was there, as the transport has it.
    pub round_trip: Quantiles,
    /// How late this program itself wrote: above a few milliseconds it measures itself.
    pub lag: Quantiles,
    /// How long frames took in the rounds in which slow readers had come.
    pub latency_beside_slow: Quantiles,
    /// How long frames took in each window, one after the other.
    pub windows: Vec<Quantiles>,
    /// From the publishing of the first track to when a listener knew all.
    pub announced: Quantiles,
}

/// What a [`Sample`] and a [`Summary`] tell alike.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SampleBody {
    /// Sessions that stand.
    pub connections: u64,
    /// Sessions and subscriptions that did not come about, or ended before their time.
    pub failed: u64,
    /// Subscriptions that the relay has answered.
    pub subscribed: u64,
    /// Frames that were published.
    pub published_frames: u64,
    /// What came of it.
    #[serde(flatten)]
    pub counts: Counts,
    /// How long frames took, of those due in the steady phase.
    pub latency: Quantiles,
}

impl Summary {
    /// Tells whether everything came that was owed, and nothing went wrong on the way.
    #[must_use]
    pub fn is_flawless(&self) -> bool {
        self.last.failed + self.silent == 0 && self.last.counts.is_flawless()
    }
}

/// The share of groups that were owed and did not come whole.
#[must_use]
pub fn loss(counts: &Counts) -> f64 {
    let missed = counts.lost_groups + counts.cut_groups;
    let owed = counts.groups + missed;
    if owed == 0 {
        return 0.0;
    }
    missed as f64 / owed as f64
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Announcing => "announcing",
            Self::Ramp => "ramp",
            Self::Warmup => "warm-up",
            Self::Steady => "steady",
            Self::Open => "window open",
            Self::Close => "window closed",
            Self::Drain => "drain",
        })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SampleBody {
            connections,
            counts,
            latency,
            ..
        } = &self.body;
        write!(
            f,
            "{}: {} sessions, {} frames, {} groups lost, p50 {:.2} ms, p99 {:.2} ms",
            self.phase,
            connections,
            counts.frames,
            counts.lost_groups + counts.cut_groups,
            latency.p50 as f64 / 1000.0,
            latency.p99 as f64 / 1000.0
        )
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (last, seconds) = (&self.last, self.steady_seconds.max(0.001));
        let counts = &last.counts;
        writeln!(
            f,
            "sessions       {} ({} failed), {} subscriptions ({} silent)",
            last.connections, last.failed, last.subscribed, self.silent
        )?;
        writeln!(
            f,
            "delivered      {} frames, {} groups, {}",
            counts.frames,
            counts.groups,
            units::bytes(counts.bytes)
        )?;
        writeln!(
            f,
            "in {seconds:.1} s       {:.0} frames/s, {}/s",
            self.steady_frames as f64 / seconds,
            units::bytes((self.steady_bytes as f64 / seconds) as u64)
        )?;
        writeln!(
            f,
            "groups         {} lost, {} cut ({:.3} %), {} late, {} twice; {} frames corrupt",
            counts.lost_groups,
            counts.cut_groups,
            100.0 * self.loss,
            counts.late_groups,
            counts.duplicate_groups,
            counts.corrupt_frames
        )?;
        writeln!(f, "latency        {}", last.latency)?;
        if self.latency_beside_slow.count > 0 {
            writeln!(f, "beside slow    {}", self.latency_beside_slow)?;
        }
        writeln!(f, "first frame    {}", self.join)?;
        writeln!(f, "round trip     {}", self.round_trip)?;
        if self.announced.count > 0 {
            writeln!(f, "announcements  {}", self.announced)?;
        }
        write!(f, "written late   {}", self.lag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_the_share_of_what_was_owed() {
        let counts = |groups, lost_groups, cut_groups| Counts {
            groups,
            lost_groups,
            cut_groups,
            ..Counts::default()
        };
        assert_eq!(loss(&counts(0, 0, 0)), 0.0);
        assert_eq!(loss(&counts(96, 3, 1)), 0.04);
    }
}
