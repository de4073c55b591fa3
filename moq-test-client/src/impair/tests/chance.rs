//! How often chance strikes: with a fixed seed, so that a test fails always or never.
//!
//! Every bound is about four standard deviations away from what is expected.

use super::*;

const PACKETS: u32 = 100_000;

/// Sends packets a second apart, so that none meets another, and returns the numbers of those that
/// departed, with how long each took.
fn run(seed: u64, text: &str) -> (Link, Vec<(f64, u32)>) {
    let mut link = Link::new(seed, settings(text));
    let mut departures = Vec::new();
    for number in 0..PACKETS {
        let start = Duration::from_secs(number.into());
        link.push(start, packet(number, 100));
        let end = start + ms(999);
        for (at, number) in pop_all(&mut link, end) {
            departures.push(((at - start).as_secs_f64() * 1000.0, number));
        }
    }
    (link, departures)
}

fn assert_near(what: &str, value: f64, expected: f64, deviation: f64) {
    assert!(
        (value - expected).abs() <= 4.0 * deviation,
        "{what}: {value}, expected {expected} ± {deviation}"
    );
}

/// Checks how many of all packets were hit with probability `p`.
fn assert_rate(what: &str, hits: u64, p: f64) {
    let expected = f64::from(PACKETS) * p;
    assert_near(what, hits as f64, expected, (expected * (1.0 - p)).sqrt());
}

#[test]
fn as_many_packets_as_asked_for_are_lost_doubled_and_held_back() {
    for (seed, percent) in [(1, 0.1), (2, 1.0), (3, 10.0), (4, 50.0)] {
        let text = format!("loss={percent}% duplicate={percent}% reorder={percent}% hold=100ms");
        let (mut link, departures) = run(seed, &text);
        let p = percent / 100.0;
        let counters = link.take_counters();
        assert_rate("lost", counters.lost, p);
        assert_rate("doubled", counters.duplicated, p * (1.0 - p));
        let held = departures.iter().filter(|(way, _number)| *way == 100.0);
        assert_rate("held back", held.count() as u64, p * (1.0 - p));
    }
}

#[test]
fn a_loss_says_nothing_about_the_next_packet() {
    let (_link, departures) = run(5, "loss=10%");
    let mut lost = vec![true; PACKETS as usize];
    for (_way, number) in departures {
        lost[number as usize] = false;
    }
    let pairs = lost.windows(2).filter(|pair| pair[0] && pair[1]).count();
    assert_rate("two in a row", pairs as u64, 0.01);
}

#[test]
fn jitter_is_spread_evenly_around_the_delay() {
    let (_link, departures) = run(6, "delay=40ms jitter=10ms");
    let ways: Vec<f64> = departures.iter().map(|(way, _number)| *way).collect();
    assert!(ways.iter().all(|way| (30.0..=50.0).contains(way)));
    // The standard deviation of an even spread over 20 ms.
    let deviation = 20.0 / 12_f64.sqrt();
    let mean = ways.iter().sum::<f64>() / ways.len() as f64;
    assert_near("mean", mean, 40.0, deviation / f64::from(PACKETS).sqrt());
    for slot in 0..10 {
        let from = 30.0 + 2.0 * f64::from(slot);
        let inside = ways.iter().filter(|way| (from..from + 2.0).contains(*way));
        assert_rate("tenth of the spread", inside.count() as u64, 0.1);
    }
}

#[test]
fn loss_and_jitter_do_not_depend_on_each_other() {
    let (_link, all) = run(7, "delay=40ms jitter=10ms");
    let (_link, left) = run(7, "delay=40ms jitter=10ms loss=10%");
    // Whoever was not lost took as long as without loss: chance is drawn for each by itself.
    for (way, number) in &left {
        assert_eq!(all[*number as usize], (*way, *number));
    }
    let slow = left.iter().filter(|(way, _number)| *way > 40.0).count();
    let half = left.len() as f64 / 2.0;
    assert_near("slower half", slow as f64, half, half.sqrt());
}

#[test]
fn the_same_seed_decides_the_same_and_another_does_not() {
    let text = "loss=10% delay=40ms jitter=10ms";
    assert_eq!(run(8, text).1, run(8, text).1);
    assert_ne!(run(8, text).1, run(9, text).1);
}
