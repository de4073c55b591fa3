//! What each setting does.

use super::*;
use crate::impair::counters::Counters;
use crate::impair::link::MAX_HELD;

/// Sends a packet of 100 bytes every `gap` milliseconds from time zero on.
fn send(link: &mut Link, count: u32, gap: u64) {
    for number in 0..count {
        link.push(ms(gap * u64::from(number)), packet(number, 100));
    }
}

fn numbers(departures: &[(Duration, u32)]) -> Vec<u32> {
    departures.iter().map(|(_at, number)| *number).collect()
}

#[test]
fn a_clear_link_passes_everything_on_at_once() {
    let mut link = Link::new(1, settings("clear"));
    link.push(ms(3), packet(7, 100));
    assert_eq!(link.next(), Some(ms(3)));
    assert_eq!(pop_all(&mut link, ms(3)), [(ms(3), 7)]);
    assert_eq!(link.next(), None);
    let counters = link.take_counters();
    let expected = Counters {
        packets: 1,
        bytes: 100,
        delivered: 1,
        delivered_bytes: 100,
        ..Counters::default()
    };
    assert_eq!(counters, expected);
    assert_eq!(link.take_counters(), Counters::default());
}

#[test]
fn a_seed_means_the_same_in_every_release() {
    let text = "loss=20% duplicate=20% reorder=20% jitter=9ms delay=9ms";
    let mut link = Link::new(1, settings(text));
    send(&mut link, 12, 20);
    let departures: Vec<_> = finish(&mut link)
        .into_iter()
        .map(|(at, number)| (at.as_micros(), number))
        .collect();
    let expected = [
        (7998, 0),
        (25_139, 1),
        (49_541, 2),
        (127_901, 6),
        (154_724, 7),
        (171_812, 8),
        (206_090, 9),
        (216_923, 10),
        (216_923, 10),
    ];
    assert_eq!(departures, expected);
    let counters = link.take_counters();
    assert_eq!((counters.lost, counters.duplicated), (4, 1));
}

#[test]
fn jitter_does_not_change_the_order() {
    let mut link = Link::new(2, settings("delay=40ms jitter=20ms"));
    send(&mut link, 1000, 1);
    let departures = finish(&mut link);
    assert_eq!(numbers(&departures), (0..1000).collect::<Vec<_>>());
    assert!(departures.is_sorted());
    assert_eq!(link.take_counters().reordered, 0);
}

#[test]
fn packets_that_are_held_back_are_overtaken_and_nobody_else_is() {
    let mut link = Link::new(3, settings("delay=40ms reorder=5% hold=10ms"));
    send(&mut link, 1000, 1);
    let departures = finish(&mut link);
    let late: Vec<_> = departures
        .iter()
        .filter(|(at, number)| *at != ms(40 + u64::from(*number)))
        .collect();
    for (at, number) in &late {
        assert_eq!(*at, ms(50 + u64::from(*number)));
    }
    assert_eq!(link.take_counters().reordered, late.len() as u64);
    assert!(late.len() > 25 && late.len() < 75, "{}", late.len());
}

#[test]
fn a_rate_spaces_packets_and_drops_what_would_wait_too_long() {
    // 100 bytes take 10 ms.
    let mut link = Link::new(4, settings("rate=80kbit queue=25ms delay=1ms"));
    for number in 0..6 {
        link.push(ms(0), packet(number, 100));
    }
    let departures = finish(&mut link);
    assert_eq!(departures, [(ms(11), 0), (ms(21), 1), (ms(31), 2)]);
    let counters = link.take_counters();
    assert_eq!((counters.dropped, counters.queued), (3, 2));
}

#[test]
fn a_copy_follows_its_original_and_uses_the_rate_too() {
    let mut link = Link::new(5, settings("duplicate=100% rate=80kbit"));
    send(&mut link, 2, 0);
    let expected = [(ms(10), 0), (ms(20), 0), (ms(30), 1), (ms(40), 1)];
    assert_eq!(finish(&mut link), expected);
    let counters = link.take_counters();
    assert_eq!((counters.duplicated, counters.reordered), (2, 0));
}

