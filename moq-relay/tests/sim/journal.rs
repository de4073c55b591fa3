//! What a subscriber saw of a track, and when.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moq_relay_core::error::Error;
use moq_relay_core::model::consumer::{TrackConsumer, TrackEvent};
use moq_relay_core::model::group::GroupConsumer;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::load::Frame;
use crate::world::soon;

/// What a subscriber sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A frame is here, every byte as it was written.
    Frame(Frame),
    /// The last frame of a group was here, and the group is whole.
    Whole(u64),
    /// A group ended before its end.
    Cut(u64, Error),
    /// Groups will not come.
    Missing(RangeInclusive<u64>),
    /// The track is over.
    End(Result<(), Error>),
}

impl Event {
    /// The frame, if it is one.
    pub(crate) fn frame(&self) -> Option<Frame> {
        if let Self::Frame(frame) = self {
            Some(*frame)
        } else {
            None
        }
    }

    /// The group that is whole, if it is that.
    pub(crate) fn whole(&self) -> Option<u64> {
        if let Self::Whole(group) = self {
            Some(*group)
        } else {
            None
        }
    }

    /// True if nothing more will come of the group.
    fn settles(&self, group: u64) -> bool {
        match self {
            Self::Whole(whole) => *whole == group,
            Self::Cut(cut, _) => *cut == group,
            Self::Missing(groups) => groups.contains(&group),
            Self::Frame(_) | Self::End(_) => false,
        }
    }
}

/// An event, and when it was.
pub(crate) type Entry = (Duration, Event);

/// What a subscriber has seen so far. It goes on until the track ends or this is dropped.
pub(crate) struct Journal {
    pages: Pages,
    reader: JoinSet<()>,
}

#[derive(Clone)]
struct Pages {
    entries: Arc<Mutex<Vec<Entry>>>,
    began: Instant,
}

impl Journal {
    /// Reads a track, each of its groups at once.
    pub(crate) fn of(track: TrackConsumer, began: Instant) -> Self {
        let pages = Pages {
            entries: Arc::default(),
            began,
        };
        let mut reader = JoinSet::new();
        reader.spawn(read_track(track, pages.clone()));
        Self { pages, reader }
    }

    /// Waits for the end of the track and returns all that came of it.
    pub(crate) async fn finish(mut self) -> Vec<Entry> {
        let ended = soon(self.reader.join_next()).await;
        ended
            .expect("it was started")
            .expect("frames are as written");
        std::mem::take(&mut self.pages.lock())
    }

    /// All that was seen so far.
    pub(crate) fn so_far(&self) -> Vec<Entry> {
        self.pages.lock().clone()
    }
}

impl Pages {
    fn note(&self, event: Event) {
        self.lock().push((self.began.elapsed(), event));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read_track(mut track: TrackConsumer, pages: Pages) {
    let mut groups = JoinSet::new();
    let end = loop {
        match track.next().await {
            Ok(Some(TrackEvent::Group(group))) => {
                groups.spawn(read_group(group, pages.clone()));
            }
            Ok(Some(TrackEvent::Gap(gap))) => pages.note(Event::Missing(gap.groups)),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    while let Some(read) = groups.join_next().await {
        read.expect("frames are as written");
    }
    pages.note(Event::End(end));
}

async fn read_group(mut group: GroupConsumer, pages: Pages) {
    let sequence = group.sequence();
    for index in 0.. {
        match group.next_frame().await {
            Ok(Some(bytes)) => {
                let frame = Frame::decode(&bytes).expect("every byte is as written");
                assert_eq!((frame.group, frame.index), (sequence, index));
                pages.note(Event::Frame(frame));
            }
            Ok(None) => return pages.note(Event::Whole(sequence)),
            Err(error) => return pages.note(Event::Cut(sequence, error)),
        }
    }
}

/// The groups that came whole.
pub(crate) fn whole(entries: &[Entry]) -> BTreeSet<u64> {
    entries
        .iter()
        .filter_map(|(_, event)| event.whole())
        .collect()
}

/// Fails unless each of the first `count` groups came whole, was cut, or was told missing.
pub(crate) fn assert_settled(entries: &[Entry], count: u64) {
    for group in 0..count {
        let settled = entries.iter().any(|(_, event)| event.settles(group));
        assert!(settled, "nothing was said of group {group}");
    }
}
