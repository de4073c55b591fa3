//! Probabilities and rates as people write and read them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A probability from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Chance(f64);

/// A number of bits a second, at least 1. Bytes are counted as UDP carries them, without headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Chance {
    /// Returns the probability; `None` outside 0 to 1.
    #[must_use]
    pub fn new(probability: f64) -> Option<Self> {
        (0.0..=1.0)
            .contains(&probability)
            .then_some(Self(probability))
    }

    /// Decides by a number that is as likely as any other.
    pub(super) fn hits(self, roll: u64) -> bool {
        // The upper 53 bits make an exact number from 0 to just under 1.
        let unit = (roll >> 11) as f64 / (1_u64 << 53) as f64;
        unit < self.0
    }
}

impl Rate {
    /// Returns the rate; `None` for 0, which would be a cut.
    #[must_use]
    pub fn new(bits_per_second: u64) -> Option<Self> {
        (bits_per_second > 0).then_some(Self(bits_per_second))
    }

    /// Returns how long so many bytes take, rounded up to a nanosecond.
    pub(super) fn time(self, bytes: usize) -> Duration {
        let work = bytes as u128 * 8 * 1_000_000_000;
        nanos(work.div_ceil(self.0.into()))
    }

    /// Returns how long something takes that took `time` at the rate `old`.
    pub(super) fn convert(self, time: Duration, old: Self) -> Duration {
        nanos((time.as_nanos() * u128::from(old.0)).div_ceil(self.0.into()))
    }
}

fn nanos(count: u128) -> Duration {
    Duration::from_nanos(u64::try_from(count).unwrap_or(u64::MAX))
}

impl FromStr for Chance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a probability: write 1% or 0.01");
        let (digits, scale) = match text.strip_suffix('%') {
            Some(digits) => (digits, 100.0),
            None => (text, 1.0),
        };
        let number: f64 = digits.parse().map_err(|_| wrong())?;
        Self::new(number / scale).ok_or_else(wrong)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a rate: write 500kbit, 10mbit or 1gbit");
        let text = text.to_ascii_lowercase();
        let text = text.strip_suffix("bit").ok_or_else(wrong)?;
        let (digits, scale) = match text.char_indices().next_back() {
            Some((at, 'k')) => (&text[..at], 1e3),
            Some((at, 'm')) => (&text[..at], 1e6),
            Some((at, 'g')) => (&text[..at], 1e9),
            Some(_) | None => (text, 1.0),
        };
        let number: f64 = digits.parse().map_err(|_| wrong())?;
        let bits = (number * scale).round();
        // Saturates, and takes what is not a number for 0.
        Self::new(bits as u64).ok_or_else(wrong)
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Twelve digits are more than anybody types, and hide what binary fractions add.
        let percent = (self.0 * 1e14).round() / 1e12;
        write!(f, "{percent}%")
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1_000_000_000, "g"), (1_000_000, "m"), (1000, "k"), (1, "")];
        let whole = |unit: &&(u64, &str)| self.0.is_multiple_of(unit.0);
        let &(scale, unit) = units.iter().find(whole).unwrap_or(&(1, ""));
        write!(f, "{}{unit}bit", self.0 / scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_percent_or_fractions() {
        for (text, value) in [("1%", 0.01), ("0.25", 0.25), ("0", 0.0), ("100%", 1.0)] {
            assert_eq!(text.parse(), Ok(Chance(value)), "{text}");
        }
        for text in ["", "%", "-1%", "101%", "1.5", "NaN", "1 %"] {
            assert!(text.parse::<Chance>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn rates_are_decimal_bits_a_second() {
        for (text, bits) in [
            ("900bit", 900),
            ("500kbit", 500_000),
            ("2.5Mbit", 2_500_000),
            ("1gbit", 1_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Rate(bits)), "{text}");
        }
        for text in [
            "", "bit", "0mbit", "10", "10M", "10MB", "-1kbit", "NaNbit", "0.1bit",
        ] {
            assert!(text.parse::<Rate>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn the_certain_always_happens_and_the_impossible_never() {
        for roll in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(Chance(1.0).hits(roll));
            assert!(!Chance(0.0).hits(roll));
        }
    }

    #[test]
    fn a_rate_takes_its_time() {
        let rate = Rate(10_000_000);
        assert_eq!(rate.time(1250), Duration::from_millis(1));
        assert_eq!(Rate(3).time(1), Duration::from_nanos(2_666_666_667));
        let slower = Rate(5_000_000);
        let left = Duration::from_millis(3);
        assert_eq!(slower.convert(left, rate), Duration::from_millis(6));
    }
}
