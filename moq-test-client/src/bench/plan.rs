//! What a benchmark does.

use std::time::Duration;

use moq_transfork::path::{Path, PathError};

use super::range::{Aspect, Range};
use super::rounds::Rounds;
use super::schedule::Beat;
use crate::dial::DialOptions;
use crate::payload::HEADER_LEN;

/// What a benchmark does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How to reach the relay.
    pub dial: DialOptions,
    /// Which roles this process plays. The other may be played by another with the same plan.
    pub role: Role,
    /// Below which path the tracks are.
    pub prefix: Path,
    /// Connections that publish.
    pub publishers: usize,
    /// Tracks that each of them publishes.
    pub broadcasts: Range<u32>,
    /// Connections that subscribe.
    pub subscribers: usize,
    /// Tracks that each of them subscribes to.
    pub subscriptions: Range<u32>,
    /// How many of the subscribers read slowly; they are left out of the latencies and counts.
    pub slow: usize,
    /// How many bytes a second a slow one reads.
    pub slow_rate: u64,
    /// Whether slow readers are always there, or come for every second round and go.
    pub slow_stay: Stay,
    /// Connections that only follow what is announced.
    pub listeners: usize,
    /// Frames a second.
    pub rate: Range<f64>,
    /// Instead of a rate: how many frames of a track may be under way, each followed by the next as
    /// soon as it has reached all of its subscribers.
    pub in_flight: Option<u32>,
    /// Bytes of a frame.
    pub size: Range<u32>,
    /// Frames of a group.
    pub grouping: Range<u32>,
    /// How many times larger the first frame of a group is.
    pub key_frame: u32,
    /// What is rolled follows from this.
    pub seed: u64,
    /// Over how long the subscribers come.
    pub ramp: Duration,
    /// How long each of them stays from its subscription on: to the end, if nothing is said.
    pub stay: Option<Duration>,
    /// Measured in rounds instead of for one `duration` after a `warmup`.
    pub rounds: Option<Rounds>,
    /// Between the last of them and the measurement.
    pub warmup: Duration,
    /// How long is measured.
    pub duration: Duration,
    /// How long frames may still be under way afterwards.
    pub drain: Duration,
    /// How often a sample is taken.
    pub interval: Duration,
}

/// Which roles a process plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Publishers and subscribers.
    #[default]
    Both,
    /// Publishers.
    Publish,
    /// Subscribers and listeners.
    Subscribe,
}

/// When somebody is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Stay {
    /// From the beginning to the end.
    #[default]
    Always,
    /// In every second round, from its beginning to its end; not in the first.
    EverySecondRound,
}

/// What one publisher's tracks are like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    rate: f64,
    size: u32,
    pub(super) grouping: u32,
    key_frame: u32,
}

impl Plan {
    /// How many tracks there are.
    #[must_use]
    pub fn tracks(&self) -> usize {
        self.first_track(self.publishers)
    }

    /// How many tracks a publisher has.
    pub(super) fn tracks_by(&self, publisher: usize) -> usize {
        let rolled = self
            .broadcasts
            .roll(self.seed, publisher, Aspect::Broadcasts);
        rolled as usize
    }

    /// The first of a publisher's tracks; they follow each other.
    pub(super) fn first_track(&self, publisher: usize) -> usize {
        (0..publisher).map(|before| self.tracks_by(before)).sum()
    }

    /// How many subscriptions there are in all.
    #[must_use]
    pub fn owed(&self) -> usize {
        if self.tracks() == 0 {
            return 0;
        }
        let wanted = (0..self.subscribers).map(|subscriber| self.wanted_by(subscriber));
        wanted.sum()
    }

    /// How many connections of this process publish.
    pub(super) fn publishers_here(&self) -> usize {
        match self.role {
            Role::Both | Role::Publish => self.publishers,
            Role::Subscribe => 0,
        }
    }

    /// How many of them slow readers have.
    pub(super) fn owed_to_slow(&self) -> usize {
        (0..self.slow)
            .map(|subscriber| self.tracks_of(subscriber).count())
            .sum()
    }

    /// The path of one of them.
    ///
    /// # Errors
    ///
    /// If the prefix leaves no room for it.
    pub fn path(&self, track: usize) -> Result<Path, PathError> {
        let (mut publisher, mut rest) = (0, track);
        while publisher + 1 < self.publishers && rest >= self.tracks_by(publisher) {
            rest -= self.tracks_by(publisher);
            publisher += 1;
        }
        self.path_of(publisher, rest)
    }

    /// The path of a publisher's track, counted from its first.
    pub(super) fn path_of(&self, publisher: usize, track: usize) -> Result<Path, PathError> {
        let parts = [publisher.to_string(), track.to_string()];
        self.prefix.join(&Path::new(parts)?)
    }

    /// The tracks that a subscriber subscribes to: spread evenly over all of them.
    pub fn tracks_of(&self, subscriber: usize) -> impl Iterator<Item = usize> + use<> {
        let tracks = self.tracks();
        let first: usize = (0..subscriber).map(|before| self.wanted_by(before)).sum();
        let count = if tracks == 0 {
            0
        } else {
            self.wanted_by(subscriber)
        };
        (first..first + count).map(move |index| index % tracks.max(1))
    }

