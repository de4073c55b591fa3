//! Whole frames out of the pieces a group arrives in.

use bytes::{Buf, Bytes, BytesMut};
use moq_transfork::coding::varint::Partial;
use moq_transfork::frame::{FrameError, MAX_FRAME_SIZE};

/// Puts the frames of one group together.
///
/// A frame that lies within one piece is handed out without a copy.
#[derive(Debug, Default)]
pub struct Frames {
    size: Partial,
    /// The payload that has begun: its length and what is there of it.
    open: Option<(usize, BytesMut)>,
}

impl Frames {
    /// Takes the next frame out of `piece`, or keeps all of it if none ends there.
    ///
    /// # Errors
    ///
    /// If a frame is larger than the protocol allows.
    pub fn next(&mut self, piece: &mut Bytes) -> Result<Option<Bytes>, FrameError> {
        loop {
            if let Some((size, mut part)) = self.open.take() {
                let missing = size - part.len();
                if piece.len() < missing {
                    part.extend_from_slice(piece);
                    piece.clear();
                    self.open = Some((size, part));
                    return Ok(None);
                }
                if part.is_empty() {
                    return Ok(Some(piece.split_to(size)));
                }
                part.extend_from_slice(&piece.split_to(missing));
                return Ok(Some(part.freeze()));
            }
            if !piece.has_remaining() {
                return Ok(None);
            }
            if let Some(size) = self.size.push(piece.get_u8()) {
                let fits = usize::try_from(size)
                    .ok()
                    .filter(|_| size <= MAX_FRAME_SIZE);
                let size = fits.ok_or(FrameError::TooLarge(size))?;
                self.open = Some((size, BytesMut::new()));
            }
        }
    }

    /// Tells whether nothing has begun that has not ended.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.open.is_none() && !self.size.is_open()
    }
}

#[cfg(test)]
mod tests {
    use moq_transfork::frame::frame;

    use super::*;

    #[test]
    fn frames_come_out_whole_however_they_were_cut() {
        let payloads: Vec<Vec<u8>> = [0, 1, 63, 64, 1000].map(|len| vec![len as u8; len]).into();
        let wire: Vec<u8> = payloads
            .iter()
            .flat_map(|payload| frame(payload).unwrap())
            .collect();
        for step in [1, 2, 7, 64, 100, 5000] {
            let (mut frames, mut got) = (Frames::default(), Vec::new());
            for piece in wire.chunks(step) {
                let mut piece = Bytes::copy_from_slice(piece);
                while let Some(frame) = frames.next(&mut piece).unwrap() {
                    got.push(frame.to_vec());
                }
                assert!(piece.is_empty());
            }
            assert_eq!(got, payloads, "pieces of {step}");
            assert!(frames.at_boundary());
        }
    }

    #[test]
    fn a_cut_frame_is_noticed_and_an_absurd_one_refused() {
        let mut frames = Frames::default();
        let mut piece = Bytes::from_static(&[5, 1, 2]);
        assert_eq!(frames.next(&mut piece), Ok(None));
        assert!(!frames.at_boundary());
        let mut absurd = Bytes::from_static(&[0xff; 8]);
        assert!(Frames::default().next(&mut absurd).is_err());
    }
}
