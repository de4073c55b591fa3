//! Short stretches of time in which it is measured.

use std::ops::Range;
use std::time::Duration;

use crate::units;

/// Time in rounds, with a window in each that is measured.
///
/// All times are in microseconds since the Unix epoch, the clock that all processes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounds {
    /// When the first measured round begins.
    pub from: u64,
    /// How many rounds are measured.
    pub count: u32,
    /// How long a round takes.
    pub length: Duration,
    /// How much of it goes by before it is measured.
    pub settle: Duration,
}

/// Rounds as they are given to a program; none without their number.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct RoundsArgs {
    /// Measure in so many rounds, a window in each, instead of once.
    #[arg(long, value_name = "COUNT", requires = "rounds_from")]
    rounds: Option<u32>,

    /// When the first round begins, in milliseconds since the Unix epoch; frames begin a round
    /// before.
    #[arg(long, value_name = "MILLISECONDS")]
    rounds_from: Option<u64>,

    /// How long a round takes.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = units::parse_duration)]
    round_time: Duration,

    /// How much of it goes by before it is measured.
    #[arg(long, value_name = "DURATION", default_value = "250ms", value_parser = units::parse_duration)]
    settle: Duration,
}

impl RoundsArgs {
    /// The rounds, if there are to be any.
    #[must_use]
    pub fn rounds(&self) -> Option<Rounds> {
        Some(Rounds {
            count: self.rounds?,
            from: self.rounds_from?.saturating_mul(1000),
            length: self.round_time,
            settle: self.settle,
        })
    }
}

impl Rounds {
    /// When frames begin to be published: a round earlier, which is not measured.
    #[must_use]
    pub fn warm(&self) -> u64 {
        self.from.saturating_sub(micros(self.length))
    }

    /// When a measured round begins.
    #[must_use]
    pub fn begin(&self, round: u32) -> u64 {
        self.from + u64::from(round) * micros(self.length)
    }

    /// From when to when it may be measured in a round.
    #[must_use]
    pub fn window(&self, round: u32) -> Range<u64> {
        let (begin, settle) = (self.begin(round), micros(self.settle));
        begin + settle..begin + micros(self.length).max(settle)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_round_follows_the_other_and_the_first_is_not_measured() {
        let rounds = Rounds {
            from: 100 * SECOND,
            count: 3,
            length: Duration::from_secs(2),
            settle: Duration::from_millis(200),
        };
        assert_eq!(rounds.warm(), 98 * SECOND);
        assert_eq!(
            (rounds.begin(0), rounds.begin(1)),
            (100 * SECOND, 102 * SECOND)
        );
        assert_eq!(rounds.window(1), 102_200_000..104 * SECOND);
        assert_eq!(rounds.window(0).end, rounds.begin(1));
    }

    #[test]
    fn a_round_that_never_settles_has_an_empty_window() {
        let rounds = Rounds {
            from: SECOND,
            count: 1,
            length: Duration::from_millis(100),
            settle: Duration::from_millis(300),
        };
        assert!(rounds.window(0).is_empty());
    }
}
