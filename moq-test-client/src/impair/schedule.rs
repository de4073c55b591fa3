//! Commands with the time they are due.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use crate::impair::command::Line;
use crate::units;

/// Commands in the order of their times: `10s cut; 12s heal`, or the same with a line for each.
/// A `#` begins a comment that goes to the end of the line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    entries: VecDeque<(Duration, Line)>,
}

impl Schedule {
    /// Reads the schedule from the file of this name if there is one, and else from the text
    /// itself.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it, in a sentence fit for a usage message.
    pub fn load(text: &str) -> Result<Self, String> {
        if !Path::new(text).is_file() {
            return text
                .parse()
                .map_err(|error| format!("there is no such file, and as a schedule: {error}"));
        }
        let content = fs::read_to_string(text).map_err(|error| error.to_string())?;
        content.parse()
    }

    /// Returns when the next command is due.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.entries.front().map(|(at, _line)| *at)
    }

    /// Takes out the next command that is due by the time `now`.
    pub fn pop(&mut self, now: Duration) -> Option<Line> {
        if self.next()? > now {
            return None;
        }
        self.entries.pop_front().map(|(_at, line)| line)
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut entries = Vec::new();
        let lines = text.lines().map(|line| match line.split_once('#') {
            Some((line, _comment)) => line,
            None => line,
        });
        for entry in lines.flat_map(|line| line.split(';')).map(str::trim) {
            if entry.is_empty() {
                continue;
            }
            let (at, line) = entry
                .split_once([' ', '\t'])
                .ok_or_else(|| format!("{entry:?} is not a time and a command, as in 10s cut"))?;
            let at = units::parse_duration(at)?;
            entries.push((at, line.parse().map_err(|e| format!("{entry:?}: {e}"))?));
        }
        // Stable: commands of the same time stay in the order they were written.
        entries.sort_by_key(|(at, _line)| *at);
        Ok(Self {
            entries: entries.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn all(mut schedule: Schedule) -> Vec<(u128, String)> {
        let mut all = Vec::new();
        while let Some(at) = schedule.next() {
            assert_eq!(
                schedule.pop(at.saturating_sub(Duration::from_nanos(1))),
                None
            );
            all.push((at.as_millis(), schedule.pop(at).unwrap().text));
        }
        all
    }

    #[test]
    fn commands_come_in_the_order_of_their_times() {
        let text =
            "12s heal; 500ms up delay=40ms\n# a comment\n10s cut # another; 1s quit\n10s stats;";
        let expected = [
            (500, "up delay=40ms"),
            (10_000, "cut"),
            (10_000, "stats"),
            (12_000, "heal"),
        ];
        assert_eq!(
            all(text.parse().unwrap()),
            expected.map(|(at, text)| (at, text.to_owned()))
        );
        assert_eq!(all("".parse().unwrap()), []);
    }

    #[test]
    fn a_file_is_read_where_there_is_one() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"1s cut\n").unwrap();
        let schedule = Schedule::load(file.path().to_str().unwrap()).unwrap();
        assert_eq!(all(schedule), [(1000, "cut".to_owned())]);
        assert_eq!(all(Schedule::load("2s heal").unwrap()).len(), 1);
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for (text, reason) in [
            ("nowhere.txt", "no such file"),
            ("cut", "not a time and a command"),
            ("soon cut", "unknown unit"),
            ("1s fly", "unknown setting \"fly\""),
        ] {
            let error = Schedule::load(text).unwrap_err();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
