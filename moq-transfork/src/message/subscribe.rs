//! What a subscriber says on a subscribe stream.

use std::time::Duration;

use super::order::GroupOrder;
use super::priority::Priority;
use crate::coding::{DecodeError, EncodeError, Field, Input, Message, Output};
use crate::dialect::Dialect;
use crate::filter::{PARTS, TEXT};
use crate::path::Path;

use Field::{Byte, Varint};

const DRAFT: Field = GroupOrder::DRAFT;
const FORK: Field = GroupOrder::FORK;

/// Asks for the groups of a track, each on a stream of its own.
///
/// Draft-03: SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// What group streams name the subscription by; never used twice in a session.
    pub id: u64,
    /// The track.
    pub path: Path,
    /// How urgent the track is among all of the session.
    pub priority: Priority,
    /// Which groups go first.
    pub order: GroupOrder,
    /// How long a group is wanted after it is complete, in milliseconds on the wire; zero for no
    /// limit. Not told to [`Dialect::Fork04`] and [`Dialect::Fork04s`].
    pub expires: Duration,
    /// The first group wanted; the newest if none.
    pub min: Option<u64>,
    /// The last group wanted; no end if none.
    pub max: Option<u64>,
}

impl Message for Subscribe {
    fn fields(dialect: Dialect) -> &'static [Field] {
        match dialect {
            Dialect::Draft03 => &[Varint, PARTS, Varint, DRAFT, Varint, Varint, Varint],
            Dialect::Fork02 => &[Varint, PARTS, Byte, FORK, Varint, Varint, Varint],
            Dialect::Fork04 => &[Varint, PARTS, Byte, FORK, Varint, Varint],
            Dialect::Fork04s => &[Varint, TEXT, Byte, FORK, Varint, Varint],
        }
    }

    fn encode(&self, output: &mut Output, dialect: Dialect) -> Result<(), EncodeError> {
        output.varint(self.id)?;
        output.track(&self.path, dialect)?;
        self.priority.encode(output, dialect)?;
        self.order.encode(output, dialect)?;
        output.expires(self.expires, dialect)?;
        output.group(self.min)?;
        output.group(self.max)
    }

    fn decode(input: &mut Input<'_>, dialect: Dialect) -> Result<Self, DecodeError> {
        Ok(Subscribe {
            id: input.varint()?,
            path: input.track(dialect)?,
            priority: Priority::decode(input, dialect)?,
            order: GroupOrder::decode(input, dialect)?,
            expires: input.expires(dialect)?,
            min: input.group()?,
            max: input.group()?,
        })
    }
}

/// Changes a subscription. Its range may only shrink, which is for the receiver to check.
///
/// The published crates decode and ignore it. Their priority is a plain number here, not a byte.
///
/// Draft-03: SUBSCRIBE_UPDATE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscribeUpdate {
    /// How urgent the track is among all of the session.
    pub priority: Priority,
    /// Which groups go first.
    pub order: GroupOrder,
    /// As [`Subscribe::expires`].
    pub expires: Duration,
    /// The first group wanted, not before the one wanted so far.
    pub min: Option<u64>,
    /// The last group wanted, not after the one wanted so far.
    pub max: Option<u64>,
}

impl Message for SubscribeUpdate {
    fn fields(dialect: Dialect) -> &'static [Field] {
        match dialect {
            Dialect::Draft03 => &[Varint, DRAFT, Varint, Varint, Varint],
            Dialect::Fork02 => &[Varint, FORK, Varint, Varint, Varint],
            Dialect::Fork04 | Dialect::Fork04s => &[Varint, FORK, Varint, Varint],
        }
    }

    fn encode(&self, output: &mut Output, dialect: Dialect) -> Result<(), EncodeError> {
        output.varint(self.priority.get())?;
        self.order.encode(output, dialect)?;
        output.expires(self.expires, dialect)?;
        output.group(self.min)?;
        output.group(self.max)
    }

    fn decode(input: &mut Input<'_>, dialect: Dialect) -> Result<Self, DecodeError> {
        Ok(SubscribeUpdate {
            priority: Priority::decode_number(input)?,
            order: GroupOrder::decode(input, dialect)?,
            expires: input.expires(dialect)?,
            min: input.group()?,
            max: input.group()?,
        })
    }
}
