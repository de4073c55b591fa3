//! The frames of a group, in the form they travel in.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::code::Code;
use crate::coding::varint;

/// The most bytes the payload of one frame may have: 64 MiB.
pub const MAX_FRAME_SIZE: u64 = 64 * 1024 * 1024;

/// Finds where frames end in the bytes of a group stream, in pieces of any size.
///
/// The payload is passed over, never looked at, and nothing is stored.
///
/// Draft-03: FRAME.
#[derive(Clone, Debug, Default)]
pub struct FrameScanner {
    /// Bytes scanned since the group's first frame began.
    offset: u64,
    /// Bytes of payload still to come of the frame that has begun.
    missing: u64,
    size: varint::Partial,
}

impl FrameScanner {
    /// Begins with the first frame of a group.
    pub fn new() -> Self {
        FrameScanner::default()
    }

    /// Scans the next bytes and calls `ended` at the end of each frame with the number of bytes
    /// from the beginning of the group to there.
    ///
    /// # Errors
    ///
    /// If a frame is larger than [`MAX_FRAME_SIZE`]. Frames that ended before it are still told.
    pub fn scan(&mut self, bytes: &[u8], mut ended: impl FnMut(u64)) -> Result<(), FrameError> {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if self.missing > 0 {
                let skipped = usize::try_from(self.missing)
                    .unwrap_or(usize::MAX)
                    .min(rest.len());
                self.offset += skipped as u64;
                self.missing -= skipped as u64;
                rest = &rest[skipped..];
            } else {
                self.offset += 1;
                rest = after;
                let Some(size) = self.size.push(byte) else {
                    continue;
                };
                check(size)?;
                self.missing = size;
            }
            if self.at_boundary() {
                ended(self.offset);
            }
        }
        Ok(())
    }

    /// Whether the bytes so far are whole frames: only here may a group end.
    pub fn at_boundary(&self) -> bool {
        self.missing == 0 && !self.size.is_open()
    }

    /// Tells the number of bytes scanned.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

/// Makes what stands before a payload of `size` bytes.
///
/// # Errors
///
/// If that is more than [`MAX_FRAME_SIZE`].
pub fn frame_header(size: usize) -> Result<Bytes, FrameError> {
    let mut buffer = BytesMut::with_capacity(varint::MAX_LEN);
    put_header(size, &mut buffer)?;
    Ok(buffer.freeze())
}

/// Makes one frame of a payload, which is copied.
///
/// # Errors
///
/// If the payload is larger than [`MAX_FRAME_SIZE`].
pub fn frame(payload: &[u8]) -> Result<Bytes, FrameError> {
    let mut buffer = BytesMut::with_capacity(varint::len(payload.len() as u64) + payload.len());
    put_header(payload.len(), &mut buffer)?;
    buffer.put_slice(payload);
    Ok(buffer.freeze())
}

/// Takes the payload out of the bytes of exactly one frame, without copying it.
///
/// # Errors
///
/// If the bytes are not exactly one frame.
pub fn frame_payload(mut frame: Bytes) -> Result<Bytes, FrameError> {
    let mut size = varint::Partial::default();
    while frame.has_remaining() {
        if let Some(size) = size.push(frame.get_u8()) {
            check(size)?;
            return if size == frame.len() as u64 {
                Ok(frame)
            } else {
                Err(FrameError::WrongSize)
            };
        }
    }
    Err(FrameError::WrongSize)
}

fn put_header(size: usize, buffer: &mut BytesMut) -> Result<(), FrameError> {
    check(size as u64)?;
    varint::encode(size as u64, buffer).map_err(|_| FrameError::TooLarge(size as u64))
}

fn check(size: u64) -> Result<(), FrameError> {
    if size > MAX_FRAME_SIZE {
        Err(FrameError::TooLarge(size))
    } else {
        Ok(())
    }
}

/// Why bytes are no frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame of this many bytes is larger than [`MAX_FRAME_SIZE`].
    #[error("frame of {0} bytes exceeds the limit of {MAX_FRAME_SIZE}")]
    TooLarge(u64),
    /// The bytes are less or more than one frame.
    #[error("not exactly one frame")]
    WrongSize,
}

impl FrameError {
    /// Tells the code to reset the stream with.
    pub const fn code(&self) -> Code {
        match self {
            FrameError::TooLarge(_) => Code::BOUNDS_EXCEEDED,
            FrameError::WrongSize => Code::WRONG_SIZE,
        }
    }
}
