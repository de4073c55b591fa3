//! Frames that prove themselves: any subscriber can tell whether one is whole, unaltered, in its
//! place and the last of its group.
//!
//! All numbers are big-endian:
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | the text `MQTC` |
//! | 4..8 | CRC-32 (IEEE) of everything from byte 8 on |
//! | 8..16 | stream: chosen by the publisher, the same in all its frames |
//! | 16..24 | group: the sequence of the group that carries the frame |
//! | 24..28 | index of the frame in its group, from 0 |
//! | 28..32 | how many frames the group has |
//! | 32..36 | length of the whole frame |
//! | 36..44 | when it was made, in microseconds since the Unix epoch |
//! | 44.. | filling, derived from stream, group and index |

use bytes::{BufMut, Bytes, BytesMut};

/// The size of the part before the filling, and so of the smallest frame.
pub const HEADER_LEN: usize = 44;

const MAGIC: [u8; 4] = *b"MQTC";

/// What a self-checking frame says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The publisher's own number, the same in all its frames.
    pub stream: u64,
    /// Sequence of the group that carries the frame.
    pub group: u64,
    /// Place in the group, from 0.
    pub frame: u32,
    /// Frames in the group.
    pub frames: u32,
    /// When it was made, in microseconds since the Unix epoch.
    pub micros: u64,
}

/// What is wrong with a frame by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Too short, or it begins otherwise.
    #[error("not a self-checking frame")]
    Foreign,
    /// Some of it is missing, or there is more than was sent.
    #[error("{got} bytes of a frame that was sent with {sent}")]
    Length {
        /// Bytes at hand.
        got: usize,
        /// Bytes the frame says it has.
        sent: usize,
    },
    /// Its content changed on the way.
    #[error("checksum mismatch")]
    Checksum,
}

/// Makes a frame of `len` bytes, at least [`HEADER_LEN`].
#[must_use]
pub fn encode(stamp: &Stamp, len: usize) -> Bytes {
    let len = len.max(HEADER_LEN);
    let mut frame = BytesMut::with_capacity(len + 8);
    frame.put_slice(&MAGIC);
    frame.put_u32(0);
    frame.put_u64(stamp.stream);
    frame.put_u64(stamp.group);
    frame.put_u32(stamp.frame);
    frame.put_u32(stamp.frames);
    frame.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
    frame.put_u64(stamp.micros);
    fill(&mut frame, seed(stamp), len);
    let checksum = crc32fast::hash(&frame[8..]);
    frame[4..8].copy_from_slice(&checksum.to_be_bytes());
    frame.freeze()
}

/// Reads a frame back and verifies it.
///
/// # Errors
///
/// When it is not one, was cut or altered. Whether it came in its place is for
/// [`crate::check::Checker`] to say.
pub fn decode(frame: &[u8]) -> Result<Stamp, PayloadError> {
    let Some((header, _)) = frame.split_first_chunk::<HEADER_LEN>() else {
        return Err(PayloadError::Foreign);
    };
    if header[..4] != MAGIC {
        return Err(PayloadError::Foreign);
    }
    let sent = u32_at(header, 32) as usize;
    if sent != frame.len() {
        return Err(PayloadError::Length {
            got: frame.len(),
            sent,
        });
    }
    if crc32fast::hash(&frame[8..]) != u32_at(header, 4) {
        return Err(PayloadError::Checksum);
    }
    Ok(Stamp {
        stream: u64_at(header, 8),
        group: u64_at(header, 16),
        frame: u32_at(header, 24),
        frames: u32_at(header, 28),
        micros: u64_at(header, 36),
    })
}

fn u32_at(header: &[u8; HEADER_LEN], at: usize) -> u32 {
    header[at..at + 4]
        .iter()
        .fold(0, |value, &byte| value << 8 | u32::from(byte))
}

fn u64_at(header: &[u8; HEADER_LEN], at: usize) -> u64 {
    u64::from(u32_at(header, at)) << 32 | u64::from(u32_at(header, at + 4))
}

fn seed(stamp: &Stamp) -> u64 {
    stamp.stream ^ stamp.group.rotate_left(24) ^ u64::from(stamp.frame).rotate_left(48)
}

/// Fills up to `len` bytes with the splitmix64 sequence: it does not compress, and no two frames
/// look alike.
fn fill(frame: &mut BytesMut, mut state: u64, len: usize) {
    while frame.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        frame.put_u64(word ^ (word >> 31));
    }
    frame.truncate(len);
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        stream: 7,
        group: 300,
        frame: 2,
        frames: 30,
        micros: 1_234_567,
    };

    #[test]
    fn a_frame_reads_back_as_it_was_made_at_any_length() {
        for len in [0, HEADER_LEN, 45, 51, 52, 1000, 65536] {
            let frame = encode(&STAMP, len);
            assert_eq!(frame.len(), len.max(HEADER_LEN));
            assert_eq!(decode(&frame), Ok(STAMP));
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let frame = encode(&STAMP, 64);
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_cut_and_every_addition_is_noticed() {
        let frame = encode(&STAMP, 100);
        for len in 0..frame.len() {
            assert!(decode(&frame[..len]).is_err(), "{len} bytes");
        }
        let mut longer = frame.to_vec();
        longer.push(0);
        assert_eq!(
            decode(&longer),
            Err(PayloadError::Length {
                got: 101,
                sent: 100
            })
        );
    }

    #[test]
    fn neighbouring_frames_do_not_look_alike() {
        let next = Stamp { frame: 3, ..STAMP };
        assert_ne!(
            encode(&STAMP, 100)[HEADER_LEN..],
            encode(&next, 100)[HEADER_LEN..]
        );
    }
}
