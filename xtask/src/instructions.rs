//! Instructions for each delivered frame, held against a committed baseline.
//!
//! Times differ from run to run and machine to machine; instructions hardly do. They are counted by
//! callgrind in two runs of an in-memory relay that differ in the number of frames only, so that
//! everything that happens once drops out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::cargo::{self, cargo};
use crate::process::Launch;
use crate::term::{self, Table, say};

/// The baseline, beside the benchmarks.
const BASELINE: &str = "moq-relay-core/benches/instructions.json";

/// The program that is counted.
const PROGRAM: &str = "fanout";

/// How many receive each frame.
const SUBSCRIBERS: u64 = 20;

/// Frames of the short run and of the long one.
const FRAMES: [u64; 2] = [60, 360];

/// How many percent more than the baseline are let pass.
///
/// Repeated runs differ by up to 0.2 %: hash maps are seeded anew, and memory lies elsewhere. A copy
/// of a large frame for each subscriber adds far more than this, and so does an allocation or two.
const TOLERANCE: f64 = 2.0;

/// What is counted: a name, the bytes of a frame, the frames of a group.
const SHAPES: [(&str, u64, u64); 3] = [
    ("1 KiB, 30 a group", 1 << 10, 30),
    ("1 KiB, one a group", 1 << 10, 1),
    ("64 KiB, 30 a group", 64 << 10, 30),
];

/// Counts instructions on the hot path, and fails if they became more
#[derive(clap::Args)]
#[command(after_help = "\
The baseline holds for one compiler and one processor architecture: renew it when either changes,
and with each change that is worth what it costs. Needs valgrind.

Examples:
  cargo xtask instructions           compare with the baseline
  cargo xtask instructions --write   make the baseline anew")]
pub(crate) struct Args {
    /// Makes the baseline anew
    #[arg(long)]
    write: bool,

    /// How many percent more than the baseline are let pass
    #[arg(long, value_name = "PERCENT", default_value_t = TOLERANCE)]
    tolerance: f64,
}

/// What was counted once.
#[derive(Debug, Serialize, Deserialize)]
struct Baseline {
    compiler: String,
    architecture: String,
    /// Instructions for each delivered frame.
    counts: BTreeMap<String, f64>,
}

/// Counts, compares, and fails where something became dearer.
///
/// # Errors
/// Where the program cannot be built or counted, or there is no baseline.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let found = cargo::has("valgrind", &["--version"]).await;
    ensure!(found, "install valgrind: it counts the instructions");
    let program = build().await?;
    let mut counts = BTreeMap::new();
    for (name, size, grouping) in SHAPES {
        let count = per_frame(Path::new(&program), size, grouping).await?;
        counts.insert(name.to_owned(), count);
    }
    let path = cargo::root().join(BASELINE);
    if args.write {
        write(&path, counts).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = fs::read_to_string(&path).context("there is no baseline: make it with --write")?;
    let baseline: Baseline = serde_json::from_str(&text)?;
    let compiler = compiler().await?;
    if baseline.compiler != compiler {
        say!(
            "the baseline is of {}, and this is {compiler}",
            baseline.compiler
        );
    }
    Ok(report(&baseline, &counts, args.tolerance))
}

/// Prints a row for each shape; fails if one is above its baseline by more than the tolerance.
fn report(baseline: &Baseline, counts: &BTreeMap<String, f64>, tolerance: f64) -> ExitCode {
    let mut table = Table::new(&["frames", "baseline", "now", "change", ""]);
    let mut code = ExitCode::SUCCESS;
    for (name, count) in counts {
        let before = baseline.counts.get(name).copied().unwrap_or(0.0);
        let change = change(before, *count);
        let verdict = match change {
            _ if change > tolerance => {
                code = ExitCode::FAILURE;
                term::red("more")
            }
            _ if change < -tolerance => "less: renew the baseline with --write".to_owned(),
            _ => "same".to_owned(),
        };
        let numbers = [
            format!("{before:.0}"),
            format!("{count:.0}"),
            format!("{change:+.1} %"),
        ];
        let [before, now, change] = numbers;
        table.push(vec![name.clone(), before, now, change, verdict]);
    }
    table.print();
    code
}

