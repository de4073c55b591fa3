//! A set of numbers that is few runs of many.

use std::ops::RangeInclusive;

/// A set of numbers, as the runs it consists of, in order and apart from each other.
///
/// It is for a dozen runs, where a plain list is smaller and faster than a tree.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs(Vec<(u64, u64)>);

impl Runs {
    /// Adds all numbers of a range, which may be there already.
    pub(super) fn insert(&mut self, range: RangeInclusive<u64>) {
        let (mut first, mut last) = range.into_inner();
        // The runs that it overlaps or touches become one with it.
        let from = self
            .0
            .partition_point(|run| run.1 < first && run.1 + 1 < first);
        let to = from + self.0[from..].partition_point(|run| run.0 <= last.saturating_add(1));
        if let Some(run) = self.0[from..to].first() {
            first = first.min(run.0);
        }
        if let Some(run) = self.0[from..to].last() {
            last = last.max(run.1);
        }
        match to - from {
            0 => self.0.insert(from, (first, last)),
            _ => {
                self.0[from] = (first, last);
                self.0.drain(from + 1..to);
            }
        }
    }

    /// The runs of numbers within `range` that are not in the set, in order.
    pub(super) fn gaps(
        &self,
        range: RangeInclusive<u64>,
    ) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        let (start, end) = range.into_inner();
        let from = self.0.partition_point(|run| run.1 < start);
        let mut runs = self.0[from..].iter();
        let mut next = Some(start).filter(|start| *start <= end);
        std::iter::from_fn(move || {
            loop {
                let start = next?;
                let Some((first, last)) = runs.next().filter(|run| run.0 <= end) else {
                    next = None;
                    return Some(start..=end);
                };
                next = last.checked_add(1).filter(|after| *after <= end);
                if start < *first {
                    return Some(start..=first - 1);
                }
            }
        })
    }

    /// The number of runs.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.0.first().map(|run| run.0)
    }

    pub(super) fn last(&self) -> Option<u64> {
        self.0.last().map(|run| run.1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(
            ranges in proptest::collection::vec((0_u64..60, 0_u64..6), 0..20),
            start in 0_u64..60,
            end in 0_u64..60,
        ) {
            let (mut runs, mut plain) = (Runs::default(), BTreeSet::new());
            for (first, more) in ranges {
                runs.insert(first..=first + more);
                plain.extend(first..=first + more);
            }
            let gaps: Vec<u64> = runs.gaps(start..=end).flatten().collect();
            let missing: Vec<u64> = (start..=end).filter(|n| !plain.contains(n)).collect();
            prop_assert_eq!(gaps, missing);
            prop_assert_eq!(runs.first(), plain.first().copied());
            prop_assert_eq!(runs.last(), plain.last().copied());
            let begins = |n: &&u64| **n == 0 || !plain.contains(&(**n - 1));
            prop_assert_eq!(runs.len(), plain.iter().filter(begins).count());
        }
    }

    #[test]
    fn the_greatest_numbers_are_numbers_too() {
        let mut runs = Runs::default();
        runs.insert(u64::MAX - 1..=u64::MAX);
        runs.insert(0..=0);
        assert_eq!(
            runs.gaps(0..=u64::MAX).collect::<Vec<_>>(),
            [1..=u64::MAX - 2]
        );
        runs.insert(0..=u64::MAX);
        assert_eq!((runs.len(), runs.gaps(0..=u64::MAX).count()), (1, 0));
    }
}