    fn wanted_by(&self, subscriber: usize) -> usize {
        let wanted = self.subscriptions;
        wanted.roll(self.seed, subscriber, Aspect::Subscriptions) as usize
    }

    /// Whether this subscriber is one of the slow ones.
    #[must_use]
    pub fn is_slow(&self, subscriber: usize) -> bool {
        subscriber < self.slow
    }

    /// Whether this subscriber comes and goes.
    pub(super) fn is_passing(&self, subscriber: usize) -> bool {
        self.is_slow(subscriber) && self.slow_stay == Stay::EverySecondRound
    }

    /// The time between two frames, if there is one track alone.
    pub(super) fn gap(&self) -> Option<Duration> {
        let rate = self.shape(0).rate;
        let is_even = self.tracks() == 1 && rate > 0.0 && self.in_flight.is_none();
        is_even.then(|| Duration::from_secs_f64(rate.recip()))
    }

    /// What the tracks of a publisher are like.
    pub(super) fn shape(&self, publisher: usize) -> Shape {
        Shape {
            rate: self.rate.roll(self.seed, publisher, Aspect::Rate),
            size: self.size.roll(self.seed, publisher, Aspect::Size),
            grouping: self.grouping.roll(self.seed, publisher, Aspect::Grouping),
            key_frame: self.key_frame,
        }
    }
}

impl Shape {
    /// The rhythm of one of the tracks; tracks do not beat in step.
    pub(super) fn beat(&self, seed: u64, track: usize) -> Beat {
        let period = if self.rate > 0.0 {
            self.rate.recip()
        } else {
            0.0
        };
        let phase = super::range::unit(seed, track, Aspect::Phase);
        Beat {
            first: Duration::from_secs_f64(period * phase),
            rate: self.rate,
        }
    }

    /// Bytes of the frame with this place in its group.
    pub(super) fn len(&self, frame: u32) -> usize {
        let times = if frame == 0 { self.key_frame } else { 1 };
        (self.size as usize * times as usize).max(HEADER_LEN)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn plan() -> Plan {
        Plan {
            dial: DialOptions::new("https://localhost:4443".parse().unwrap()),
            role: Role::Both,
            prefix: "bench/x".parse().unwrap(),
            publishers: 2,
            broadcasts: Range::exactly(3),
            subscribers: 4,
            subscriptions: Range::exactly(3),
            slow: 1,
            slow_rate: 1000,
            slow_stay: Stay::Always,
            listeners: 0,
            rate: Range {
                low: 10.0,
                high: 20.0,
            },
            size: Range {
                low: 100,
                high: 200,
            },
            in_flight: None,
            grouping: Range::exactly(30),
            key_frame: 10,
            seed: 1,
            ramp: Duration::ZERO,
            stay: None,
            rounds: None,
            warmup: Duration::ZERO,
            duration: Duration::from_secs(1),
            drain: Duration::from_secs(1),
            interval: Duration::from_secs(1),
        }
    }

    #[test]
    fn tracks_have_names_that_another_process_finds() {
        assert_eq!(plan().path(0).unwrap().to_string(), "bench/x/0/0");
        assert_eq!(plan().path(5).unwrap().to_string(), "bench/x/1/2");
    }

    #[test]
    fn subscriptions_spread_evenly_over_the_tracks() {
        let mut readers = [0; 6];
        for subscriber in 0..4 {
            plan()
                .tracks_of(subscriber)
                .for_each(|track| readers[track] += 1);
        }
        assert_eq!(readers, [2; 6]);
        let silent = Plan {
            publishers: 0,
            ..plan()
        };
        assert_eq!(silent.tracks_of(0).count(), 0);
    }

    #[test]
    fn rolled_numbers_of_tracks_leave_no_gap_between_publishers() {
        let rolled = Plan {
            publishers: 20,
            broadcasts: Range { low: 0, high: 5 },
            subscriptions: Range { low: 1, high: 9 },
            ..plan()
        };
        let named =
            |publisher| (0..rolled.tracks_by(publisher)).map(move |track| (publisher, track));
        let all: Vec<_> = (0..20).flat_map(named).collect();
        assert_eq!(all.len(), rolled.tracks());
        for (track, (publisher, number)) in all.into_iter().enumerate() {
            let path = rolled.path_of(publisher, number).unwrap();
            assert_eq!(rolled.path(track).unwrap(), path);
        }
        let owed: usize = (0..4).map(|index| rolled.tracks_of(index).count()).sum();
        assert_eq!(owed, rolled.owed());
    }

    #[test]
    fn the_first_frame_of_a_group_is_the_larger_one() {
        let shape = plan().shape(0);
        assert_eq!(shape.len(0), 10 * shape.len(1));
        let tiny = Plan {
            size: Range::exactly(0),
            ..plan()
        };
        assert_eq!(tiny.shape(0).len(1), HEADER_LEN);
    }
}
