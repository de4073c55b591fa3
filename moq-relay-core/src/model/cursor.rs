//! Which groups of a track a reader has settled, and which one comes next.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use moq_transfork::message::GroupOrder;

use crate::model::runs::Runs;

/// Separate runs of settled groups that a reader remembers. Above that the oldest hole is given
/// up: a track that numbers its groups with gaps would otherwise cost memory for each.
const MAX_RUNS: usize = 64;

/// The highest group number that the wire can carry.
const LAST: u64 = (1 << 62) - 1;

/// A reader's place in a track: everything before the start is not wanted, everything settled was
/// delivered or told missing.
#[derive(Debug, Clone, Default)]
pub(super) struct Cursor {
    start: Option<u64>,
    /// The start is not before this one, once there is one.
    floor: u64,
    last: Option<u64>,
    settled: Runs,
}

impl Cursor {
    pub(super) fn start(&self) -> Option<u64> {
        self.start
    }

    /// Fixes the first group wanted.
    pub(super) fn begin(&mut self, start: u64) {
        self.start = Some(start.max(self.floor));
    }

    /// Narrows the range wanted.
    pub(super) fn narrow(&mut self, min: Option<u64>, max: Option<u64>) {
        self.floor = self.floor.max(min.unwrap_or_default());
        self.start = self.start.map(|start| start.max(self.floor));
        self.last = max;
    }

    /// Returns the group to deliver next among those that are there.
    pub(super) fn next<'a, T>(
        &self,
        groups: &'a BTreeMap<u64, T>,
        order: GroupOrder,
    ) -> Option<&'a T> {
        let (oldest, (newest, last)) = (groups.first_key_value()?.0, groups.last_key_value()?);
        // Within what is there, so that nothing is searched if all of it is settled.
        let start = self.start?.max(*oldest);
        let end = self.last.unwrap_or(LAST).min(*newest);
        if start > end {
            return None;
        }
        let is_ascending = order == GroupOrder::Ascending;
        // As a rule it is a group that has just begun.
        if !is_ascending && end == *newest && self.highest().is_none_or(|highest| highest < end) {
            return Some(last);
        }
        let mut open = self.settled.gaps(start..=end);
        if is_ascending {
            open.find_map(|range| Some(groups.range(range).next()?.1))
        } else {
            let newest = |range| Some(groups.range(range).next_back()?.1);
            open.filter_map(newest).last()
        }
    }

    /// Returns the runs of groups up to `horizon` that are wanted and not settled.
    pub(super) fn missing(&self, horizon: u64) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        let end = horizon.min(self.last.unwrap_or(LAST));
        let wanted = self
            .start
            .map(|start| start..=end)
            .filter(|wanted| !wanted.is_empty());
        wanted
            .into_iter()
            .flat_map(|wanted| self.settled.gaps(wanted))
    }

    /// The first group that is wanted and not settled.
    pub(super) fn first_missing(&self) -> Option<u64> {
        let wanted = self.start?..=LAST;
        self.settled.gaps(wanted).next().map(|run| *run.start())
    }

    /// True once every group up to the last one wanted is settled.
    pub(super) fn is_complete(&self) -> bool {
        self.last
            .is_some_and(|last| self.start.is_some() && self.missing(last).next().is_none())
    }

    /// Marks groups as delivered or told missing. Returns a hole that was given up for it.
    pub(super) fn settle(&mut self, range: RangeInclusive<u64>) -> Option<RangeInclusive<u64>> {
        self.settled.insert(range);
        if self.settled.len() <= MAX_RUNS {
            return None;
        }
        let outer = self.settled.first()?..=self.settled.last()?;
        let hole = self.settled.gaps(outer).next()?;
        self.settled.insert(hole.clone());
        Some(hole)
    }

    /// The highest group settled.
    pub(super) fn highest(&self) -> Option<u64> {
        self.settled.last()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn groups(sequences: &[u64]) -> BTreeMap<u64, u64> {
        sequences
            .iter()
            .map(|sequence| (*sequence, *sequence))
            .collect()
    }

    #[test]
    fn descending_readers_get_the_newest_first() {
        let mut cursor = Cursor::default();
        cursor.begin(2);
        let groups = groups(&[1, 2, 3, 5]);
        assert_eq!(cursor.next(&groups, GroupOrder::Descending), Some(&5));
        cursor.settle(5..=5);
        assert_eq!(cursor.next(&groups, GroupOrder::Descending), Some(&3));
        assert_eq!(cursor.next(&groups, GroupOrder::Ascending), Some(&2));
    }

    #[test]
    fn memory_is_bounded_however_the_groups_are_numbered() {
        let mut cursor = Cursor::default();
        cursor.begin(0);
        let holes = (0..10_000_u64)
            .filter_map(|i| cursor.settle(i * 1000..=i * 1000))
            .count();
        assert_eq!(holes, 10_000 - MAX_RUNS);
        assert_eq!(cursor.settled.len(), MAX_RUNS);
    }

    #[test]
    fn is_complete_when_the_last_group_is_settled() {
        let mut cursor = Cursor::default();
        cursor.begin(3);
        cursor.narrow(None, Some(5));
        cursor.settle(5..=5);
        assert!(!cursor.is_complete());
        cursor.settle(3..=4);
        assert!(cursor.is_complete());
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(
            there in proptest::collection::btree_set(0_u64..40, 0..30),
            settled in proptest::collection::vec(0_u64..40, 0..30),
            start in 0_u64..40,
            last in proptest::option::of(0_u64..40),
        ) {
            let groups: BTreeMap<u64, u64> = there.iter().map(|sequence| (*sequence, *sequence)).collect();
            let mut cursor = Cursor::default();
            cursor.begin(start);
            cursor.narrow(None, last);
            for sequence in &settled {
                cursor.settle(*sequence..=*sequence);
            }
            let done: BTreeSet<u64> = settled.into_iter().collect();
            let wanted = |sequence: &u64| {
                *sequence >= start
                    && last.is_none_or(|last| *sequence <= last)
                    && !done.contains(sequence)
            };
            let open: Vec<u64> = there.iter().copied().filter(wanted).collect();
            prop_assert_eq!(cursor.next(&groups, GroupOrder::Ascending), open.first());
            prop_assert_eq!(cursor.next(&groups, GroupOrder::Descending), open.last());
            let missing: Vec<u64> = cursor.missing(39).flatten().collect();
            prop_assert_eq!(missing, (0..40).filter(wanted).collect::<Vec<_>>());
        }
    }
}
