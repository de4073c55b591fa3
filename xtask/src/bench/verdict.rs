//! All shapes in one table, and where the relay is not what it is to be.

use super::report::cell;
use super::results::{FLOOR, Figure, Results, SEED, Trial};
use super::shape::{Focus, Shape};
use super::shapes;
use super::stats::Spread;

const OURS: &str = "ours";

/// How many times what bare quinn holds for a connection a subscriber may take.
const MEMORY: f64 = 1.25;

/// How much larger the others' p99 may be with a slow reader among them.
const HARM: f64 = 1.1;

/// Within so many seconds all listeners are to know all tracks.
const ANNOUNCED: f64 = 1.0;

/// How much dearer an announcement may be among 32,000 than among 4,000. With a cost that grows in
/// step with them it would be 8; memory that no cache holds any more makes a fifth.
const DEARER: f64 = 1.3;

/// What is asked, and what came of it: `None` where it was not measured.
type Check = (&'static str, Option<bool>);

/// A row for each shape that was run against our relay: ratios first, then what misses.
pub(super) fn table(results: &Results) -> Vec<Vec<String>> {
    let header = [
        "shape",
        "CPU / bare",
        "CPU goal",
        "CPU / seed",
        "memory / bare",
        "memory / seed",
        "p99 / seed",
        "lost %, ours",
        "lost %, seed",
        "misses",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let ran = |shape: &&Shape| {
        let failed = !results.failures(shape.name, OURS).is_empty();
        failed || results.targets(shape.name).contains(&OURS)
    };
    rows.extend(
        shapes::ALL
            .iter()
            .filter(ran)
            .map(|shape| row(results, shape)),
    );
    rows
}

fn row(results: &Results, shape: &Shape) -> Vec<String> {
    let against = Against { results, shape };
    let goal = goal(shape).map_or_else(|| "-".to_owned(), |goal| format!("{goal:.2}"));
    let missed = missed(&against);
    vec![
        shape.name.to_owned(),
        cell(against.ratio(FLOOR, cost(shape))),
        goal,
        cell(against.ratio(SEED, cost(shape))),
        cell(against.ratio(FLOOR, memory(shape))),
        cell(against.ratio(SEED, memory(shape))),
        cell(against.ratio(SEED, latency(shape))),
        cell(against.of(OURS, Trial::lost_percent)),
        cell(against.of(SEED, Trial::lost_percent)),
        if missed.is_empty() {
            "nothing".to_owned()
        } else {
            missed.join(", ")
        },
    ]
}

/// The figures of one shape.
struct Against<'a> {
    results: &'a Results,
    shape: &'a Shape,
}

impl Against<'_> {
    fn of(&self, target: &str, figure: Figure) -> Option<Spread> {
        self.results.of(self.shape.name, target, figure)
    }

    fn ratio(&self, base: &str, figure: Figure) -> Option<Spread> {
        self.results.ratio(self.shape.name, OURS, base, figure)
    }

    fn beside(&self, figure: Figure) -> Option<Spread> {
        let shapes = [self.shape.name, self.shape.beside?];
        self.results.ratio_of_shapes(OURS, shapes, figure)
    }
}

