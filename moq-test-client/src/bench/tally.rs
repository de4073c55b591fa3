//! What became of one subscription: delivered, lost, late, twice.

use std::ops::RangeInclusive;

use rangemap::RangeInclusiveSet;
use serde::Serialize;

/// Accounts for the groups and frames of one subscription.
///
/// A subscriber is owed every group from the first that reached it to the newest it has proof of,
/// be it that group's own arrival or the publisher's word.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: Counts,
    /// Every group that began.
    seen: RangeInclusiveSet<u64>,
    /// The groups that are owed: from the first that came to the newest that is known.
    owed: Option<RangeInclusive<u64>>,
    /// How many of those owed began.
    begun: u64,
    /// Groups that began and have not ended.
    open: u64,
}

/// What is counted, in a subscription or in many. All numbers only grow, but `lost_groups`, from
/// which a group that comes late after all is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Frames that came whole.
    pub frames: u64,
    /// Groups that came whole.
    pub groups: u64,
    /// Bytes of frames that came whole, payload only.
    pub bytes: u64,
    /// Groups of which nothing came though a later one is known.
    pub lost_groups: u64,
    /// Groups that began and were not completed.
    pub cut_groups: u64,
    /// Groups that began after one that follows them.
    pub late_groups: u64,
    /// Groups that came a second time.
    pub duplicate_groups: u64,
    /// Frames whose content or place was wrong.
    pub corrupt_frames: u64,
}

/// How much of a group came before its stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupEnd {
    /// All of it.
    Whole,
    /// Less: the stream was reset, or ended early.
    Cut,
}

/// Whether a group came for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// It did.
    Yes,
    /// It came before, and what comes now is a copy.
    No,
}

impl Tally {
    /// Takes the beginning of a group, and tells whether it is to be read: not if it came before.
    pub fn begin(&mut self, sequence: u64) -> Fresh {
        if self.seen.contains(&sequence) {
            self.counts.duplicate_groups += 1;
            return Fresh::No;
        }
        self.seen.insert(sequence..=sequence);
        self.open += 1;
        let owed = self.owed.get_or_insert(sequence..=sequence);
        if sequence < *owed.end() {
            self.counts.late_groups += 1;
        }
        if sequence >= *owed.start() {
            self.begun += 1;
        }
        self.prove(sequence);
        Fresh::Yes
    }

    /// Takes the publisher's or the relay's word that this group exists.
    ///
    /// Before the first group has come nothing is owed.
    pub fn prove(&mut self, sequence: u64) {
        if let Some(owed) = &mut self.owed {
            *owed = *owed.start()..=sequence.max(*owed.end());
            self.counts.lost_groups = owed.end() - owed.start() + 1 - self.begun;
        }
    }

    /// Takes a whole frame.
    pub fn frame(&mut self, bytes: usize) {
        self.counts.frames += 1;
        self.counts.bytes += bytes as u64;
    }

    /// Takes a frame that is not what was sent.
    pub fn corrupt(&mut self) {
        self.counts.corrupt_frames += 1;
    }

    /// Takes the end of a group that was [`Fresh`].
    pub fn end(&mut self, end: GroupEnd) {
        self.open -= 1;
        match end {
            GroupEnd::Whole => self.counts.groups += 1,
            GroupEnd::Cut => self.counts.cut_groups += 1,
        }
    }

    /// Gives up groups that have begun: they will not end any more.
    pub fn give_up(&mut self) {
        self.counts.cut_groups += std::mem::take(&mut self.open);
    }

    /// Returns what was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Tells whether any group came at all.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.owed.is_some()
    }
}

impl Counts {
    /// Adds those of another subscription.
    pub fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.groups += other.groups;
        self.bytes += other.bytes;
        self.lost_groups += other.lost_groups;
        self.cut_groups += other.cut_groups;
        self.late_groups += other.late_groups;
        self.duplicate_groups += other.duplicate_groups;
        self.corrupt_frames += other.corrupt_frames;
    }

    /// Tells whether anything was lost or came wrong.
    #[must_use]
    pub fn is_flawless(&self) -> bool {
        self.lost_groups + self.cut_groups + self.duplicate_groups + self.corrupt_frames == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(groups: &[u64]) -> Tally {
        let mut tally = Tally::default();
        for &group in groups {
            tally.begin(group);
        }
        tally
    }

    #[test]
    fn a_skipped_group_is_lost_once_a_later_one_proves_it() {
        assert_eq!(after(&[4, 5]).counts().lost_groups, 0);
        assert_eq!(after(&[4, 6]).counts().lost_groups, 1);
        assert_eq!(after(&[4, 6, 10]).counts().lost_groups, 4);
    }

    #[test]
    fn a_group_that_comes_after_all_is_late_and_not_lost() {
        let counts = after(&[4, 6, 5]).counts();
        assert_eq!((counts.lost_groups, counts.late_groups), (0, 1));
        assert!(counts.is_flawless());
    }

    #[test]
    fn a_second_copy_is_a_duplicate_and_pays_for_no_loss() {
        let counts = after(&[4, 6, 4, 6]).counts();
        assert_eq!((counts.lost_groups, counts.duplicate_groups), (1, 2));
    }

    #[test]
    fn groups_from_before_the_first_are_nobodys_due() {
        let counts = after(&[9, 5, 10, 5]).counts();
        assert_eq!(
            (
                counts.lost_groups,
                counts.late_groups,
                counts.duplicate_groups
            ),
            (0, 1, 1)
        );
    }

    #[test]
    fn the_publishers_last_group_proves_a_lost_tail() {
        let mut tally = after(&[4, 5]);
        tally.prove(8);
        assert_eq!(tally.counts().lost_groups, 3);
        tally.begin(8);
        assert_eq!(tally.counts().lost_groups, 2);
        let mut nothing = Tally::default();
        nothing.prove(8);
        assert!(!nothing.has_begun());
        assert_eq!(nothing.counts(), Counts::default());
    }

    #[test]
    fn a_cut_group_is_a_flaw_and_no_delivery() {
        let mut tally = after(&[0]);
        tally.frame(100);
        tally.end(GroupEnd::Cut);
        let counts = tally.counts();
        assert_eq!((counts.frames, counts.bytes, counts.groups), (1, 100, 0));
        assert!(!counts.is_flawless());
    }

    #[test]
    fn a_group_given_up_is_cut_once() {
        let mut tally = after(&[0, 1]);
        tally.end(GroupEnd::Whole);
        tally.give_up();
        tally.give_up();
        let counts = tally.counts();
        assert_eq!((counts.groups, counts.cut_groups), (1, 1));
    }
}
