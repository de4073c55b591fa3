//! What a benchmark does.

use std::time::Duration;

use moq_transfork::path::{Path, PathError};

use super::range::{Aspect, Range};
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
    pub broadcasts: usize,
    /// Connections that subscribe.
    pub subscribers: usize,
    /// Tracks that each of them subscribes to.
    pub subscriptions: usize,
    /// How many of the subscribers read slowly; they are left out of the latencies and counts.
    pub slow: usize,
    /// How many bytes a second a slow one reads.
    pub slow_rate: u64,
    /// Connections that only follow what is announced.
    pub listeners: usize,
    /// Frames a second.
    pub rate: Range<f64>,
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
        self.publishers * self.broadcasts
    }

    /// How many connections of this process publish.
    pub(super) fn publishers_here(&self) -> usize {
        match self.role {
            Role::Both | Role::Publish => self.publishers,
            Role::Subscribe => 0,
        }
    }

    /// The path of one of them.
    ///
    /// # Errors
    ///
    /// If the prefix leaves no room for it.
    pub fn path(&self, track: usize) -> Result<Path, PathError> {
        let publisher = track / self.broadcasts.max(1);
        let parts = [
            publisher.to_string(),
            (track % self.broadcasts.max(1)).to_string(),
        ];
        self.prefix.join(&Path::new(parts)?)
    }

    /// The tracks that a subscriber subscribes to: spread evenly over all of them.
    pub fn tracks_of(&self, subscriber: usize) -> impl Iterator<Item = usize> + use<> {
        let (tracks, first) = (self.tracks().max(1), subscriber * self.subscriptions);
        let count = if self.tracks() == 0 {
            0
        } else {
            self.subscriptions
        };
        (first..first + count).map(move |index| index % tracks)
    }

    /// Whether this subscriber is one of the slow ones.
    #[must_use]
    pub fn is_slow(&self, subscriber: usize) -> bool {
        subscriber < self.slow
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
            broadcasts: 3,
            subscribers: 4,
            subscriptions: 3,
            slow: 1,
            slow_rate: 1000,
            listeners: 0,
            rate: Range {
                low: 10.0,
                high: 20.0,
            },
            size: Range {
                low: 100,
                high: 200,
            },
            grouping: Range::exactly(30),
            key_frame: 10,
            seed: 1,
            ramp: Duration::ZERO,
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
