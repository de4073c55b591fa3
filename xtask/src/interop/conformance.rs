//! The test client's conformance tests against a relay, read as TAP.

use anyhow::{bail, ensure};

use super::cases::Relay;
use super::peers::SEED;
use super::stage::Stage;
use crate::client::Client;

/// What the seed's relay is known not to do: of groups that come at once it forwards the newest.
const SEED_FAILS: &[&str] = &["multiple-groups"];

/// Runs the tests and holds what fails against what is known to.
///
/// # Errors
/// Where a test fails that should not, or none ran.
pub(super) async fn play(
    client: &Client,
    stage: &mut Stage,
    relay: Relay,
) -> anyhow::Result<String> {
    let process = stage.enter(client.conformance())?;
    process.wait().await?;
    let results = Results::read(&process.log().stdout())?;
    let known = if relay == Relay::Theirs(SEED) {
        SEED_FAILS
    } else {
        &[]
    };
    results.judge(known)
}

/// The results of a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Results {
    planned: usize,
    passed: Vec<String>,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Results {
    fn read(lines: &[String]) -> anyhow::Result<Self> {
        let mut results = Self::default();
        for line in lines {
            if let Some(plan) = line.strip_prefix("1..") {
                results.planned = plan.split(' ').next().unwrap_or_default().parse()?;
            } else if let Some(rest) = line.strip_prefix("not ok ") {
                results.failed.push(name(rest));
            } else if let Some(rest) = line.strip_prefix("ok ") {
                let skipped = rest.to_ascii_lowercase().contains("# skip");
                let list = if skipped {
                    &mut results.skipped
                } else {
                    &mut results.passed
                };
                list.push(name(rest));
            } else if line.starts_with("Bail out!") {
                bail!("{line}");
            }
        }
        Ok(results)
    }

    fn judge(&self, known: &[&str]) -> anyhow::Result<String> {
        let ran = self.passed.len() + self.failed.len() + self.skipped.len();
        ensure!(self.planned > 0, "no test was planned");
        ensure!(
            ran == self.planned,
            "{ran} of {} planned tests reported",
            self.planned
        );
        let (known, new): (Vec<_>, Vec<_>) = self
            .failed
            .iter()
            .partition(|name| known.contains(&name.as_str()));
        ensure!(new.is_empty(), "these tests failed: {new:?}");
        let mut remark = format!("{} tests", self.passed.len());
        for (what, names) in [
            ("known to fail", known),
            ("skipped", self.skipped.iter().collect()),
        ] {
            if !names.is_empty() {
                let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
                remark.push_str(&format!(", {what}: {}", names.join(" ")));
            }
        }
        Ok(remark)
    }
}

/// The test's name in `3 - late-subscriber # SKIP why`.
fn name(rest: &str) -> String {
    let rest = rest.split('#').next().unwrap_or_default();
    let unnumbered = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    unnumbered.trim_start_matches("- ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(tap: &str) -> Results {
        Results::read(&tap.lines().map(str::to_owned).collect::<Vec<_>>()).unwrap()
    }

    const RUN: &str = "TAP version 14\n1..3\nok 1 - setup-only\n  ---\n  duration_ms: 3\n  ...\n\
                       not ok 2 - single-group\nok 3 - fetch # SKIP the dialect has none\n";

    #[test]
    fn a_run_is_right_if_only_known_tests_fail() {
        let remark = results(RUN).judge(&["single-group"]).unwrap();

        assert_eq!(
            remark,
            "1 tests, known to fail: single-group, skipped: fetch"
        );
        assert!(results(RUN).judge(&[]).is_err());
    }

    #[test]
    fn a_run_that_stops_short_of_its_plan_is_wrong() {
        assert!(results("1..2\nok 1 - setup-only\n").judge(&[]).is_err());
        assert!(results("").judge(&[]).is_err());
        assert!(Results::read(&["Bail out! no relay".to_owned()]).is_err());
    }
}
