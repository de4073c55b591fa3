//! What is printed, and how: colours, durations, tables.

use std::fmt;
use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use console::{Color, Style};

/// Prints a line to stdout.
macro_rules! say {
    ($($line:tt)*) => { $crate::term::print(format_args!($($line)*)) };
}
pub(crate) use say;

/// Prints a line to stdout. Where nobody reads it any more, the exit code still tells.
pub(crate) fn print(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Makes `text` red where the terminal shows colours.
pub(crate) fn red(text: &str) -> String {
    paint(text, Color::Red)
}

/// Makes `text` bold and of `color` where the terminal shows colours.
pub(crate) fn paint(text: &str, color: Color) -> String {
    Style::new().fg(color).bold().apply_to(text).to_string()
}

/// Tells whether a person is watching, so that progress may be drawn over itself.
pub(crate) fn watched() -> bool {
    console::user_attended()
}

/// Writes a duration as seconds with one decimal.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64())
}

/// Reads a duration such as `500ms`, `5s`, `2m` or plain seconds.
///
/// # Errors
/// Where the number or the unit cannot be read.
pub(crate) fn duration(text: &str) -> anyhow::Result<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits
        .parse()
        .with_context(|| format!("`{text}` does not begin with a whole number"))?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        unit => bail!("`{unit}` is no unit: give ms, s or m"),
    }
}

/// Rows of text under a header, aligned by what the widest cell needs.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Starts a table with its header.
    pub(crate) fn new(header: &[&str]) -> Self {
        let header = header.iter().map(|cell| (*cell).to_owned()).collect();
        Self { rows: vec![header] }
    }

    /// Adds a row below the others.
    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// Prints it to stdout.
    pub(crate) fn print(&self) {
        for line in self.lines() {
            say!("{line}");
        }
    }

    fn lines(&self) -> Vec<String> {
        let widths = self.widths();
        self.rows.iter().map(|row| line(row, &widths)).collect()
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells
                    .map(|cell| console::measure_text_width(cell))
                    .max()
                    .unwrap_or_default()
            })
            .collect()
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        let padding = width.saturating_sub(console::measure_text_width(cell));
        line.push_str(cell);
        line.push_str(&" ".repeat(padding + 2));
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_and_without_a_unit() {
        assert_eq!(duration("5s").unwrap(), Duration::from_secs(5));
        assert_eq!(duration("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(duration("2m").unwrap(), Duration::from_secs(120));
        assert_eq!(duration("7").unwrap(), Duration::from_secs(7));
    }

    #[test]
    fn a_duration_without_a_number_or_of_an_unknown_unit_is_refused() {
        assert!(duration("soon").is_err());
        assert!(duration("5h").is_err());
        assert!(duration("").is_err());
        assert!(duration("-1s").is_err());
    }

    #[test]
    fn columns_align_by_what_is_seen_and_not_by_escape_codes() {
        let mut table = Table::new(&["step", "seconds"]);
        table.push(vec!["\u{1b}[31mfmt\u{1b}[0m".to_owned(), "1.0".to_owned()]);

        assert_eq!(
            table.lines(),
            ["step  seconds", "\u{1b}[31mfmt\u{1b}[0m   1.0"]
        );
    }
}
