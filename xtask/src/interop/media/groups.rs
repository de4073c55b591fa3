//! What a media publisher makes of its input: groups of frames, by track.
//!
//! moq-karp publishes each track as `video<id>` or `audio<id>`. A sample is a frame: the time
//! it is shown in microseconds as a varint, then its bytes. A video group begins with each key
//! frame, a sound group with the first sample after each of those (or after ten seconds).

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use super::mp4::{File, Sample, Track};

/// The longest that a group of sound lasts, in microseconds.
const MAX_SOUND: u64 = 10_000_000;

/// The groups of a track, by their numbers.
pub(super) type Groups = BTreeMap<u64, Group>;

/// A group as far as it has been cut, or has arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// When its first frame is due, or arrived, since the film began.
    pub(super) begun: Duration,
    frames: Vec<[u8; 32]>,
    all: Sha256,
}

impl Group {
    /// Adds the next frame, given in pieces, which is due or arrived `at` a time of the film.
    pub(super) fn push(&mut self, at: Duration, payload: &[&[u8]]) {
        if self.frames.is_empty() {
            self.begun = at;
        }
        let mut frame = Sha256::new();
        for piece in payload {
            frame.update(piece);
            self.all.update(piece);
        }
        self.frames.push(frame.finalize().into());
    }

    /// How many frames there are.
    pub(super) fn len(&self) -> u64 {
        self.frames.len() as u64
    }

    /// The SHA-256 of each frame.
    pub(super) fn frames(&self) -> &[[u8; 32]] {
        &self.frames
    }

    /// The SHA-256 of all frames, one behind the other, in hexadecimal.
    pub(super) fn sha256(&self) -> String {
        hex::encode(self.all.clone().finalize())
    }
}

/// Cuts the tracks of a file as the publisher does; the keys are the tracks' names.
///
/// # Errors
/// Where the file is not what ffmpeg makes.
pub(super) fn cut(file: &File, bytes: &[u8]) -> anyhow::Result<BTreeMap<String, Groups>> {
    let mut tracks: Vec<_> = file.tracks.iter().map(Cut::new).collect();
    for sample in file.fragments.iter().flat_map(|fragment| &fragment.samples) {
        let is_key = is_key_frame(sample);
        let track = tracks.iter_mut().find(|cut| cut.track.id == sample.track);
        let track = track.context("a sample of an unknown track")?;
        let payload = bytes
            .get(sample.bytes.clone())
            .context("a sample outside the file")?;
        track.push(sample, is_key, payload)?;
        let frees_sound = track.track.is_video && is_key;
        if frees_sound {
            for sound in tracks.iter_mut().filter(|cut| !cut.track.is_video) {
                sound.begun = None;
            }
        }
    }
    Ok(tracks
        .into_iter()
        .map(|cut| (cut.track.name(), cut.groups))
        .collect())
}

/// A track being cut.
struct Cut<'a> {
    track: &'a Track,
    groups: Groups,
    /// When the last sample that began a group is shown; `None` makes the next one begin one.
    begun: Option<u64>,
}

impl<'a> Cut<'a> {
    fn new(track: &'a Track) -> Self {
        Self {
            track,
            groups: Groups::new(),
            begun: None,
        }
    }

    fn push(&mut self, sample: &Sample, is_key: bool, payload: &[u8]) -> anyhow::Result<()> {
        let shown = sample.shown * 1_000_000 / self.track.timescale;
        let begins = match self.begun {
            _ if self.track.is_video => is_key,
            Some(begun) => shown.saturating_sub(begun) > MAX_SOUND,
            None => true,
        };
        let mut sequence = self.groups.keys().next_back().copied();
        if begins || sequence.is_none() {
            self.begun = Some(shown);
            sequence = Some(sequence.map_or(0, |last| last + 1));
        }
        let group = self.groups.entry(sequence.unwrap_or_default());
        let due = sample.due(self.track.timescale);
        group.or_default().push(due, &[&varint(shown)?, payload]);
        Ok(())
    }
}

impl Track {
    fn name(&self) -> String {
        let kind = if self.is_video { "video" } else { "audio" };
        format!("{kind}{}", self.id)
    }
}

/// Depends on no other sample, and is one to start from.
fn is_key_frame(sample: &Sample) -> bool {
    (sample.flags >> 24) & 0x3 == 0x2 && (sample.flags >> 16) & 0x1 == 0
}

/// A number in the shortest form of RFC 9000, section 16.
fn varint(value: u64) -> anyhow::Result<Vec<u8>> {
    let (length, tag) = match value {
        0..=0x3f => (1, 0x00),
        0x40..=0x3fff => (2, 0x40),
        0x4000..=0x3fff_ffff => (4, 0x80),
        0x4000_0000..=0x3fff_ffff_ffff_ffff => (8, 0xc0),
        _ => bail!("{value} is more than a varint holds"),
    };
    let mut bytes = value.to_be_bytes()[8 - length..].to_vec();
    bytes[0] |= tag;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::mp4::Fragment;
    use super::*;

    fn sample(track: u32, shown: u64, flags: u32) -> Sample {
        Sample {
            track,
            decoded: shown,
            shown,
            flags,
            bytes: 0..1,
        }
    }

    #[test]
    fn a_key_frame_begins_a_group_of_video_and_the_next_one_of_sound() {
        let (key, delta) = (0x0200_0000, 0x0101_0000);
        let samples = [
            (1, 0, key),
            (2, 0, key),
            (2, 1, key),
            (1, 1, delta),
            (1, 2, key),
            (2, 2, key),
        ];
        let samples = samples
            .map(|(track, shown, flags)| sample(track, shown, flags))
            .to_vec();
        let tracks = [(1, true), (2, false)];
        let tracks = tracks.map(|(id, is_video)| Track {
            id,
            is_video,
            timescale: 10,
            ..Track::default()
        });
        let fragments = vec![Fragment {
            bytes: 0..1,
            samples,
        }];
        let file = File {
            header: 0,
            tracks: tracks.to_vec(),
            fragments,
        };

        let cut = cut(&file, b"x").unwrap();

        let lengths = |name| cut[name].values().map(Group::len).collect::<Vec<_>>();
        assert_eq!(lengths("video1"), [2, 1]);
        assert_eq!(lengths("audio2"), [2, 1]);
        let hash = Sha256::digest([&varint(100_000).unwrap()[..], b"x"].concat());
        assert_eq!(cut["video1"][&0].frames()[1], <[u8; 32]>::from(hash));
    }

    #[test]
    fn varints_take_as_few_bytes_as_they_can() {
        assert_eq!(varint(37).unwrap(), [0x25]);
        assert_eq!(varint(15_293).unwrap(), [0x7b, 0xbd]);
        assert_eq!(varint(494_878_333).unwrap(), [0x9d, 0x7f, 0x3e, 0x7d]);
        assert_eq!(varint(1 << 40).unwrap(), [0xc0, 0, 1, 0, 0, 0, 0, 0]);
        assert!(varint(1 << 62).is_err());
    }
}
