//! Verifies a self-checking load: order, completeness and content of every group.

use std::collections::BTreeMap;
use std::fmt;

use rangemap::RangeInclusiveSet;
use serde::Serialize;

use crate::payload::{self, PayloadError};
use crate::units;

/// Faults that are kept in words; more are only counted.
const MAX_FAULTS: usize = 10;

/// Takes every frame and every end of a subscription and judges them.
///
/// Groups may come in any order and interleaved; the frames of one group must be in order.
#[derive(Debug, Default)]
pub struct Checker {
    /// The publisher's number, once a frame told it.
    stream: Option<u64>,
    /// Groups that have begun and not ended.
    open: BTreeMap<u64, OpenGroup>,
    /// Every group that began.
    seen: RangeInclusiveSet<u64>,
    /// Every group that the publisher said will not come.
    told: RangeInclusiveSet<u64>,
    report: Report,
}

/// How the end of a group looked on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupEnd {
    /// The stream was finished.
    Clean,
    /// The stream was reset, or the session ended.
    Cut,
}

/// What was seen, and what was wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "check")]
pub struct Report {
    /// Groups with all their frames and a clean end.
    pub whole: u64,
    /// Groups that ended before their last frame.
    pub cut: u64,
    /// Groups between the first and the last seen that never began.
    pub missing: u64,
    /// Those of the missing that the publisher gave up in so many words (SUBSCRIBE_GAP).
    pub told: u64,
    /// Groups that were still arriving at the end.
    pub open: u64,
    /// Correct frames.
    pub frames: u64,
    /// Payload bytes of the correct frames.
    pub bytes: u64,
    /// Frames or ends that contradict what was sent.
    pub wrong: u64,
    /// The first of them in words.
    pub faults: Vec<String>,
}

/// Whether groups that the publisher gave up, and said so, are acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    /// Every group must come.
    Forbidden,
    /// Groups may be missing or cut if the publisher says so.
    Allowed,
}

#[derive(Debug, Default)]
struct OpenGroup {
    /// Index the next frame must have.
    next: u32,
    /// Frames in the group, once a frame told it.
    frames: Option<u32>,
}

impl Checker {
    /// Notes that a group begins.
    pub fn begin(&mut self, group: u64) {
        if self.seen.contains(&group) {
            self.fault(format!("group {group} came twice"));
        }
        self.seen.insert(group..=group);
        self.open.insert(group, OpenGroup::default());
    }

    /// Judges one frame of a group that has begun.
    pub fn frame(&mut self, group: u64, payload: &[u8]) {
        match self.judge(group, payload) {
            Ok(()) => {
                self.report.frames += 1;
                self.report.bytes += payload.len() as u64;
            }
            Err(fault) => self.fault(format!("group {group}: {fault}")),
        }
    }

    /// Judges the end of a group that has begun.
    pub fn end(&mut self, group: u64, end: GroupEnd) {
        let Some(open) = self.open.remove(&group) else {
            return;
        };
        let complete = open.frames == Some(open.next);
        match end {
            GroupEnd::Clean if complete => self.report.whole += 1,
            GroupEnd::Clean => {
                self.report.cut += 1;
                let frames = open
                    .frames
                    .map_or("?".to_owned(), |frames| frames.to_string());
                self.fault(format!(
                    "group {group}: a clean end after {} of {frames} frames",
                    open.next
                ));
            }
            GroupEnd::Cut => self.report.cut += 1,
        }
    }

    /// Notes that the publisher will not deliver these groups.
    pub fn gap(&mut self, first: u64, last: u64) {
        if first <= last {
            self.told.insert(first..=last);
        }
    }

    /// Returns what was seen so far, without the missing groups.
    #[must_use]
    pub fn so_far(&self) -> &Report {
        &self.report
    }

    /// Ends the check and returns the whole picture.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.report.open = self.open.len() as u64;
        let (Some(first), Some(last)) = (self.seen.first(), self.seen.last()) else {
            return self.report;
        };
        let span = *first.start()..=*last.end();
        for gap in self.seen.gaps(&span) {
            self.report.missing += gap.end() - gap.start() + 1;
            for told in self.told.overlapping(&gap) {
                let (start, end) = (told.start().max(gap.start()), told.end().min(gap.end()));
                self.report.told += end - start + 1;
            }
        }
        self.report
    }

    fn judge(&mut self, group: u64, payload: &[u8]) -> Result<(), String> {
        let stamp = payload::decode(payload).map_err(|error: PayloadError| error.to_string())?;
        let open = self.open.entry(group).or_default();
        let expected = open.next;
        // After a wrong frame the next one is judged against it, not against the gap it left.
        open.next = stamp.frame.saturating_add(1);
        open.frames = Some(stamp.frames);
        let stream = *self.stream.get_or_insert(stamp.stream);
        if stamp.stream != stream {
            return Err(format!(
                "a frame of stream {} instead of {stream}",
                stamp.stream
            ));
        }
        if stamp.group != group {
            return Err(format!("a frame of group {}", stamp.group));
        }
        if stamp.frame != expected {
            return Err(format!("frame {} instead of {expected}", stamp.frame));
        }
        Ok(())
    }

    fn fault(&mut self, fault: String) {
        self.report.wrong += 1;
        if self.report.faults.len() < MAX_FAULTS {
            self.report.faults.push(fault);
        }
    }
}

