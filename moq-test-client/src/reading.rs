//! One track as a flow of events, its groups read side by side.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use moq_relay_core::error::Error;
use moq_relay_core::model::consumer::{TrackConsumer, TrackEvent};
use moq_relay_core::model::group::GroupConsumer;
use moq_relay_core::model::track::Gap;

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

/// How many groups are read at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As many as come: frames of several groups alternate.
    Interleaved,
    /// One to its end, then the next.
    OneByOne,
}

/// Reads one track.
pub(crate) struct Reading {
    track: TrackConsumer,
    open: FuturesUnordered<BoxFuture<'static, Step>>,
    order: Order,
    end: Option<Result<(), Error>>,
}

/// A group, and what it had next.
type Step = (GroupConsumer, Result<Option<Bytes>, Error>);

impl Reading {
    /// Begins to read.
    pub(crate) fn new(track: TrackConsumer, order: Order) -> Self {
        Self {
            track,
            open: FuturesUnordered::new(),
            order,
            end: None,
        }
    }

    /// Returns what happens next, waiting for it. Cancel-safe. After [`Event::TrackEnd`] it is
    /// for ever that.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            if let Some(end) = &self.end
                && self.open.is_empty()
            {
                return Event::TrackEnd(end.clone());
            }
            let room = self.order == Order::Interleaved || self.open.is_empty();
            tokio::select! {
                Some((group, step)) = self.open.next(), if !self.open.is_empty() => {
                    return self.step(group, step);
                }
                event = self.track.next(), if room && self.end.is_none() => match event {
                    Ok(Some(TrackEvent::Group(group))) => {
                        let sequence = group.sequence();
                        self.open.push(advance(group).boxed());
                        return Event::Begin(sequence);
                    }
                    Ok(Some(TrackEvent::Gap(gap))) => return Event::Gap(gap),
                    Ok(None) => self.end = Some(Ok(())),
                    Err(error) => self.end = Some(Err(error)),
                },
            }
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