#[test]
fn a_cut_loses_what_is_queued_and_under_way_but_not_what_has_arrived() {
    let mut link = Link::new(6, settings("rate=80kbit delay=5ms"));
    send(&mut link, 4, 0);
    // The first has arrived, the second is under way, two are in the queue.
    link.change(ms(22), settings("cut"));
    link.push(ms(23), packet(4, 100));
    link.change(ms(24), settings("delay=5ms"));
    link.push(ms(24), packet(5, 100));
    assert_eq!(finish(&mut link), [(ms(15), 0), (ms(29), 5)]);
    assert_eq!(link.take_counters().cut, 4);
    assert_eq!(link.next(), None);
}

#[test]
fn after_a_cut_nobody_waits_for_those_it_took() {
    let run = |seed, cut_at| {
        let way = "delay=40ms jitter=40ms";
        let mut link = Link::new(seed, settings(way));
        let cut = settings(&format!("{way} cut"));
        if cut_at == 0 {
            link.change(ms(0), cut);
        }
        link.push(ms(1), packet(0, 100));
        link.change(ms(2), cut);
        link.change(ms(3), settings(way));
        link.push(ms(3), packet(1, 100));
        finish(&mut link)
    };
    for seed in 0..20 {
        assert_eq!(run(seed, 0), run(seed, 2));
    }
}

#[test]
fn a_new_rate_counts_for_what_is_queued() {
    let mut link = Link::new(7, settings("rate=80kbit queue=1s"));
    send(&mut link, 4, 0);
    link.change(ms(5), settings("rate=800kbit queue=1s"));
    assert_eq!(
        pop_all(&mut link, ms(6)),
        [(Duration::from_micros(5500), 0),]
    );
    link.change(ms(6), settings("clear"));
    assert_eq!(finish(&mut link), [(ms(6), 1), (ms(6), 2), (ms(6), 3)]);
}

#[test]
fn a_shorter_way_lets_later_packets_overtake() {
    let mut link = Link::new(8, settings("delay=100ms"));
    link.push(ms(0), packet(0, 100));
    link.change(ms(1), settings("delay=10ms"));
    link.push(ms(1), packet(1, 100));
    assert_eq!(finish(&mut link), [(ms(11), 1), (ms(100), 0)]);
    assert_eq!(link.take_counters().reordered, 1);
}

#[test]
fn a_change_of_something_else_keeps_the_order() {
    let mut link = Link::new(9, settings("delay=40ms jitter=20ms"));
    for number in 0..1000 {
        let text = format!("delay=40ms jitter=20ms hold={number}ms");
        link.change(ms(number.into()), settings(&text));
        link.push(ms(number.into()), packet(number, 100));
    }
    assert_eq!(numbers(&finish(&mut link)), (0..1000).collect::<Vec<_>>());
}

#[test]
fn time_never_goes_back() {
    let mut link = Link::new(10, settings("delay=1ms"));
    link.push(ms(10), packet(0, 100));
    link.push(ms(4), packet(1, 100));
    assert_eq!(finish(&mut link), [(ms(11), 0), (ms(11), 1)]);
}

#[test]
fn what_a_link_holds_is_bounded_in_bytes_and_in_packets() {
    for len in [60_000, 4] {
        let most = MAX_HELD / (len + 128);
        let mut link = Link::new(11, settings("delay=1s"));
        for number in 0..most + 10 {
            link.push(ms(0), packet(u32::try_from(number).unwrap(), len));
        }
        assert_eq!(pop_all(&mut link, ms(1000)).len(), most, "{len}");
        let counters = link.take_counters();
        assert_eq!((counters.overflowed, counters.under_way()), (10, 0));
        // What has departed makes room.
        link.push(ms(1000), packet(0, len));
        assert_eq!(finish(&mut link).len(), 1);
    }
}
