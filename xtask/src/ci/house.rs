//! The rules of the house that no compiler knows.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::cargo::{output, root, tool};

/// A file longer than this holds more than one idea.
const MAX_LINES: usize = 500;

/// The endings of the files that are written by hand.
const WRITTEN: &[&str] = &["md", "rs", "toml"];

/// Notes of work left over; in pieces, so that this file holds none.
const LEFT_OVER: &[[&str; 2]] = &[["TO", "DO"], ["FIX", "ME"]];

/// Marks a test that never runs.
const IGNORED: [&str; 2] = ["#[ig", "nore"];

/// Checks every file that git tracks, or would.
///
/// # Errors
/// Naming each place that breaks a rule.
pub(super) async fn check() -> anyhow::Result<()> {
    let args = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let mut found = Vec::new();
    for name in output(tool("git", &args)).await? {
        let path = root().join(&name);
        if is_written(&path) && path.is_file() {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
            found.extend(faults(&name, &text));
        }
    }
    ensure!(
        found.is_empty(),
        "against the rules of the house:\n  {}",
        found.join("\n  ")
    );
    Ok(())
}

fn is_written(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| WRITTEN.contains(&ending))
}

fn faults(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        faults.push(format!("{name}: {lines} lines, more than {MAX_LINES}"));
    }
    for (index, line) in text.lines().enumerate() {
        let marks = LEFT_OVER
            .iter()
            .chain(std::iter::once(&IGNORED))
            .map(|mark| mark.concat());
        let marks = marks.filter(|mark| line.contains(mark));
        faults.extend(marks.map(|mark| format!("{name}:{}: {mark}", index + 1)));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_of_work_left_and_an_ignored_test_are_found_with_their_line() {
        let text = format!(
            "fine\n// {}: later\n{}]\n",
            LEFT_OVER[0].concat(),
            IGNORED.concat()
        );

        let faults = faults("a.rs", &text);

        assert_eq!(faults.len(), 2);
        assert!(faults[0].starts_with("a.rs:2: "));
        assert!(faults[1].starts_with("a.rs:3: "));
    }

    #[test]
    fn only_a_file_of_more_than_the_limit_is_too_long() {
        assert!(faults("a.rs", &"line\n".repeat(MAX_LINES)).is_empty());
        assert_eq!(faults("a.rs", &"line\n".repeat(MAX_LINES + 1)).len(), 1);
    }
}
