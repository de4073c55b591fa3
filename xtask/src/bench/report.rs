//! The figures as tables: on the terminal and on the page.

use super::results::{Figure, Results, Trial};
use super::shape::{Focus, Shape};
use super::stats::Spread;

/// What every ratio is to.
const FLOOR: &str = "bare";

/// The shape that is the same but for its slow reader.
const WITHOUT_SLOW: &str = "fanout-10k";

/// Above this share of its core the load measures itself.
const BUSY: f64 = 0.85;

/// A column, and what it shows of each trial.
type Column = (&'static str, Figure);

const FRAMES: &[Column] = &[
    ("CPU µs/frame", Trial::cpu_per_frame),
    ("CPU s/GiB", Trial::cpu_per_gib),
    ("switches/frame", Trial::switches_per_frame),
    ("KiB/subscriber", |trial| trial.kib_per_subscriber),
    ("p50 ms", |trial| Some(trial.p50)),
    ("p99 ms", |trial| Some(trial.p99)),
    ("max ms", |trial| Some(trial.max)),
    ("first frame ms", |trial| trial.join),
    ("lost %", |trial| Some(100.0 * trial.loss?)),
];

const MEMORY: &[Column] = &[
    ("KiB/subscriber", |trial| trial.kib_per_subscriber),
    ("CPU ms/s", |trial| Some(1e3 * trial.cpu / trial.seconds)),
];

const ANNOUNCEMENTS: &[Column] = &[
    ("all known after s", |trial| trial.announced),
    ("CPU s", |trial| trial.announce_cpu),
];

/// The table of one shape: a header and a row for each target, ratios first.
pub(super) fn table(results: &Results, shape: &Shape) -> Vec<Vec<String>> {
    let columns = columns(shape);
    let (main, figure) = columns[0];
    let targets = results.targets(shape.name);
    let base = base(&targets);
    let mut header = vec!["target".to_owned()];
    header.extend(base.map(|base| format!("{} / {base}", main.split(' ').next().unwrap_or(main))));
    header.extend(columns.iter().map(|(name, _)| (*name).to_owned()));
    let mut rows = vec![header];
    for target in targets {
        let mut row = vec![target.to_owned()];
        row.extend(base.map(|base| cell(results.ratio(shape.name, target, base, figure))));
        row.extend(
            columns
                .iter()
                .map(|(_, figure)| cell(results.of(shape.name, target, *figure))),
        );
        rows.push(row);
    }
    rows
}

/// What is to be known before the table of a shape is believed.
pub(super) fn remarks(results: &Results, shape: &Shape) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Focus::Frames(Some(goal)) = shape.focus
        && let Some(ratio) = results.ratio(shape.name, "ours", FLOOR, Trial::cpu_per_frame)
    {
        let verdict = if ratio.median <= goal {
            "reached"
        } else {
            "missed"
        };
        remarks.push(format!(
            "goal: ours at most {goal:.2} times bare quinn: {verdict} ({ratio})"
        ));
    }
    for target in results.targets(shape.name) {
        if shape.slow > 0 {
            remarks.extend(harm(results, shape, target));
        }
        let load = results.of(shape.name, target, |trial| Some(trial.load_core));
        if let Some(load) = load.filter(|load| load.high > BUSY) {
            let share = 100.0 * load.high;
            remarks.push(format!("the load used {share:.0} % of its core against {target}: latencies are partly its own"));
        }
        let failed = results.of(shape.name, target, |trial| Some(trial.failed as f64));
        if let Some(failed) = failed.filter(|failed| failed.high > 0.0) {
            remarks.push(format!(
                "{target}: up to {} sessions or subscriptions failed in a run",
                failed.high
            ));
        }
    }
    remarks
}

/// What slow readers do to the others: their latency beside that without them.
fn harm(results: &Results, shape: &Shape, target: &str) -> Option<String> {
    let p99 = |shape: &str| results.of(shape, target, |trial| Some(trial.p99));
    let (with, without) = (p99(shape.name)?, p99(WITHOUT_SLOW)?);
    let times = with.median / without.median;
    Some(format!(
        "{target}: with the slow reader the others' p99 is {times:.2} times that of {WITHOUT_SLOW}"
    ))
}

/// What the others are compared with: the floor, or where there is none the first.
pub(super) fn base<'a>(targets: &[&'a str]) -> Option<&'a str> {
    let floor = targets.iter().find(|target| **target == FLOOR);
    floor
        .or_else(|| targets.iter().find(|target| **target == "seed"))
        .copied()
}

fn columns(shape: &Shape) -> &'static [Column] {
    match shape.focus {
        Focus::Frames(_) => FRAMES,
        Focus::Memory => MEMORY,
        Focus::Announcements => ANNOUNCEMENTS,
    }
}

fn cell(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "-".to_owned(), |spread| spread.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::{results, trial};
    use super::super::shape::ALL;
    use super::*;

    #[test]
    fn the_ratio_comes_first_and_the_goal_is_judged() {
        let results = results(vec![trial("bare", 0, 0.01), trial("ours", 0, 0.02)]);
        let table = table(&results, &ALL[0]);
        assert_eq!(table[0][..3], ["target", "CPU / bare", "CPU µs/frame"]);
        assert_eq!(
            table[2][..3],
            ["ours", "2.00 [2.00..2.00]", "20.0 [20.0..20.0]"]
        );
        assert!(remarks(&results, &ALL[0])[0].contains("missed"));
    }

    #[test]
    fn a_busy_load_and_failed_sessions_are_not_kept_quiet() {
        let mut trial = trial("ours", 0, 0.01);
        (trial.load_core, trial.failed) = (0.97, 3);
        let remarks = remarks(&results(vec![trial]), &ALL[0]);
        assert_eq!(remarks.len(), 2, "{remarks:?}");
    }

    #[test]
    fn slow_readers_are_judged_by_what_they_do_to_the_others() {
        let mut slow = trial("ours", 0, 0.01);
        (slow.shape, slow.p99) = ("slow".to_owned(), 3.0);
        let results = results(vec![trial("ours", 0, 0.01), slow]);
        let shape = ALL.iter().find(|shape| shape.slow > 0).unwrap();
        let remarks = remarks(&results, shape);
        assert!(remarks[0].contains("1.50 times"), "{remarks:?}");
    }

    #[test]
    fn without_a_floor_the_published_relay_is_what_others_are_compared_with() {
        assert_eq!(base(&["ours", "seed"]), Some("seed"));
        assert_eq!(base(&["bare", "ours"]), Some("bare"));
        assert_eq!(base(&["ours"]), None);
    }
}
