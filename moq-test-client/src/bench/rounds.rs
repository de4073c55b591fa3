//! Short stretches of time in which it is measured, and whose turn each is.

use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use crate::units;

/// At the end of a turn nothing is published: what is under way arrives before the next one's.
const REST: Duration = Duration::from_millis(50);

/// Time in rounds. Several loads can share it, each in its turn: the others are silent meanwhile,
/// so that what is compared is measured within a few seconds and on the same machine.
///
/// All times are in microseconds since the Unix epoch, the clock that all processes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounds {
    /// When the first measured round of the first in turn begins.
    pub from: u64,
    /// How many rounds are measured.
    pub count: u32,
    /// How long a turn takes.
    pub length: Duration,
    /// How much of it goes by before it is measured.
    pub settle: Duration,
    /// Whose turn it is.
    pub turn: Turn,
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

    /// How long a turn takes.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = units::parse_duration)]
    turn_time: Duration,

    /// How much of it goes by before it is measured.
    #[arg(long, value_name = "DURATION", default_value = "250ms", value_parser = units::parse_duration)]
    settle: Duration,

    /// Which turn of a round is taken, of how many: in the others nothing is published.
    #[arg(long, value_name = "INDEX/COUNT", default_value = "0/1")]
    turn: Turn,
}

impl RoundsArgs {
    /// The rounds, if there are to be any.
    #[must_use]
    pub fn rounds(&self) -> Option<Rounds> {
        Some(Rounds {
            count: self.rounds?,
            from: self.rounds_from?.saturating_mul(1000),
            length: self.turn_time,
            settle: self.settle,
            turn: self.turn,
        })
    }
}

/// One's place among those who take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// How many are before it in a round.
    pub index: u32,
    /// How many there are.
    pub of: u32,
}

impl Rounds {
    /// When frames begin to be published: a round earlier, which is not measured.
    #[must_use]
    pub fn warm(&self) -> u64 {
        self.begin(0).saturating_sub(self.round())
    }

    /// When a measured round's turn begins.
    #[must_use]
    pub fn begin(&self, round: u32) -> u64 {
        self.from + u64::from(round) * self.round() + u64::from(self.turn.index) * self.length()
    }

    /// When the last turn of all is over.
    fn end(&self) -> u64 {
        self.from + u64::from(self.count) * self.round()
    }

    /// From when to when it may be measured in a round.
    #[must_use]
    pub fn window(&self, round: u32) -> Range<u64> {
        let (begin, settle) = (self.begin(round), micros(self.settle));
        begin + settle..begin + self.active().max(settle)
    }

    /// How much time of its own a load has had up to `now`, from [`warm`](Self::warm). After the
    /// last round everyone has all the time.
    #[must_use]
    pub fn own(&self, now: u64) -> Duration {
        let over = Duration::from_micros(now.saturating_sub(self.end()));
        over + self.own_within(now.min(self.end()))
    }

    fn own_within(&self, now: u64) -> Duration {
        let since = now.saturating_sub(self.warm());
        let (rounds, rest) = (since / self.round(), since % self.round());
        Duration::from_micros(rounds * self.active() + rest.min(self.active()))
    }

    /// When a load has had so much time of its own. The opposite of [`own`](Self::own), but for
    /// others' turns, which have none.
    #[must_use]
    pub fn clock(&self, own: Duration) -> u64 {
        match own.checked_sub(self.own_within(self.end())) {
            Some(over) => self.end() + micros(over),
            None => self.clock_within(own),
        }
    }

    fn clock_within(&self, own: Duration) -> u64 {
        let own = micros(own);
        let (rounds, rest) = (own / self.active(), own % self.active());
        self.warm() + rounds * self.round() + rest
    }

    /// How much of a turn frames are published in: all, if there is but one.
    fn active(&self) -> u64 {
        match self.turn.of {
            1 => self.length(),
            _ => self.length().saturating_sub(micros(REST)).max(1),
        }
    }

    fn length(&self) -> u64 {
        micros(self.length).max(1)
    }

    fn round(&self) -> u64 {
        self.length() * u64::from(self.turn.of.max(1))
    }
}

impl FromStr for Turn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || format!("{text:?}: write INDEX/COUNT, such as 0/3");
        let (index, of) = text.split_once('/').ok_or_else(usage)?;
        let turn = Self {
            index: index.parse().map_err(|_| usage())?,
            of: of.parse().map_err(|_| usage())?,
        };
        if turn.index >= turn.of {
            return Err(usage());
        }
        Ok(turn)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn rounds(turn: &str) -> Rounds {
        Rounds {
            from: 100 * SECOND,
            count: 3,
            length: Duration::from_secs(1),
            settle: Duration::from_millis(200),
            turn: turn.parse().unwrap(),
        }
    }

    #[test]
    fn each_has_its_turn_and_no_two_have_the_same() {
        let (first, second) = (rounds("0/2"), rounds("1/2"));
        assert_eq!(first.begin(1), 102 * SECOND);
        assert_eq!(second.begin(1), 103 * SECOND);
        assert_eq!(second.window(0), 101_200_000..101_950_000);
        assert!(first.window(0).end < second.begin(0));
    }

    #[test]
    fn no_time_goes_by_in_the_turns_of_others() {
        let second = rounds("1/2");
        let own = |now| second.own(now).as_millis();
        assert_eq!(second.warm(), 99 * SECOND);
        assert_eq!((own(0), own(99 * SECOND)), (0, 0));
        assert_eq!((own(99_500_000), own(100 * SECOND)), (500, 950));
        assert_eq!((own(100_900_000), own(101_100_000)), (950, 1050));
    }

    #[test]
    fn a_frame_is_due_when_its_time_has_come() {
        for rounds in [rounds("0/1"), rounds("2/4")] {
            for own in (0..10_000).step_by(7).map(Duration::from_millis) {
                assert_eq!(rounds.own(rounds.clock(own)), own);
            }
        }
    }

    #[test]
    fn whoever_is_alone_has_all_the_time() {
        let alone = rounds("0/1");
        assert_eq!(alone.own(102 * SECOND), Duration::from_secs(3));
        assert_eq!(alone.window(0).end, alone.begin(1));
    }

    #[test]
    fn a_turn_is_one_of_several() {
        for text in ["", "1", "1/1", "2/1", "a/2", "0/0"] {
            assert!(text.parse::<Turn>().is_err(), "{text}");
        }
    }
}
