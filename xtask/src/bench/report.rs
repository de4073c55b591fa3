//! The figures as tables: on the terminal and on the page.

use super::results::{Busy, FLOOR, Failure, Figure, Results, SEED, Trial};
use super::shape::{Focus, Shape};
use super::stats::Spread;

/// Above this share of its core the load measures itself.
const BUSY: f64 = 0.85;

/// A column, and what it shows of each trial.
type Column = (&'static str, Figure);

const FRAMES: &[Column] = &[
    ("CPU µs/frame", Trial::cpu_per_frame),
    ("CPU s/GiB", Trial::cpu_per_gib),
    ("syscalls/frame", |trial| trial.syscalls),
    ("switches/frame", Trial::switches_per_frame),
    ("KiB/subscriber", |trial| trial.kib_per_subscriber),
    ("p50 ms", |trial| Some(trial.p50)),
    ("p99 ms", |trial| Some(trial.p99)),
    ("p99.9 ms", |trial| Some(trial.p999)),
    ("max ms", |trial| Some(trial.max)),
    ("lost %", Trial::lost_percent),
];

const THROUGHPUT: &[Column] = &[
    ("CPU µs/frame", Trial::cpu_per_frame),
    ("CPU s/GiB", Trial::cpu_per_gib),
    ("frames/s", Trial::frames_per_second),
    ("frames/CPU second", Trial::frames_per_cpu_second),
    ("processors used", |trial| Some(trial.cpu / trial.seconds)),
    ("by the load", |trial| Some(trial.load_core)),
    ("syscalls/frame", |trial| trial.syscalls),
    ("lost %", Trial::lost_percent),
];

const MEMORY: &[Column] = &[
    ("KiB/subscriber", |trial| trial.kib_per_subscriber),
    ("resident MiB", |trial| Some(trial.rss)),
    ("CPU ms/s", |trial| Some(1e3 * trial.cpu / trial.seconds)),
];

const ANNOUNCEMENTS: &[Column] = &[
    ("CPU µs/announcement", Trial::cpu_per_announcement),
    ("all known after s", |trial| trial.announced),
    ("resident MiB", |trial| Some(trial.rss)),
];

const JOIN: &[Column] = &[
    ("first frame p50 ms", |trial| Some(trial.join?.p50)),
    ("first frame p99 ms", |trial| Some(trial.join?.p99)),
    ("round trip ms", |trial| Some(trial.join?.round_trip)),
    ("more than that p50 ms", |trial| {
        Some(trial.join?.beyond_p50)
    }),
    ("more than that p99 ms", |trial| {
        Some(trial.join?.beyond_p99)
    }),
];

/// The table of one shape: a header and a row for each target, ratios first.
pub(super) fn table(results: &Results, shape: &Shape) -> Vec<Vec<String>> {
    let columns = columns(shape);
    let (main, figure) = columns[0];
    let targets = results.targets(shape.name);
    let bases = bases(&targets);
    let mut header = vec!["target".to_owned()];
    let main = main.split(' ').next().unwrap_or(main);
    header.extend(bases.iter().map(|base| format!("{main} / {base}")));
    header.extend(columns.iter().map(|(name, _)| (*name).to_owned()));
    let mut rows = vec![header];
    for target in targets {
        let mut row = vec![target.to_owned()];
        let ratio = |base: &&str| cell(results.ratio(shape.name, target, base, figure));
        row.extend(bases.iter().map(ratio));
        let figures = columns.iter().map(|(_, figure)| figure);
        row.extend(figures.map(|figure| cell(results.of(shape.name, target, *figure))));
        rows.push(row);
    }
    rows
}

/// What is to be known before the table of a shape is believed.
pub(super) fn remarks(results: &Results, shape: &Shape) -> Vec<String> {
    let mut remarks = Vec::new();
    for failure in results
        .failures
        .iter()
        .filter(|failure| failure.shape == shape.name)
    {
        let Failure {
            target,
            run,
            reason,
            busy,
            ..
        } = failure;
        let busy = busy.map_or_else(String::new, |Busy { cpu, seconds }| {
            format!("; it had used {cpu:.1} s of its processor in the {seconds:.1} s since the load began")
        });
        remarks.push(format!(
            "{target} failed in run {}: {reason}{busy}",
            run + 1
        ));
    }
    for target in results.targets(shape.name) {
        remarks.extend(harm(results, shape, target));
        remarks.extend(crowd(results, shape, target));
        let load = results.of(shape.name, target, |trial| Some(trial.load_core));
        let load = load.filter(|load| load.high > BUSY && shape.focus != Focus::Throughput);
        if let Some(load) = load {
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

/// What slow readers do to the others: their latency beside that in the rounds without them.
fn harm(results: &Results, shape: &Shape, target: &str) -> Option<String> {
    let of = |figure| results.of(shape.name, target, figure);
    let (p50, p99) = (of(Trial::harm_p50)?, of(Trial::harm_p99)?);
    Some(format!(
        "{target}: while the slow reader is there the others' p99 is {p99} times as long as without \
         it, and p50 {p50}"
    ))
}

/// What an announcement costs among many, beside what it costs among few.
fn crowd(results: &Results, shape: &Shape, target: &str) -> Option<String> {
    let many = shape
        .beside
        .filter(|_| shape.focus == Focus::Announcements)?;
    let times = results.ratio_of_shapes(target, [many, shape.name], Trial::cpu_per_announcement)?;
    Some(format!(
        "{target}: an announcement costs {times} times as much in {many}"
    ))
}

/// What the others are compared with: the floor, and the published relay.
fn bases<'a>(targets: &[&'a str]) -> Vec<&'a str> {
    let wanted = targets.iter().copied();
    wanted
        .filter(|target| [FLOOR, SEED].contains(target))
        .collect()
}

fn columns(shape: &Shape) -> &'static [Column] {
    match shape.focus {
        Focus::Frames(_) => FRAMES,
        Focus::Throughput => THROUGHPUT,
        Focus::Memory => MEMORY,
        Focus::Announcements => ANNOUNCEMENTS,
        Focus::Join => JOIN,
    }
}

