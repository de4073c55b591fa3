//! What `docs/congestion.md` says of congestion control, on the few links that decide it.

use std::time::Duration;

use moq_relay::transport::Congestion::{self, Bbr, Cubic, NewReno};

use crate::figures::Figures;
use crate::scenario::{Scenario, VIDEO};
use crate::table::{LINKS, head, row};

const MS: Duration = Duration::from_millis(1);

/// Plays one link of the table for 15 seconds, with the first of its seeds.
fn play<const N: usize>(link: &str, algorithms: [Congestion; N]) -> [Figures; N] {
    let named = LINKS.iter().find(|(name, _)| *name == link);
    let (_, spoil) = named.expect("the table has it");
    algorithms.map(|congestion| {
        let mut scenario = Scenario::new(spoil);
        scenario.congestion = congestion;
        scenario.load.groups = VIDEO.groups / 2;
        scenario.median([1])
    })
}

/// Lays out the figures of one link for printing.
fn rows(link: &str, algorithms: &[Congestion], figures: &[Figures]) -> String {
    let rows = algorithms
        .iter()
        .zip(figures)
        .map(|(congestion, figures)| row(&format!("{link}, {congestion:?}"), figures));
    [head("link")]
        .into_iter()
        .chain(rows)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_clean_link_adds_nothing_whatever_the_algorithm() {
    let all = play("clean", [Cubic, Bbr, NewReno]);
    println!("{}", rows("clean", &[Cubic, Bbr, NewReno], &all));
    for figures in all {
        assert_eq!((figures.frames, figures.groups), (1.0, 1.0));
        assert!(figures.p99 <= 22 * MS, "{figures:?}");
        assert!(figures.cost < 1.06, "{figures:?}");
    }
}

#[test]
fn a_lost_packet_in_a_hundred_costs_no_group() {
    let all = play("1 % loss", [Cubic, Bbr, NewReno]);
    println!("{}", rows("1 % loss", &[Cubic, Bbr, NewReno], &all));
    for figures in all {
        assert_eq!((figures.frames, figures.groups), (1.0, 1.0));
        assert!(figures.p50 <= 100 * MS, "{figures:?}");
    }
}

#[test]
fn three_in_a_hundred_are_congestion_to_cubic_and_nothing_to_bbr() {
    let [cubic, bbr] = play("3 % loss", [Cubic, Bbr]);
    println!("{}", rows("3 % loss", &[Cubic, Bbr], &[cubic, bbr]));
    assert!((0.6..0.95).contains(&cubic.frames), "{cubic:?}");
    assert!(cubic.p50 <= 250 * MS, "{cubic:?}");
    assert_eq!((bbr.frames, bbr.groups), (1.0, 1.0));
    assert!(bbr.max <= 250 * MS, "{bbr:?}");
}

#[test]
fn a_link_that_is_too_slow_is_filled_by_cubic_and_flooded_by_bbr() {
    for (link, filled) in [("2.2 Mbit/s", 0.84), ("1 Mbit/s", 0.36)] {
        let [cubic, bbr] = play(link, [Cubic, Bbr]);
        println!("{}", rows(link, &[Cubic, Bbr], &[cubic, bbr]));
        assert!(cubic.frames >= filled, "{cubic:?}");
        assert!(cubic.p50 <= 550 * MS, "{cubic:?}");
        assert!(cubic.dropped < 0.04, "{cubic:?}");
        assert!(
            bbr.dropped > 0.1,
            "BBR has learnt: is it the better default now? {bbr:?}"
        );
    }
}
