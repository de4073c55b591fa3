//! The bytes of one group in wire form, with the ends of its frames.

use bytes::{Bytes, BytesMut};

/// Pieces that are joined into one once this many have gathered, so that a late reader gets long
/// slices. Each byte is copied at most once for it.
const RUN: usize = 16;

/// A run longer than this stays in pieces: they are long enough.
const RUN_BYTES: usize = 64 * 1024;

/// The most bytes that are copied for one reader to send them together with a stream's header: for
/// quinn a second write is dearer than copying a usual frame.
const COALESCE_BYTES: usize = 16 * 1024;

/// Memory that a piece costs besides its bytes: its entry here, doubled for the growth of the
/// list, and the allocator's and `Bytes`' own share.
const PIECE_OVERHEAD: u64 = 128;

/// Memory that a frame costs besides its bytes: its end in the index, doubled for growth.
const FRAME_OVERHEAD: u64 = 16;

/// Returns an upper bound of what a log grows by when `bytes` bytes with `frames` ends are added.
pub(super) fn cost(bytes: usize, frames: usize) -> u64 {
    bytes as u64 + PIECE_OVERHEAD + FRAME_OVERHEAD * frames as u64
}

#[derive(Debug)]
struct Piece {
    start: u64,
    bytes: Bytes,
}

/// What a stream begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opening {
    /// Its header, and the first piece of the log behind it; without that if it is too large to be
    /// copied for one more subscribe id.
    pub(crate) bytes: Bytes,
    /// How many bytes of it are the header.
    pub(crate) header: usize,
}

/// The beginning of the streams of one subscribe id.
#[derive(Debug)]
struct Shared {
    subscribe: u64,
    opening: Opening,
}

/// An append-only log of FRAME headers and payloads, as they travel.
#[derive(Debug, Default)]
pub(super) struct Log {
    pieces: Vec<Piece>,
    /// What the first reader has begun with. The first piece is a part of it.
    shared: Option<Shared>,
    /// Where the run of pieces that were not joined yet begins.
    run: usize,
    ends: Vec<u64>,
    len: u64,
}

impl Log {
    /// Adds bytes that the log owns alone, and the frame ends within them (offsets in the log).
    /// Returns how much less than [`cost`] the log grew.
    pub(super) fn append(&mut self, bytes: Bytes, ends: &[u64]) -> u64 {
        let start = self.len;
        self.len += bytes.len() as u64;
        self.pieces.push(Piece { start, bytes });
        self.ends.extend_from_slice(ends);
        self.join_run()
    }

    /// Returns the bytes from `offset` on, as far as they are in one piece; empty at the end.
    pub(super) fn read(&self, offset: u64) -> Bytes {
        if offset >= self.len {
            return Bytes::new();
        }
        let index = self.pieces.partition_point(|piece| piece.start <= offset) - 1;
        let piece = &self.pieces[index];
        piece.bytes.slice((offset - piece.start) as usize..)
    }

    /// Returns what the streams of a subscribe id begin with. All that ask with the same id share it,
    /// and only the first of them makes the `header`: it is the same in every dialect.
    pub(super) fn open<E>(
        &mut self,
        subscribe: u64,
        header: impl FnOnce() -> Result<Bytes, E>,
    ) -> Result<Opening, E> {
        let size = self.pieces.first().map_or(0, |piece| piece.bytes.len());
        Ok(match &self.shared {
            Some(shared) if shared.subscribe == subscribe && shared.opening.read() == size => {
                shared.opening.clone()
            }
            Some(_other) if size > COALESCE_BYTES => Opening::bare(header()?),
            Some(_other) => self.join(&header()?),
            None => {
                let opening = self.join(&header()?);
                if let Some(first) = self.pieces.first_mut() {
                    first.bytes = opening.bytes.slice(opening.header..);
                    let opening = opening.clone();
                    self.shared = Some(Shared { subscribe, opening });
                }
                opening
            }
        })
    }

    /// Copies the first piece with a header before it.
    fn join(&self, header: &[u8]) -> Opening {
        let first = self.pieces.first().map_or(&[][..], |piece| &piece.bytes);
        Opening {
            bytes: [header, first].concat().into(),
            header: header.len(),
        }
    }

    /// Returns the bytes from `start` to `end`, copied only if they lie in several pieces.
    pub(super) fn copy(&self, start: u64, end: u64) -> Bytes {
        let first = self.read(start);
        let size = (end - start) as usize;
        if first.len() >= size {
            return first.slice(..size);
        }
        let mut whole = BytesMut::with_capacity(size);
        whole.extend_from_slice(&first);
        while whole.len() < size {
            let piece = self.read(start + whole.len() as u64);
            let wanted = piece.len().min(size - whole.len());
            whole.extend_from_slice(&piece[..wanted]);
        }
        whole.freeze()
    }

    /// Bytes in the log.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Complete frames in the log.
    pub(super) fn frames(&self) -> usize {
        self.ends.len()
    }

    /// Where frame `index` begins, if that is known yet.
    pub(super) fn frame_start(&self, index: usize) -> Option<u64> {
        match index {
            0 => Some(0),
            _ => self.ends.get(index - 1).copied(),
        }
    }

