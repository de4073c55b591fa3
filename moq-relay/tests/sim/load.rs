//! What publishers send: frames that say when they were written, and are checked on arrival.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use moq_relay_core::model::track::TrackProducer;
use tokio::time::{Instant, sleep_until};

/// Bytes of a frame before its filling: when it was written, its group and its place there.
const HEAD: usize = 24;

/// A stream of frames.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Bytes in a frame.
    pub(crate) frame: usize,
    /// Frames in a second.
    pub(crate) rate: u64,
    /// Frames in a group.
    pub(crate) group: u64,
    /// Groups in all.
    pub(crate) groups: u64,
}

/// What a frame says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Frame {
    /// When it was written.
    pub(crate) written: Duration,
    /// Its group.
    pub(crate) group: u64,
    /// Its place in the group.
    pub(crate) index: u64,
}

impl Load {
    /// Frames in all.
    pub(crate) const fn frames(&self) -> u64 {
        self.group * self.groups
    }

    /// Writes it all in its time, and ends the track.
    pub(crate) async fn publish(self, track: TrackProducer, began: Instant) {
        let start = Instant::now();
        let mut number = 0;
        for _ in 0..self.groups {
            sleep_until(start + self.due(number)).await;
            let mut group = track.append_group().expect("the track is live");
            for index in 0..self.group {
                sleep_until(start + self.due(number)).await;
                number += 1;
                let frame = Frame {
                    written: began.elapsed(),
                    group: group.sequence(),
                    index,
                };
                let written = group.write_frame(frame.encode(self.frame));
                written.expect("there is room");
            }
            group.finish().expect("all frames are whole");
        }
        track.finish();
    }

    fn due(&self, number: u64) -> Duration {
        Duration::from_nanos(number * 1_000_000_000 / self.rate)
    }
}

impl Frame {
    /// Makes a frame of `size` bytes, all of which follow from what it says.
    pub(crate) fn encode(&self, size: usize) -> Bytes {
        let mut bytes = BytesMut::with_capacity(size.max(HEAD));
        bytes.put_u64(u64::try_from(self.written.as_nanos()).expect("it is soon"));
        bytes.put_u64(self.group);
        bytes.put_u64(self.index);
        let filling = (self.group << 8 ^ self.index).to_le_bytes();
        while bytes.len() < size {
            let room = filling.len().min(size - bytes.len());
            bytes.put_slice(&filling[..room]);
        }
        bytes.freeze()
    }

    /// Reads a frame back; `None` if any byte of it is not as it was written.
    pub(crate) fn decode(bytes: &Bytes) -> Option<Self> {
        let number = |at: usize| {
            let bytes = bytes.get(at..at + 8)?.try_into().ok()?;
            Some(u64::from_be_bytes(bytes))
        };
        let frame = Self {
            written: Duration::from_nanos(number(0)?),
            group: number(8)?,
            index: number(16)?,
        };
        (frame.encode(bytes.len()) == *bytes).then_some(frame)
    }
}
