//! A clock through a relay: what a subscriber must have printed, and when.
//!
//! A publisher begins a group at its start and at each full minute. The group's first frame is
//! the date with hour and minute; one more frame with the second follows each second.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};

use crate::process::Line;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// How long after its start a publisher may be ready to publish; its first second is later.
const PUBLISHER_START: u64 = 4;

/// How late a live second may be: what it is short of a whole one, and a busy machine.
const LATE: u64 = 2;

/// A second that a subscriber received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// Of the day, in UTC.
    pub(super) second: u64,
    /// When it was printed.
    pub(super) at: SystemTime,
}

impl Reading {
    /// Reads a line such as `2026-11-22 13:25:42`; `None` where it is none.
    pub(super) fn of(line: &Line) -> Option<Self> {
        Some(Self {
            second: second_of_day(&line.text)?,
            at: line.at,
        })
    }
}

/// What a subscriber's readings are held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// When the publisher was started.
    pub(super) published: SystemTime,
    /// When the subscriber was started.
    pub(super) joined: SystemTime,
    /// How many seconds it has to get after it joined.
    pub(super) live: usize,
}

impl Expected {
    /// The reading with which enough has been seen.
    pub(super) fn is_enough(&self, reading: Reading) -> bool {
        let live = Duration::from_secs(self.live as u64);
        since(second(self.joined + live), reading.second) < DAY / 2
    }

    /// Holds all that a subscriber printed against what it had to.
    ///
    /// It has to begin with the newest group's first second, miss and repeat none, and be on
    /// time with those of its own lifetime.
    ///
    /// # Errors
    /// Naming the first difference.
    pub(super) fn check(&self, readings: &[Reading]) -> anyhow::Result<()> {
        let first = readings.first().context("it printed no time")?;
        self.check_first(*first)?;
        for pair in readings.windows(2) {
            let (before, after) = (pair[0].second, pair[1].second);
            ensure!(
                since(before, after) == 1,
                "{} is followed by {}",
                show(before),
                show(after)
            );
        }
        let joined = second(self.joined);
        let is_live = |reading: &&Reading| (1..DAY / 2).contains(&since(joined, reading.second));
        let live: Vec<_> = readings.iter().filter(is_live).collect();
        ensure!(
            live.len() >= self.live,
            "{} live seconds of {}",
            live.len(),
            self.live
        );
        for reading in live {
            let late = since(reading.second, second(reading.at));
            let time = show(reading.second);
            ensure!(late <= LATE, "{time} arrived {late} seconds late");
        }
        Ok(())
    }

    fn check_first(&self, first: Reading) -> anyhow::Result<()> {
        let start = second(self.published);
        if since(start, first.second) <= PUBLISHER_START {
            return Ok(());
        }
        // A full minute since began a new group, with which a late subscriber starts.
        let is_full = first.second.is_multiple_of(60);
        let is_newest = since(first.second, second(first.at)) < 60 + LATE;
        if is_full && is_newest {
            return Ok(());
        }
        bail!(
            "it began with {}, and the publisher at {}",
            show(first.second),
            show(start)
        );
    }
}

/// The time of day in `2026-11-22 13:25:42`.
fn second_of_day(text: &str) -> Option<u64> {
    let (date, time) = text.trim().split_once(' ')?;
    let is_date = date.len() == 10 && date.chars().all(|c| c.is_ascii_digit() || c == '-');
    let parts: Vec<u64> = time
        .split(':')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    match parts[..] {
        [hour @ 0..24, minute @ 0..60, second @ 0..60] if is_date => {
            Some((hour * 60 + minute) * 60 + second)
        }
        _ => None,
    }
}

/// The second of the day that a time falls into.
fn second(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
        % DAY
}

/// The seconds from one second of a day to another, perhaps of the next day.
fn since(from: u64, to: u64) -> u64 {
    (to + DAY - from) % DAY
}

fn show(second: u64) -> String {
    format!(
        "{:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A moment of some day, in seconds and milliseconds after noon.
    fn at(seconds: u64, millis: u64) -> SystemTime {
        let noon = 20_000 * DAY + DAY / 2;
        UNIX_EPOCH + Duration::from_secs(noon + seconds) + Duration::from_millis(millis)
    }

    fn reading(value: u64, arrived: u64) -> Reading {
        Reading {
            second: DAY / 2 + value,
            at: at(arrived, 30),
        }
    }

    fn expected() -> Expected {
        Expected {
            published: at(10, 900),
            joined: at(14, 500),
            live: 2,
        }
    }

    fn caught_up() -> Vec<Reading> {
        let seen = [(11, 14), (12, 14), (13, 14), (14, 14), (15, 15), (16, 16)];
        seen.map(|(value, arrived)| reading(value, arrived))
            .to_vec()
    }

    #[test]
    fn a_late_subscriber_that_catches_up_and_goes_on_is_right() {
        expected().check(&caught_up()).unwrap();
        assert!(!expected().is_enough(reading(15, 15)));
        assert!(expected().is_enough(reading(16, 16)));
    }

    #[test]
    fn the_groups_first_second_must_not_be_missing() {
        let published = at(5, 0);

        assert!(
            Expected {
                published,
                ..expected()
            }
            .check(&caught_up())
            .is_err()
        );
    }

    #[test]
    fn a_full_minute_since_is_what_a_late_subscriber_begins_with() {
        let readings = [(60, 61), (61, 61), (62, 62), (63, 63)];
        let readings = readings.map(|(value, arrived)| reading(value, arrived));
        let joined = at(61, 0);

        Expected {
            joined,
            ..expected()
        }
        .check(&readings)
        .unwrap();
    }

    #[test]
    fn a_second_that_is_missing_repeated_or_late_is_found() {
        let mut missing = caught_up();
        missing.remove(2);
        let mut repeated = caught_up();
        repeated.insert(3, repeated[2]);
        let mut late = caught_up();
        late[5] = reading(16, 20);

        for wrong in [
            missing,
            repeated,
            late,
            caught_up()[..5].to_vec(),
            Vec::new(),
        ] {
            assert!(expected().check(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_a_whole_time_is_one() {
        assert_eq!(second_of_day("2026-11-22 00:01:42"), Some(102));
        assert_eq!(second_of_day("2026-11-22 00:01:"), None);
        assert_eq!(second_of_day("2026-11-22 24:01:00"), None);
        assert_eq!(second_of_day("connected to 127.0.0.1"), None);
    }
}