pub(super) fn cell(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "-".to_owned(), |spread| spread.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::results::WithoutSlow;
    use super::super::results::tests::{results, trial};
    use super::super::shapes::ALL;
    use super::*;

    #[test]
    fn the_ratios_come_first() {
        let of = |target, cpu| trial(target, 0, cpu);
        let results = results(vec![of("bare", 0.01), of("ours", 0.02), of("seed", 0.04)]);
        let table = table(&results, &ALL[0]);
        assert_eq!(
            table[0][..4],
            ["target", "CPU / bare", "CPU / seed", "CPU µs/frame"]
        );
        assert_eq!(
            table[2][..4],
            [
                "ours",
                "2.00 [2.00..2.00]",
                "0.50 [0.50..0.50]",
                "20.0 [20.0..20.0]"
            ]
        );
    }

    #[test]
    fn a_busy_load_and_failed_sessions_are_not_kept_quiet() {
        let mut trial = trial("ours", 0, 0.01);
        (trial.load_core, trial.failed) = (0.97, 3);
        let remarks = remarks(&results(vec![trial]), &ALL[0]);
        assert_eq!(remarks.len(), 2, "{remarks:?}");
    }

    #[test]
    fn a_target_that_could_not_do_it_is_named_with_the_reason() {
        let mut results = results(vec![trial("ours", 0, 0.01)]);
        results.failures.push(Failure {
            shape: ALL[0].name.to_owned(),
            target: "seed".to_owned(),
            run: 1,
            reason: "timed out".to_owned(),
            busy: Some(Busy {
                cpu: 9.9,
                seconds: 10.2,
            }),
        });
        assert_eq!(
            remarks(&results, &ALL[0]),
            [
                "seed failed in run 2: timed out; it had used 9.9 s of its processor in the 10.2 s \
                 since the load began"
            ]
        );
    }

    #[test]
    fn slow_readers_are_judged_by_what_they_do_to_the_others() {
        let mut slow = trial("ours", 0, 0.01);
        (slow.shape, slow.p99) = ("slow".to_owned(), 3.0);
        slow.without_slow = Some(WithoutSlow { p50: 1.0, p99: 2.0 });
        let results = results(vec![slow]);
        let shape = ALL.iter().find(|shape| shape.slow > 0).unwrap();
        let remarks = remarks(&results, shape);
        assert!(
            remarks[0].contains("1.50 [1.50..1.50] times"),
            "{remarks:?}"
        );
    }
}
