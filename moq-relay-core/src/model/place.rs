//! Where a reader comes to a track.

use std::sync::Arc;

use crate::model::group::GroupShared;
use crate::model::state::TrackState;
use crate::model::subscription::Subscription;

/// A reader's entry in its track.
pub(super) struct Place {
    pub(super) reader: usize,
    pub(super) beginning: Beginning,
}

/// Where a reader that wants the latest group starts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Beginning {
    /// At the newest group there is.
    Newest,
    /// There was no group yet: at the first that comes, of those the publisher had not left behind.
    First { newest: Option<u64> },
}

impl Place {
    /// Counts a reader among those of the track.
    pub(super) fn take(state: &mut TrackState, subscription: &Subscription) -> Self {
        let newest = state.newest;
        let beginning = if state.groups.is_empty() {
            Beginning::First { newest }
        } else {
            Beginning::Newest
        };
        Self {
            reader: state.readers.insert(subscription.clone()),
            beginning,
        }
    }
}

impl Beginning {
    /// The first group for the reader, once there is one.
    pub(super) fn find(self, state: &TrackState) -> Option<u64> {
        let is_whole = |(_, group): &(&u64, &Arc<GroupShared>)| group.failure().is_none();
        let since = match self {
            Self::Newest => None,
            Self::First { newest } => newest.or(state.first),
        };
        let first = since.and_then(|since| state.groups.range(since..).find(is_whole));
        if let Some((sequence, _)) = first.or_else(|| state.groups.iter().rev().find(is_whole)) {
            return Some(*sequence);
        }
        // All that was here failed: whatever comes next is the latest.
        let last = state.groups.last_key_value();
        last.map(|(sequence, _)| sequence + 1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use crate::model::cache::Cache;
    use crate::model::consumer::TrackConsumer;
    use crate::model::track::{TrackInfo, TrackProducer};

    use super::*;

    fn track() -> TrackProducer {
        let path = "track".parse().unwrap();
        TrackProducer::new(path, &Cache::default(), Duration::from_secs(1))
    }

    fn write(track: &TrackProducer, sequence: u64) {
        track.create_group(sequence).unwrap().finish().unwrap();
    }

    fn read(reader: &mut TrackConsumer) -> Vec<u64> {
        let next = || reader.next_group().now_or_never()?.ok()?;
        let mut groups: Vec<_> = std::iter::from_fn(next).map(|g| g.sequence()).collect();
        groups.sort_unstable();
        groups
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_before_the_first_group_gets_all_that_follow_it() {
        let track = track();
        let mut reader = track.consume(Subscription::default()).unwrap();
        assert!(read(&mut reader).is_empty());
        (7..10).for_each(|sequence| write(&track, sequence));
        assert_eq!(read(&mut reader), [7, 8, 9]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_publisher_had_left_behind_is_not_waited_for() {
        let track = track();
        let mut reader = track.consume(Subscription::default()).unwrap();
        track.set_info(TrackInfo::default(), Some(8));
        (6..10).for_each(|sequence| write(&track, sequence));
        assert_eq!(read(&mut reader), [8, 9]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_later_starts_at_the_newest() {
        let track = track();
        (0..3).for_each(|sequence| write(&track, sequence));
        let mut reader = track.consume(Subscription::default()).unwrap();
        assert_eq!(read(&mut reader), [2]);
    }
}