impl Report {
    /// Returns whether something came and all of it was right.
    #[must_use]
    pub fn passed(&self, gaps: Gaps) -> bool {
        let complete = match gaps {
            Gaps::Forbidden => self.cut == 0 && self.missing == 0,
            Gaps::Allowed => self.missing == self.told,
        };
        self.frames > 0 && self.wrong == 0 && complete
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "groups: {} whole, {} cut, {} missing ({} of them announced as gaps), {} still open; \
             {} frames, {}; {} wrong",
            self.whole,
            self.cut,
            self.missing,
            self.told,
            self.open,
            self.frames,
            units::bytes(self.bytes),
            self.wrong
        )?;
        for fault in &self.faults {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::{Stamp, encode};

    const FRAMES: u32 = 3;

    fn frame(group: u64, frame: u32) -> bytes::Bytes {
        encode(
            &Stamp {
                stream: 1,
                group,
                frame,
                frames: FRAMES,
                micros: 0,
            },
            60,
        )
    }

    fn feed(checker: &mut Checker, group: u64, frames: std::ops::Range<u32>, end: GroupEnd) {
        checker.begin(group);
        for index in frames {
            checker.frame(group, &frame(group, index));
        }
        checker.end(group, end);
    }

    #[test]
    fn whole_groups_in_any_order_pass() {
        let mut checker = Checker::default();
        for group in [7, 5, 6] {
            feed(&mut checker, group, 0..3, GroupEnd::Clean);
        }
        let report = checker.finish();
        assert_eq!((report.whole, report.frames, report.bytes), (3, 9, 540));
        assert!(report.passed(Gaps::Forbidden), "{report}");
    }

    #[test]
    fn nothing_at_all_fails() {
        assert!(!Checker::default().finish().passed(Gaps::Allowed));
    }

    #[test]
    fn a_clean_end_before_the_last_frame_is_wrong() {
        let mut checker = Checker::default();
        feed(&mut checker, 0, 0..2, GroupEnd::Clean);
        let report = checker.finish();
        assert_eq!((report.cut, report.wrong), (1, 1));
        assert!(report.faults[0].contains("2 of 3"), "{report}");
        assert!(!report.passed(Gaps::Allowed));
    }

    #[test]
    fn a_reset_group_is_cut_and_fails_unless_gaps_are_allowed() {
        let mut checker = Checker::default();
        feed(&mut checker, 0, 0..2, GroupEnd::Cut);
        let report = checker.finish();
        assert_eq!((report.cut, report.wrong), (1, 0));
        assert!(!report.passed(Gaps::Forbidden));
        assert!(report.passed(Gaps::Allowed));
    }

    #[test]
    fn missing_groups_fail_and_are_forgiven_only_if_announced() {
        let mut checker = Checker::default();
        feed(&mut checker, 10, 0..3, GroupEnd::Clean);
        feed(&mut checker, 15, 0..3, GroupEnd::Clean);
        checker.gap(0, 12);
        let report = checker.finish();
        assert_eq!((report.missing, report.told), (4, 2));
        assert!(!report.passed(Gaps::Allowed));
    }

    #[test]
    fn a_swapped_a_lost_and_a_repeated_frame_are_wrong() {
        for order in [[1, 0, 2], [0, 2, 2], [0, 0, 1]] {
            let mut checker = Checker::default();
            checker.begin(0);
            for index in order {
                checker.frame(0, &frame(0, index));
            }
            checker.end(0, GroupEnd::Clean);
            assert!(!checker.finish().passed(Gaps::Allowed), "{order:?}");
        }
    }

    #[test]
    fn a_frame_from_another_group_or_stream_is_wrong() {
        let mut checker = Checker::default();
        checker.begin(0);
        checker.frame(0, &frame(1, 0));
        assert_eq!(checker.so_far().wrong, 1);
        let foreign = Stamp {
            stream: 2,
            group: 0,
            frame: 1,
            frames: FRAMES,
            micros: 0,
        };
        checker.frame(0, &encode(&foreign, 60));
        assert_eq!(checker.so_far().wrong, 2);
    }

    #[test]
    fn a_group_that_comes_twice_is_wrong() {
        let mut checker = Checker::default();
        feed(&mut checker, 0, 0..3, GroupEnd::Clean);
        feed(&mut checker, 0, 0..3, GroupEnd::Clean);
        assert!(!checker.finish().passed(Gaps::Allowed));
    }

    #[test]
    fn the_gap_to_an_absurd_sequence_is_counted_without_walking_it() {
        let mut checker = Checker::default();
        feed(&mut checker, 0, 0..3, GroupEnd::Clean);
        checker.begin(u64::MAX);
        assert_eq!(checker.finish().missing, u64::MAX - 1);
    }
}
