//! The number that every stream begins with.

use crate::coding::{DecodeError, EncodeError, Field, Input, Message, Output};
use crate::dialect::Dialect;

/// What a bidirectional stream is for. Anything else has to close the session.
///
/// Draft-03: STREAM_TYPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamType {
    /// The one stream of the session itself.
    Session,
    /// Asks which tracks there are.
    Announce,
    /// Asks for the groups of a track as they come.
    Subscribe,
    /// Asks for one group. [`Dialect::Fork04s`] has no such stream.
    Fetch,
    /// Asks about a track.
    Info,
    /// A number that the dialect has no meaning for.
    Unknown(u64),
}

impl StreamType {
    /// Tells the number, which only [`StreamType::Fetch`] may lack.
    pub const fn number(self, dialect: Dialect) -> Option<u64> {
        Some(match (self, dialect) {
            (StreamType::Session, _) => 0,
            (StreamType::Announce, _) => 1,
            (StreamType::Subscribe, _) => 2,
            (StreamType::Fetch, Dialect::Fork04s) => return None,
            (StreamType::Fetch, _) | (StreamType::Info, Dialect::Fork04s) => 3,
            (StreamType::Info, _) => 4,
            (StreamType::Unknown(value), _) => value,
        })
    }
}

impl Message for StreamType {
    fn fields(_: Dialect) -> &'static [Field] {
        &[Field::Varint]
    }

    fn encode(&self, output: &mut Output, dialect: Dialect) -> Result<(), EncodeError> {
        let number = self.number(dialect);
        output.varint(number.ok_or(EncodeError::Unsupported {
            name: "FETCH",
            dialect,
        })?)
    }

    fn decode(input: &mut Input<'_>, dialect: Dialect) -> Result<Self, DecodeError> {
        Ok(match (input.varint()?, dialect) {
            (0, _) => StreamType::Session,
            (1, _) => StreamType::Announce,
            (2, _) => StreamType::Subscribe,
            (3, Dialect::Fork04s) => StreamType::Info,
            (3, _) => StreamType::Fetch,
            (4, Dialect::Draft03 | Dialect::Fork02 | Dialect::Fork04) => StreamType::Info,
            (value, _) => StreamType::Unknown(value),
        })
    }
}

/// What a unidirectional stream is for. Anything else has to close the session.
///
/// Draft-03: STREAM_TYPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UniType {
    /// Carries one group.
    Group,
    /// A number without meaning.
    Unknown(u64),
}

impl Message for UniType {
    fn fields(_: Dialect) -> &'static [Field] {
        &[Field::Varint]
    }

    fn encode(&self, output: &mut Output, _: Dialect) -> Result<(), EncodeError> {
        output.varint(match self {
            UniType::Group => 0,
            UniType::Unknown(value) => *value,
        })
    }

    fn decode(input: &mut Input<'_>, _: Dialect) -> Result<Self, DecodeError> {
        Ok(match input.varint()? {
            0 => UniType::Group,
            value => UniType::Unknown(value),
        })
    }
}