/// Names what our relay does not reach, by the medians.
fn missed(against: &Against<'_>) -> Vec<&'static str> {
    let shape = against.shape;
    let at_most = |spread: Option<Spread>, limit| Some(spread?.median <= limit);
    let floor = goal(shape).and_then(|goal| at_most(against.ratio(FLOOR, cost(shape)), goal));
    let loss = |target| against.of(target, Trial::lost_percent);
    let lost = loss(OURS).zip(loss(SEED));
    let many = shape.focus == Focus::Announcements && shape.beside.is_some();
    // The ratio is that of few to many.
    let dearer = against.beside(Trial::cpu_per_announcement);
    let failed = against.results.failures(shape.name, OURS);
    let checks: [Check; 10] = [
        ("some runs", Some(failed.is_empty())),
        ("CPU / bare", floor),
        ("CPU / seed", at_most(against.ratio(SEED, cost(shape)), 1.0)),
        (
            "memory / bare",
            at_most(against.ratio(FLOOR, memory(shape)), MEMORY),
        ),
        (
            "memory / seed",
            at_most(against.ratio(SEED, memory(shape)), 1.0),
        ),
        (
            "p99 / seed",
            at_most(against.ratio(SEED, latency(shape)), 1.0),
        ),
        ("loss", lost.map(|(ours, seed)| ours.median <= seed.median)),
        (
            "p99 of the others",
            at_most(against.of(OURS, Trial::harm_p99), HARM),
        ),
        (
            "time",
            at_most(against.of(OURS, |trial| trial.announced), ANNOUNCED),
        ),
        (
            "cost among many",
            dearer
                .filter(|_| many)
                .map(|few| few.median * DEARER >= 1.0),
        ),
    ];
    let missed = checks.into_iter().filter(|(_, met)| *met == Some(false));
    missed.map(|(name, _)| name).collect()
}

/// How many times what bare quinn takes a frame may cost.
fn goal(shape: &Shape) -> Option<f64> {
    match shape.focus {
        Focus::Frames(goal) => goal,
        Focus::Throughput | Focus::Memory | Focus::Announcements | Focus::Join => None,
    }
}

fn cost(shape: &Shape) -> Figure {
    match shape.focus {
        Focus::Announcements => Trial::cpu_per_announcement,
        Focus::Frames(_) | Focus::Throughput => Trial::cpu_per_frame,
        // Nothing is delivered that it could be divided by, or too little.
        Focus::Memory | Focus::Join => |_| None,
    }
}

fn memory(shape: &Shape) -> Figure {
    match shape.focus {
        Focus::Announcements => |trial| Some(trial.rss),
        // It follows from how many frames there were.
        Focus::Throughput | Focus::Join => |_| None,
        Focus::Frames(_) | Focus::Memory => |trial| trial.kib_per_subscriber,
    }
}

fn latency(shape: &Shape) -> Figure {
    match shape.focus {
        Focus::Frames(_) => |trial| Some(trial.p99),
        Focus::Join => |trial| Some(trial.join?.p99),
        Focus::Announcements => |trial| trial.announced,
        // With as many frames as possible under way it says how many those are.
        Focus::Throughput | Focus::Memory => |_| None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::WithoutSlow;
    use super::super::results::tests::{results, trial};
    use super::*;

    fn misses(trials: Vec<Trial>) -> Vec<String> {
        let rows = table(&results(trials));
        rows[1..].iter().map(|row| row[9].clone()).collect()
    }

    #[test]
    fn a_shape_that_misses_is_named_with_what_it_misses() {
        let of = |target, cpu| trial(target, 0, cpu);
        let good = vec![of("bare", 0.010), of("ours", 0.011), of("seed", 0.02)];
        assert_eq!(misses(good), ["nothing"]);
        let mut slow = of("ours", 0.012);
        (slow.p99, slow.loss) = (2.5, Some(0.1));
        slow.kib_per_subscriber = slow.kib_per_subscriber.map(|kib| kib * 1.3);
        let bad = vec![of("bare", 0.010), slow, of("seed", 0.02)];
        let missed = "CPU / bare, memory / bare, memory / seed, p99 / seed, loss";
        assert_eq!(misses(bad), [missed]);
    }

    #[test]
    fn a_slow_reader_may_cost_the_others_a_tenth_of_their_latency() {
        let slow = |p99| {
            let mut slow = trial("ours", 0, 0.01);
            (slow.shape, slow.p99) = ("slow".to_owned(), p99);
            slow.without_slow = Some(WithoutSlow { p50: 1.0, p99: 2.0 });
            vec![slow]
        };
        assert_eq!(misses(slow(2.1)), ["nothing"]);
        assert_eq!(misses(slow(2.3)), ["p99 of the others"]);
    }

    #[test]
    fn an_announcement_among_many_may_not_cost_more_than_among_few() {
        let announcing = |shape: &str, cpu, heard| {
            let mut trial = trial("ours", 0, 0.01);
            (trial.shape, trial.heard) = (shape.to_owned(), heard);
            (trial.announce_cpu, trial.announced) = (Some(cpu), Some(0.5));
            trial
        };
        let few = announcing("announce-4k", 0.1, 1000);
        let same = vec![announcing("announce", 0.8, 8000), few.clone()];
        assert_eq!(misses(same), ["nothing", "nothing"]);
        let more = vec![announcing("announce", 1.6, 8000), few];
        assert_eq!(misses(more), ["nothing", "cost among many"]);
    }
}
