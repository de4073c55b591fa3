//! Numbers that differ from connection to connection.

use std::fmt::Display;
use std::str::FromStr;

/// A number, or a range out of which every connection rolls its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range<T> {
    /// The least it can be.
    pub low: T,
    /// The most it can be.
    pub high: T,
}

/// What is rolled: the same number never decides two things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// Frames a second.
    Rate,
    /// Bytes in a frame.
    Size,
    /// Frames in a group.
    Grouping,
    /// When the first frame is due.
    Phase,
    /// Tracks of a publisher.
    Broadcasts,
    /// Tracks that a subscriber wants.
    Subscriptions,
}

impl<T: Copy> Range<T> {
    /// Makes a range of one number.
    #[must_use]
    pub fn exactly(value: T) -> Self {
        Self {
            low: value,
            high: value,
        }
    }
}

impl Range<f64> {
    /// Rolls a number for the connection with this index.
    #[must_use]
    pub fn roll(&self, seed: u64, connection: usize, aspect: Aspect) -> f64 {
        self.low + (self.high - self.low) * unit(seed, connection, aspect)
    }
}

impl Range<u32> {
    /// Rolls a number for the connection with this index.
    #[must_use]
    pub fn roll(&self, seed: u64, connection: usize, aspect: Aspect) -> u32 {
        let span = f64::from(self.high - self.low) + 1.0;
        let rolled = (span * unit(seed, connection, aspect)) as u32;
        self.low.saturating_add(rolled).min(self.high)
    }
}

/// Returns a number of at least 0 and below 1 that depends on nothing but the arguments.
#[must_use]
pub fn unit(seed: u64, connection: usize, aspect: Aspect) -> f64 {
    let lane = (connection as u64) << 3 | aspect as u64;
    let mut word = seed.wrapping_add(lane.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^= word >> 31;
    (word >> 11) as f64 / (1u64 << 53) as f64
}

/// Parses `LOW..HIGH`, both included, or one number, each with `parse`.
///
/// # Errors
///
/// Says what is wrong with `text`, in a sentence fit for a usage message.
pub fn parse_with<T: Copy + PartialOrd>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Range<T>, String> {
    let (low, high) = text.split_once("..").unwrap_or((text, text));
    let range = Range {
        low: parse(low)?,
        high: parse(high)?,
    };
    if range.low > range.high {
        return Err(format!("{text:?} ends before it begins"));
    }
    Ok(range)
}

/// Parses a plain number.
///
/// # Errors
///
/// Says what is wrong with `text`.
pub fn number<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{text:?}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_number_or_two() {
        let parse = |text| parse_with(text, number::<u32>);
        assert_eq!(parse("30"), Ok(Range::exactly(30)));
        assert_eq!(parse("20..40"), Ok(Range { low: 20, high: 40 }));
        for text in ["", "..", "a", "40..20", "1..2..3", "-1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rolls_repeat_with_the_seed_and_stay_in_the_range() {
        let range = Range {
            low: 10u32,
            high: 12,
        };
        let rolls: Vec<_> = (0..300).map(|i| range.roll(7, i, Aspect::Size)).collect();
        let again: Vec<_> = (0..300).map(|i| range.roll(7, i, Aspect::Size)).collect();
        assert_eq!(rolls, again);
        for value in 10..=12 {
            let share = rolls.iter().filter(|&&roll| roll == value).count();
            assert!((60..140).contains(&share), "{value} came {share} times");
        }
        assert!(rolls.iter().all(|roll| (10..=12).contains(roll)));
    }

    #[test]
    fn aspects_and_seeds_roll_on_their_own() {
        let at = |seed, aspect| unit(seed, 3, aspect);
        assert_ne!(at(1, Aspect::Size), at(1, Aspect::Rate));
        assert_ne!(at(1, Aspect::Size), at(2, Aspect::Size));
    }
}
