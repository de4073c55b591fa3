//! What a publisher says of a track.

use std::time::Duration;

use super::order::GroupOrder;
use super::priority::Priority;
use crate::coding::{DecodeError, EncodeError, Field, Input, Message, Output};
use crate::dialect::Dialect;
use crate::filter::{PARTS, TEXT};
use crate::path::Path;

use Field::{Byte, Varint};

/// Describes a track; the first answer on subscribe streams, the only one on info streams.
///
/// Draft-03: INFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// How urgent the publisher takes the track to be; the tie-breaker among subscribers.
    pub priority: Priority,
    /// Which groups go first by default.
    pub order: GroupOrder,
    /// How long a group is kept after it is complete, in milliseconds on the wire; zero for no
    /// limit. Not told to [`Dialect::Fork04`] and [`Dialect::Fork04s`].
    pub expires: Duration,
    /// The newest group.
    pub latest: u64,
}

impl Message for Info {
    fn fields(dialect: Dialect) -> &'static [Field] {
        match dialect {
            Dialect::Draft03 => &[Varint, Varint, GroupOrder::DRAFT, Varint],
            Dialect::Fork02 => &[Byte, GroupOrder::FORK, Varint, Varint],
            Dialect::Fork04 | Dialect::Fork04s => &[Byte, GroupOrder::FORK, Varint],
        }
    }

    fn encode(&self, output: &mut Output, dialect: Dialect) -> Result<(), EncodeError> {
        self.priority.encode(output, dialect)?;
        if dialect == Dialect::Draft03 {
            output.varint(self.latest)?;
            self.order.encode(output, dialect)?;
            return output.expires(self.expires, dialect);
        }
        self.order.encode(output, dialect)?;
        output.expires(self.expires, dialect)?;
        output.varint(self.latest)
    }

    fn decode(input: &mut Input<'_>, dialect: Dialect) -> Result<Self, DecodeError> {
        let priority = Priority::decode(input, dialect)?;
        if dialect == Dialect::Draft03 {
            let latest = input.varint()?;
            let order = GroupOrder::decode(input, dialect)?;
            let expires = input.expires(dialect)?;
            return Ok(Info {
                priority,
                order,
                expires,
                latest,
            });
        }
        let order = GroupOrder::decode(input, dialect)?;
        let expires = input.expires(dialect)?;
        let latest = input.varint()?;
        Ok(Info {
            priority,
            order,
            expires,
            latest,
        })
    }
}

/// Asks for the [`Info`] of a track.
///
/// Draft-03: INFO_PLEASE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfoPlease {
    /// The track.
    pub path: Path,
}

impl Message for InfoPlease {
    fn fields(dialect: Dialect) -> &'static [Field] {
        if dialect.has_text_paths() {
            &[TEXT]
        } else {
            &[PARTS]
        }
    }

    fn encode(&self, output: &mut Output, dialect: Dialect) -> Result<(), EncodeError> {
        output.track(&self.path, dialect)
    }

    fn decode(input: &mut Input<'_>, dialect: Dialect) -> Result<Self, DecodeError> {
        Ok(InfoPlease {
            path: input.track(dialect)?,
        })
    }
}
