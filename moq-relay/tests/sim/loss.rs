//! A link that loses packets.

use std::collections::BTreeMap;
use std::time::Duration;

use moq_relay::transport::Congestion;

use crate::journal::{Entry, Event, assert_settled, whole};
use crate::scenario::Scenario;

#[test]
fn every_group_comes_whole_or_is_told_missing() {
    for congestion in [Congestion::Cubic, Congestion::Bbr, Congestion::NewReno] {
        let mut scenario = Scenario::new(|path| path.lossy(0.03));
        scenario.congestion = congestion;
        scenario.load.groups = 15;
        let (seen, counts) = scenario.run(1);
        assert!(counts.lost > 50, "{counts:?}");

        // That every frame is as it was written, and follows the one before, is checked on arrival.
        let frames = frames(&seen);
        for group in whole(&seen) {
            assert_eq!(frames.get(&group), Some(&scenario.load.group));
        }
        assert_settled(&seen, scenario.load.groups);
        assert_eq!(
            seen.last().map(|(_, event)| event),
            Some(&Event::End(Ok(())))
        );
    }
}

#[test]
fn a_run_repeats_to_the_last_event() {
    let queue = Duration::from_millis(100);
    let mut scenario = Scenario::new(|path| path.lossy(0.03).limited(3_000_000, queue));
    scenario.load.groups = 15;
    let (first, counts) = scenario.run(7);
    let (again, same_counts) = scenario.run(7);
    for (one, other) in first.iter().zip(&again) {
        assert_eq!(one, other);
    }
    assert_eq!((first.len(), counts), (again.len(), same_counts));
    assert_ne!(scenario.run(8).1, counts);
}

/// How many frames of each group came.
fn frames(seen: &[Entry]) -> BTreeMap<u64, u64> {
    let mut frames = BTreeMap::new();
    for (_, event) in seen {
        if let Some(frame) = event.frame() {
            *frames.entry(frame.group).or_default() += 1;
        }
    }
    frames
}
