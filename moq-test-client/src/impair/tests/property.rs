//! Whatever happens to a link, it does what a naive one does.

use proptest::collection::vec;
use proptest::prelude::*;

use super::naive::{Naive, SLOWEST, Step};
use super::*;
use crate::impair::counters::Counters;
use crate::impair::quantity::{Chance, Rate};

/// Steps happen at multiples of this many nanoseconds, so that no time is rounded.
const TICK: u64 = 1 << 16;

/// Every change of rate may halve the grid on which times lie, twice.
const MAX_CHANGES: usize = 6;

fn any_chance() -> impl Strategy<Value = Chance> {
    prop_oneof![Just(0.0), Just(0.1), Just(0.5), Just(1.0)].prop_map(|p| Chance::new(p).unwrap())
}

/// One of a few, so that a change often leaves some times as they were.
fn any_time() -> impl Strategy<Value = Duration> {
    (0..4_u64).prop_map(|step| Duration::from_nanos(15 * step * TICK))
}

fn any_rate() -> impl Strategy<Value = Option<Rate>> {
    prop_oneof![
        Just(None),
        (0..3_u32).prop_map(|shift| Rate::new(SLOWEST << shift))
    ]
}

prop_compose! {
    fn any_settings()(
        cut in prop::bool::weighted(0.1),
        (loss, duplicate, reorder) in (any_chance(), any_chance(), any_chance()),
        rate in any_rate(),
        (queue, delay, jitter, hold) in (any_time(), any_time(), any_time(), any_time()),
    ) -> Settings {
        Settings { cut, loss, duplicate, rate, queue, delay, jitter, reorder, hold }
    }
}

/// A few runs of packets with a change before each.
fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let push = (0..40_u64, 1..100_usize);
    let run = (0..40_u64, any_settings(), vec(push, 0..30));
    vec(run, 1..=MAX_CHANGES).prop_map(|runs| {
        let mut now = 0;
        let mut after = |ticks: u64| {
            now += ticks * TICK;
            Duration::from_nanos(now)
        };
        let mut steps = Vec::new();
        for (wait, settings, pushes) in runs {
            steps.push(Step::Change(after(wait), settings));
            // Half of all packets come with the one before.
            let push =
                |(wait, len): (u64, usize)| Step::Push(after(wait.saturating_sub(20)), 16 * len);
            steps.extend(pushes.into_iter().map(push));
        }
        steps
    })
}

/// Does the steps, looking for departures before those for which `polls` says so.
fn run(seed: u64, steps: &[Step], polls: &[bool]) -> (Vec<(Duration, u32)>, Counters) {
    let mut link = Link::new(seed, Settings::default());
    let mut departures = Vec::new();
    let mut next = 0;
    for (step, poll) in steps.iter().zip(polls.iter().cycle()) {
        let (Step::Push(at, _) | Step::Change(at, _)) = *step;
        if *poll {
            departures.extend(pop_all(&mut link, at));
        }
        match *step {
            Step::Push(at, len) => {
                link.push(at, packet(next, len));
                next += 1;
            }
            Step::Change(at, settings) => link.change(at, settings),
        }
    }
    departures.extend(finish(&mut link));
    assert_eq!(link.next(), None);
    (departures, link.take_counters())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_link_does_what_a_naive_one_does(
        seed: u64,
        steps in any_steps(),
        polls in vec(any::<bool>(), 1..10),
    ) {
        let naive = Naive::run(seed, &steps);
        let (departures, counters) = run(seed, &steps, &polls);
        prop_assert_eq!(&departures, &naive.departures());

        prop_assert_eq!(counters.under_way(), 0);
        let expected = Counters {
            delivered: departures.len() as u64,
            delivered_bytes: counters.delivered_bytes,
            reordered: naive.reordered() as u64,
            ..naive.counters
        };
        prop_assert_eq!(counters, expected);
    }

    #[test]
    fn waking_up_when_it_says_is_enough(seed: u64, steps in any_steps()) {
        let mut link = Link::new(seed, Settings::default());
        let mut departures = Vec::new();
        let mut number = 0;
        for step in &steps {
            let (Step::Push(at, _) | Step::Change(at, _)) = *step;
            while let Some(next) = link.next().filter(|next| *next <= at) {
                let due = pop_all(&mut link, next);
                prop_assert!(due.iter().all(|(at, _number)| *at == next));
                departures.extend(due);
            }
            match *step {
                Step::Push(at, len) => {
                    link.push(at, packet(number, len));
                    number += 1;
                }
                Step::Change(at, settings) => link.change(at, settings),
            }
        }
        departures.extend(finish(&mut link));
        prop_assert_eq!(departures, Naive::run(seed, &steps).departures());
    }
}