    /// The end of the first complete frame that begins at or after `offset`.
    pub(super) fn frame_end(&self, offset: u64) -> Option<u64> {
        let index = self.ends.partition_point(|end| *end <= offset);
        self.ends.get(index).copied()
    }

    fn join_run(&mut self) -> u64 {
        if self.pieces.len() - self.run < RUN {
            return 0;
        }
        let start = self.pieces[self.run].start;
        let size = (self.len - start) as usize;
        let mut saved = 0;
        if size <= RUN_BYTES {
            let mut joined = BytesMut::with_capacity(size);
            if self.run == 0 {
                self.shared = None;
            }
            for piece in self.pieces.drain(self.run..) {
                joined.extend_from_slice(&piece.bytes);
            }
            self.pieces.push(Piece {
                start,
                bytes: joined.freeze(),
            });
            saved = PIECE_OVERHEAD * (RUN as u64 - 1);
        }
        self.run = self.pieces.len();
        saved
    }
}

impl Opening {
    fn bare(header: Bytes) -> Self {
        Self {
            header: header.len(),
            bytes: header,
        }
    }

    /// How many bytes of the log it has.
    pub(crate) fn read(&self) -> usize {
        self.bytes.len() - self.header
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn read_all(log: &Log) -> Vec<u8> {
        let mut all = Vec::new();
        while (all.len() as u64) < log.len() {
            all.extend_from_slice(&log.read(all.len() as u64));
        }
        all
    }

    #[test]
    fn reads_back_what_was_appended_in_order() {
        let mut log = Log::default();
        let mut expected = Vec::new();
        for i in 0..100u8 {
            let bytes = vec![i; usize::from(i) * 7 + 1];
            expected.extend_from_slice(&bytes);
            log.append(bytes.into(), &[]);
        }
        assert_eq!(read_all(&log), expected);
        assert!(log.read(log.len()).is_empty());
    }

    #[test]
    fn small_pieces_become_long_slices() {
        let mut log = Log::default();
        let saved: u64 = (0..RUN)
            .map(|_| log.append(Bytes::from_static(b"ab"), &[]))
            .sum();
        assert_eq!(log.read(0).len(), 2 * RUN);
        assert_eq!(log.read(5).len(), 2 * RUN - 5);
        assert_eq!(saved, PIECE_OVERHEAD * (RUN as u64 - 1));
    }

    #[test]
    fn large_pieces_are_not_copied() {
        let mut log = Log::default();
        let piece = Bytes::from(vec![1; RUN_BYTES]);
        for _ in 0..RUN {
            log.append(piece.clone(), &[]);
        }
        assert_eq!(log.read(0).as_ptr(), piece.as_ptr());
    }

    fn opened(log: &mut Log, subscribe: u64) -> (Bytes, usize) {
        let header = || Ok::<_, Infallible>(format!("header {subscribe}:").into());
        let Ok(opening) = log.open(subscribe, header);
        (opening.bytes.clone(), opening.read())
    }

    #[test]
    fn streams_of_the_same_subscribe_id_share_one_beginning() {
        let mut log = Log::default();
        log.append(Bytes::from_static(b"\x05hello"), &[6]);
        let (bytes, read) = opened(&mut log, 1);
        assert_eq!((&bytes[..], read), (&b"header 1:\x05hello"[..], 6));
        let again = log.open(1, || Err("it is made once")).unwrap();
        assert_eq!(again.bytes.as_ptr(), bytes.as_ptr());
        assert_eq!(
            log.read(0).as_ptr(),
            bytes[9..].as_ptr(),
            "it is not held twice"
        );
        let (other, read) = opened(&mut log, 2);
        assert_eq!((&other[..], read), (&b"header 2:\x05hello"[..], 6));
        for _ in 1..RUN {
            log.append(Bytes::from_static(b"\x01!"), &[]);
        }
        let (longer, read) = opened(&mut log, 1);
        let size = log.len() as usize;
        assert_eq!((longer.len(), read), (9 + size, size));
        assert_eq!(log.read(0).as_ptr(), longer[9..].as_ptr());
    }

    #[test]
    fn a_large_piece_is_copied_once_for_all() {
        let mut log = Log::default();
        log.append(vec![1; COALESCE_BYTES + 1].into(), &[]);
        let size = log.len() as usize;
        assert_eq!(opened(&mut log, 1).1, size);
        assert_eq!(opened(&mut log, 2), (Bytes::from_static(b"header 2:"), 0));
        assert_eq!(opened(&mut log, 1).1, size);
    }

    #[test]
    fn finds_frames_by_index_and_by_offset() {
        let mut log = Log::default();
        log.append(Bytes::from_static(b"\x01a\x02bb\x05c"), &[2, 5]);
        assert_eq!(log.frame_start(0), Some(0));
        assert_eq!(log.frame_start(2), Some(5));
        assert_eq!(log.frame_start(3), None);
        assert_eq!(log.frame_end(0), Some(2));
        assert_eq!(log.frame_end(2), Some(5));
        assert_eq!(log.frame_end(5), None);
    }
}
