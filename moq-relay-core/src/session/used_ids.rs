//! Numbers that a peer may use once.

use rangemap::RangeInclusiveSet;

/// Separate runs of numbers that are remembered as used. Above that the lowest holes are closed.
const MAX_RUNS: usize = 1024;

/// Numbers that a peer may use once.
///
/// Real peers count up from 0, and for those nothing is held but how far they are.
#[derive(Debug, Default)]
pub(super) struct UsedIds {
    /// All below this are used.
    below: u64,
    /// Those that are used from there on, if any were left out.
    others: RangeInclusiveSet<u64>,
}

impl UsedIds {
    /// Notes that a number is used. Returns false if it was used before.
    pub(super) fn claim(&mut self, id: u64) -> bool {
        if id < self.below || self.others.contains(&id) {
            return false;
        }
        if id > self.below || id == u64::MAX {
            self.others.insert(id..=id);
            self.close_lowest_hole();
            return true;
        }
        self.below += 1;
        self.skip_used();
        true
    }

    /// The lowest numbers that were left out count as used once too much is remembered: peers count up.
    fn close_lowest_hole(&mut self) {
        if self.others.len() > MAX_RUNS
            && let Some(first) = self.others.first()
        {
            self.below = *first.start();
            self.skip_used();
        }
    }

    /// Goes on behind a run that begins where all before is used.
    fn skip_used(&mut self) {
        let run = self.others.first().cloned();
        let Some(run) = run.filter(|run| *run.start() == self.below) else {
            return;
        };
        // The last number of all stays among the others.
        let last = *run.end();
        self.below = last.saturating_add(1);
        if last < u64::MAX {
            self.others.remove(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn whoever_counts_up_costs_nothing() {
        let mut used = UsedIds::default();
        assert!((0..10_000).all(|id| used.claim(id)));
        assert!((0..10_000).all(|id| !used.claim(id)));
        assert_eq!((used.below, used.others.len()), (10_000, 0));
    }

    #[test]
    fn in_any_order_each_is_used_once() {
        let (mut used, mut naive) = (UsedIds::default(), HashSet::new());
        for step in 0..2_000 {
            let id = step * 317 % 500;
            assert_eq!(used.claim(id), naive.insert(id), "{id}");
        }
        assert_eq!((used.below, used.others.len()), (500, 0));
    }

    #[test]
    fn the_last_number_of_all_is_used_once_too() {
        let mut used = UsedIds::default();
        assert!(used.claim(u64::MAX));
        assert!(!used.claim(u64::MAX));
        assert!(used.claim(u64::MAX - 1) && used.claim(0));
        assert!(!used.claim(u64::MAX - 1) && !used.claim(u64::MAX));
    }

    #[test]
    fn holes_are_closed_from_below_when_there_are_too_many() {
        let mut used = UsedIds::default();
        let many = MAX_RUNS as u64 * 3;
        assert!((1..=many).all(|number| used.claim(number * 2)));
        assert!(used.others.len() <= MAX_RUNS);
        assert!(!used.claim(1), "its hole was closed");
        assert!(used.claim(many * 2 - 1), "the highest holes are open");
        assert!(!used.claim(many * 2));
    }
}
