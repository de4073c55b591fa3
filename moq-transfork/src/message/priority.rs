//! What goes first.

use crate::coding::{DecodeError, EncodeError, Input, Output, varint};
use crate::dialect::Dialect;

/// How urgent a track is; higher goes first.
///
/// The published crates send one byte, 128 of which is their neutral 0; the draft sends a number of
/// any size. Both share this order, and a byte holds what is above 255 as 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u64);

impl Priority {
    /// Neither urgent nor idle.
    pub const NEUTRAL: Priority = Priority(128);
    /// The least urgent.
    pub const MIN: Priority = Priority(0);
    /// The most urgent.
    pub const MAX: Priority = Priority(varint::MAX);

    /// Makes a priority; above [`Priority::MAX`] it is that.
    pub const fn new(value: u64) -> Self {
        Priority(if value > varint::MAX {
            varint::MAX
        } else {
            value
        })
    }

    /// Tells the number, below 2^62.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Appends the priority as SUBSCRIBE, INFO and FETCH carry it.
    pub(super) fn encode(self, output: &mut Output, dialect: Dialect) -> Result<(), EncodeError> {
        match dialect {
            Dialect::Draft03 => output.varint(self.0),
            Dialect::Fork02 | Dialect::Fork04 | Dialect::Fork04s => {
                output.byte(u8::try_from(self.0).unwrap_or(u8::MAX));
                Ok(())
            }
        }
    }

    pub(super) fn decode(input: &mut Input<'_>, dialect: Dialect) -> Result<Self, DecodeError> {
        match dialect {
            Dialect::Draft03 => Priority::decode_number(input),
            Dialect::Fork02 | Dialect::Fork04 | Dialect::Fork04s => {
                Ok(Priority(input.byte()?.into()))
            }
        }
    }

    /// Takes the priority as SUBSCRIBE_UPDATE carries it: a number in every dialect.
    pub(super) fn decode_number(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        Ok(Priority(input.varint()?))
    }
}

impl Default for Priority {
    fn default() -> Self {
        Priority::NEUTRAL
    }
}

impl From<u8> for Priority {
    fn from(value: u8) -> Self {
        Priority(value.into())
    }
}
