//! One track as a flow of events, its groups read side by side or one after the other.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use moq_relay_core::error::Error;
use moq_relay_core::model::consumer::{TrackConsumer, TrackEvent};
use moq_relay_core::model::group::GroupConsumer;
use moq_relay_core::model::track::Gap;

/// Groups that wait for one before them, with [`Order::BySequence`]. With more than that the one
/// before them is passed over.
const MAX_WAITING: usize = 1024;

/// What happens on a track.
#[derive(Debug)]
pub(crate) enum Event {
    /// A group begins.
    Begin(u64),
    /// A frame of a group that has begun.
    Frame { group: u64, payload: Bytes },
    /// A group ends, whole or cut short.
    End { group: u64, end: Result<(), Error> },
    /// Groups will not come.
    Gap(Gap),
    /// The track ends, after all its groups.
    TrackEnd(Result<(), Error>),
}

/// In which order groups are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As they come, as many as come: frames of several groups alternate.
    Interleaved,
    /// One to its end, then the one that follows it, once that has come or is known not to.
    BySequence,
}

/// Reads one track.
pub(crate) struct Reading {
    track: TrackConsumer,
    order: Order,
    /// Groups that are being read.
    open: FuturesUnordered<BoxFuture<'static, Step>>,
    /// Groups that have come before their turn.
    waiting: BTreeMap<u64, GroupConsumer>,
    /// The group whose turn it is; `None` takes whichever comes first.
    due: Option<u64>,
    end: Option<Result<(), Error>>,
}

/// A group, and what it had next.
type Step = (GroupConsumer, Result<Option<Bytes>, Error>);

impl Reading {
    /// Begins to read.
    pub(crate) fn new(track: TrackConsumer, order: Order) -> Self {
        let due = track.subscription().min;
        let (open, waiting) = (FuturesUnordered::new(), BTreeMap::new());
        Self {
            track,
            order,
            open,
            waiting,
            due,
            end: None,
        }
    }

    /// Returns what happens next, waiting for it. Cancel-safe. After [`Event::TrackEnd`] it is
    /// for ever that.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            if let Some(group) = self.take_due() {
                let sequence = group.sequence();
                self.due = sequence.checked_add(1);
                self.open.push(advance(group).boxed());
                return Event::Begin(sequence);
            }
            if let Some(end) = &self.end
                && self.open.is_empty()
            {
                return Event::TrackEnd(end.clone());
            }
            tokio::select! {
                Some((group, step)) = self.open.next(), if !self.open.is_empty() => {
                    return self.step(group, step);
                }
                event = self.track.next(), if self.end.is_none() => match event {
                    Ok(Some(TrackEvent::Group(group))) => {
                        self.waiting.insert(group.sequence(), group);
                    }
                    Ok(Some(TrackEvent::Gap(gap))) => {
                        if self.due.is_some_and(|due| gap.groups.contains(&due)) {
                            self.due = gap.groups.end().checked_add(1);
                        }
                        return Event::Gap(gap);
                    }
                    Ok(None) => self.end = Some(Ok(())),
                    Err(error) => self.end = Some(Err(error)),
                },
            }
        }
    }

    /// Takes the first group that waits, if it is its turn.
    fn take_due(&mut self) -> Option<GroupConsumer> {
        let first = *self.waiting.first_key_value()?.0;
        let is_due = match self.order {
            Order::Interleaved => true,
            Order::BySequence => {
                let nothing_before = self.due.is_none_or(|due| first <= due);
                let no_more_patience = self.end.is_some() || self.waiting.len() > MAX_WAITING;
                self.open.is_empty() && (nothing_before || no_more_patience)
            }
        };
        if is_due {
            self.waiting.remove(&first)
        } else {
            None
        }
    }

    fn step(&self, consumer: GroupConsumer, step: Result<Option<Bytes>, Error>) -> Event {
        let group = consumer.sequence();
        match step {
            Ok(Some(payload)) => {
                self.open.push(advance(consumer).boxed());
                Event::Frame { group, payload }
            }
            Ok(None) => Event::End { group, end: Ok(()) },
            Err(error) => Event::End {
                group,
                end: Err(error),
            },
        }
    }
}

async fn advance(mut group: GroupConsumer) -> Step {
    let step = group.next_frame().await;
    (group, step)
}

#[cfg(test)]
mod tests {
    use moq_relay_core::model::subscription::Subscription;
    use moq_relay_core::model::track::{TrackInfo, TrackProducer};
    use moq_relay_core::source::Source;
    use moq_relay_core::tracks::Tracks;
    use moq_transfork::code::Code;

    use super::*;

    fn world(order: Order) -> (TrackProducer, Reading) {
        let tracks = Tracks::default();
        let track = tracks
            .create("demo".parse().unwrap(), TrackInfo::default())
            .unwrap();
        let all = Subscription {
            min: Some(0),
            ..Subscription::default()
        };
        let consumer = tracks.track(&"demo".parse().unwrap(), all).unwrap();
        (track, Reading::new(consumer, order))
    }

    fn publish(track: &TrackProducer, sequence: u64) {
        let mut group = track.create_group(sequence).unwrap();
        group.write_frame("frame").unwrap();
        group.finish().unwrap();
    }

    /// The groups of the next `count` frames.
    async fn frames(reading: &mut Reading, count: usize) -> Vec<u64> {
        let mut groups = Vec::new();
        while groups.len() < count {
            if let Event::Frame { group, .. } = reading.next().await {
                groups.push(group);
            }
        }
        groups
    }

    #[tokio::test(start_paused = true)]
    async fn groups_that_came_in_the_wrong_order_are_read_by_sequence() {
        let (track, mut reading) = world(Order::BySequence);
        publish(&track, 1);
        publish(&track, 2);
        let early = tokio::time::timeout(std::time::Duration::from_secs(1), reading.next()).await;
        assert!(early.is_err(), "{early:?} before group 0");
        publish(&track, 0);
        assert_eq!(frames(&mut reading, 3).await, [0, 1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_that_will_not_come_is_not_waited_for() {
        let (track, mut reading) = world(Order::BySequence);
        publish(&track, 2);
        track.skip(Gap {
            groups: 0..=1,
            code: Code::EXPIRED,
        });
        assert_eq!(frames(&mut reading, 1).await, [2]);
    }

    #[tokio::test(start_paused = true)]
    async fn interleaved_groups_do_not_wait_for_each_other() {
        let (track, mut reading) = world(Order::Interleaved);
        let _open = track.create_group(0).unwrap();
        publish(&track, 1);
        assert_eq!(frames(&mut reading, 1).await, [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_comes_after_all_groups_and_stays() {
        let (track, mut reading) = world(Order::BySequence);
        publish(&track, 0);
        track.finish();
        assert_eq!(frames(&mut reading, 1).await, [0]);
        assert!(matches!(
            reading.next().await,
            Event::End {
                group: 0,
                end: Ok(())
            }
        ));
        assert!(matches!(reading.next().await, Event::TrackEnd(Ok(()))));
        assert!(matches!(reading.next().await, Event::TrackEnd(Ok(()))));
    }
}
