//! The shapes that messages are made of.

/// A limit and what it is a limit of.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// What is limited, as errors name it.
    pub name: &'static str,
    /// The most that is accepted, in bytes or items.
    pub max: usize,
}

/// One field of a message, as far as its length is concerned.
#[derive(Clone, Copy, Debug)]
pub enum Field {
    /// One byte.
    Byte,
    /// A variable-length integer.
    Varint,
    /// A length, and as many bytes.
    Bytes(Limit),
    /// A count, and as many times the fields `of`.
    List {
        /// The most items.
        items: Limit,
        /// The most bytes of all [`Field::Bytes`] of all items together.
        bytes: Limit,
        /// The fields of one item; not a list.
        of: &'static [Field],
    },
    /// A variable-length integer that has no meaning above `max`.
    Choice {
        /// What the number is, as errors name it.
        name: &'static str,
        /// The largest value.
        max: u64,
    },
    /// A variable-length integer up to `last`, with which the message ends.
    Status {
        /// What the number is, as errors name it.
        name: &'static str,
        /// The largest value, and the one that nothing follows.
        last: u64,
    },
    /// As [`Field::Status`], but always one byte.
    ByteStatus {
        /// What the number is, as errors name it.
        name: &'static str,
        /// The largest value, and the one that nothing follows.
        last: u64,
    },
}

impl Field {
    /// Whether the field is one byte, whatever the byte says.
    pub(super) const fn is_byte(self) -> bool {
        matches!(self, Field::Byte | Field::ByteStatus { .. })
    }
}
