//! QUIC's variable-length integers (RFC 9000, section 16).

use bytes::BufMut;

use super::error::EncodeError;

/// The largest number there is: 2^62 - 1.
pub const MAX: u64 = (1 << 62) - 1;

/// The most bytes a number takes.
pub const MAX_LEN: usize = 8;

/// Tells the bytes that the shortest form of `value` takes: 1, 2, 4 or 8.
///
/// Numbers above [`MAX`] have no form; they count as 8.
pub const fn len(value: u64) -> usize {
    match value {
        0..0x40 => 1,
        0x40..0x4000 => 2,
        0x4000..0x4000_0000 => 4,
        _ => 8,
    }
}

/// Appends the shortest form of `value`.
///
/// # Errors
///
/// If `value` is above [`MAX`].
pub fn encode(value: u64, output: &mut impl BufMut) -> Result<(), EncodeError> {
    if value > MAX {
        return Err(EncodeError::Number(value));
    }
    match len(value) {
        1 => output.put_u8(value as u8),
        2 => output.put_u16(value as u16 | 0x4000),
        4 => output.put_u32(value as u32 | 0x8000_0000),
        _ => output.put_u64(value | 0xc000_0000_0000_0000),
    }
    Ok(())
}

/// A number of which some bytes have arrived.
#[derive(Clone, Debug, Default)]
pub struct Partial {
    value: u64,
    /// Bytes still to come; 0 before the first.
    missing: u8,
}

impl Partial {
    /// Takes the next byte and gives the number if that was its last, in any of its forms.
    pub const fn push(&mut self, byte: u8) -> Option<u64> {
        if self.missing == 0 {
            self.value = (byte & 0x3f) as u64;
            self.missing = (1 << (byte >> 6)) - 1;
        } else {
            self.value = self.value << 8 | byte as u64;
            self.missing -= 1;
        }
        if self.missing == 0 {
            Some(self.value)
        } else {
            None
        }
    }

    /// Whether the first byte has arrived and the last has not.
    pub const fn is_open(&self) -> bool {
        self.missing > 0
    }
}
