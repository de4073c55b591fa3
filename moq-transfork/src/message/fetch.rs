//! The messages of fetch streams.

use super::priority::Priority;
use crate::coding::{DecodeError, EncodeError, Field, Input, Message, Output};
use crate::dialect::Dialect;
use crate::filter::{PARTS, TEXT};
use crate::path::Path;

use Field::{Byte, Varint};

/// Asks for one group, from one of its frames on.
///
/// Of the published crates only some can encode it and none survives it: send it to none.
///
/// Draft-03: FETCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The track.
    pub path: Path,
    /// How urgent the group is among all of the session.
    pub priority: Priority,
    /// The group.
    pub group: u64,
    /// How many frames are not wanted: the index of the first frame that is. The published crates
    /// mean an offset in bytes.
    pub frame: u64,
}

impl Message for Fetch {
    fn fields(dialect: Dialect) -> &'static [Field] {
        match dialect {
            Dialect::Draft03 => &[PARTS, Varint, Varint, Varint],
            Dialect::Fork02 | Dialect::Fork04 => &[PARTS, Byte, Varint, Varint],
            Dialect::Fork04s => &[TEXT, Byte, Varint, Varint],
        }
    }

    fn encode(&self, output: &mut Output, dialect: Dialect) -> Result<(), EncodeError> {
        if dialect == Dialect::Fork04s {
            return Err(EncodeError::Unsupported {
                name: "FETCH",
                dialect,
            });
        }
        output.track(&self.path, dialect)?;
        self.priority.encode(output, dialect)?;
        output.varint(self.group)?;
        output.varint(self.frame)
    }

    fn decode(input: &mut Input<'_>, dialect: Dialect) -> Result<Self, DecodeError> {
        Ok(Fetch {
            path: input.track(dialect)?,
            priority: Priority::decode(input, dialect)?,
            group: input.varint()?,
            frame: input.varint()?,
        })
    }
}

/// Changes how urgent a fetch is. Only [`Dialect::Draft03`] has it.
///
/// Draft-03: FETCH_UPDATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchUpdate {
    /// How urgent the group is among all of the session.
    pub priority: Priority,
}

impl Message for FetchUpdate {
    fn fields(_: Dialect) -> &'static [Field] {
        &[Varint]
    }

    fn encode(&self, output: &mut Output, dialect: Dialect) -> Result<(), EncodeError> {
        if !dialect.has_fetch() {
            return Err(EncodeError::Unsupported {
                name: "FETCH_UPDATE",
                dialect,
            });
        }
        output.varint(self.priority.get())
    }

    fn decode(input: &mut Input<'_>, _: Dialect) -> Result<Self, DecodeError> {
        Ok(FetchUpdate {
            priority: Priority::decode_number(input)?,
        })
    }
}