/// By how many percent it is more than before; where nothing was known, all of it is.
fn change(before: f64, now: f64) -> f64 {
    if before > 0.0 {
        100.0 * (now / before - 1.0)
    } else {
        f64::INFINITY
    }
}

/// Instructions for each frame that reaches a subscriber.
async fn per_frame(program: &Path, size: u64, grouping: u64) -> anyhow::Result<f64> {
    let [few, many] = FRAMES;
    let less = count(program, few, size, grouping).await?;
    let more = count(program, many, size, grouping).await?;
    Ok((more as f64 - less as f64) / (SUBSCRIBERS * (many - few)) as f64)
}

/// Runs the program under callgrind and returns how many instructions it took.
async fn count(program: &Path, frames: u64, size: u64, grouping: u64) -> anyhow::Result<u64> {
    let folder = TempDir::with_prefix("moq-instructions-").context("no temporary folder")?;
    let out = folder.path().join("callgrind.out");
    let launch = Launch::new("valgrind", "valgrind")
        .args([
            "--tool=callgrind",
            &format!("--callgrind-out-file={}", out.display()),
        ])
        .args([program])
        .args([SUBSCRIBERS, frames, size, grouping].map(|number| number.to_string()));
    let (status, log) = launch.capture().await?;
    ensure!(status.success(), "{status}\n{}", log.tail(20).join("\n"));
    let counted = fs::read_to_string(&out).context("callgrind wrote nothing")?;
    total(&counted).context("callgrind wrote no total")
}

/// The total in what callgrind writes.
fn total(file: &str) -> Option<u64> {
    let line = file
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("totals: "))?;
    line.trim().parse().ok()
}

/// Builds the program and returns its path.
async fn build() -> anyhow::Result<String> {
    let mut args = vec![
        "build",
        "--release",
        "--message-format=json-render-diagnostics",
    ];
    args.extend(["--package", "moq-relay-core", "--example", PROGRAM]);
    let lines = cargo::output(cargo(args).stderr(Stdio::inherit())).await?;
    let mut built = lines.iter().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let named = message["target"]["name"] == PROGRAM;
        Some(message["executable"].as_str().filter(|_| named)?.to_owned())
    });
    built.next().context("cargo built no program")
}

async fn write(path: &Path, counts: BTreeMap<String, f64>) -> anyhow::Result<()> {
    let counts = counts
        .into_iter()
        .map(|(name, count)| (name, count.round()));
    let baseline = Baseline {
        compiler: compiler().await?,
        architecture: std::env::consts::ARCH.to_owned(),
        counts: counts.collect(),
    };
    let text = serde_json::to_string_pretty(&baseline)? + "\n";
    fs::write(path, &text).context("cannot write the baseline")?;
    say!("{text}");
    Ok(())
}

async fn compiler() -> anyhow::Result<String> {
    Ok(cargo::output(cargo::tool("rustc", &["--version"]))
        .await?
        .join(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report_of(before: f64, now: f64) -> ExitCode {
        let counts = |count| BTreeMap::from([("x".to_owned(), count)]);
        let baseline = Baseline {
            compiler: String::new(),
            architecture: String::new(),
            counts: counts(before),
        };
        report(&baseline, &counts(now), 2.0)
    }

    #[test]
    fn more_than_the_tolerance_fails_and_less_does_not() {
        let same = |code: ExitCode, other: ExitCode| format!("{code:?}") == format!("{other:?}");
        assert!(same(report_of(1000.0, 1019.0), ExitCode::SUCCESS));
        assert!(same(report_of(1000.0, 1021.0), ExitCode::FAILURE));
        assert!(same(report_of(1000.0, 500.0), ExitCode::SUCCESS));
        assert!(same(report_of(0.0, 500.0), ExitCode::FAILURE));
    }

    #[test]
    fn the_total_is_found_in_what_callgrind_writes() {
        assert_eq!(
            total("events: Ir\nfn=(1)\n1 5\n\ntotals: 123456\n"),
            Some(123_456)
        );
        assert_eq!(total("events: Ir\n"), None);
    }
}
