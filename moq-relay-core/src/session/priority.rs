//! The order in which the streams of a session are sent.

use moq_transfork::message::{GroupOrder, Priority};

/// Bits of a stream's priority that order the groups of a track. They repeat every 16 million
/// groups; only groups that are on their way at the same time are ever compared.
const SEQUENCE_BITS: u32 = 24;

/// Returns the transport's priority of a group's stream: higher is sent first.
///
/// The track's priority goes before everything; groups of equal priority are ordered by sequence,
/// the newest first unless the order is ascending (draft-03, "Prioritization").
pub fn stream_priority(track: Priority, order: GroupOrder, sequence: u64) -> i32 {
    let track = track.get().min(255) as i32 - 128;
    let mask = (1_u64 << SEQUENCE_BITS) - 1;
    let place = (sequence & mask) as i32;
    let place = match order {
        GroupOrder::Ascending => mask as i32 - place,
        GroupOrder::Default | GroupOrder::Descending => place,
    };
    (track << SEQUENCE_BITS) | place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_track_priority_beats_any_group() {
        let low = stream_priority(Priority::new(128), GroupOrder::Descending, 1 << 23);
        let high = stream_priority(Priority::new(129), GroupOrder::Descending, 0);
        assert!(high > low);
    }

    #[test]
    fn descending_sends_the_newest_group_first_and_ascending_the_oldest() {
        let of = |order, sequence| stream_priority(Priority::NEUTRAL, order, sequence);
        assert!(of(GroupOrder::Descending, 8) > of(GroupOrder::Descending, 7));
        assert!(of(GroupOrder::Default, 8) > of(GroupOrder::Default, 7));
        assert!(of(GroupOrder::Ascending, 7) > of(GroupOrder::Ascending, 8));
    }

    #[test]
    fn the_extremes_fit() {
        let lowest = stream_priority(Priority::MIN, GroupOrder::Descending, 0);
        let highest = stream_priority(Priority::MAX, GroupOrder::Ascending, 0);
        assert_eq!(lowest, i32::MIN);
        assert_eq!(highest, i32::MAX);
    }
}
