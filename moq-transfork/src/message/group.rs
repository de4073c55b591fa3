//! Groups that are delivered and groups that are not.

use crate::code::Code;
use crate::coding::{DecodeError, EncodeError, Field, Input, Message, Output};
use crate::dialect::Dialect;

/// Begins a group stream; frames follow. The same in every dialect.
///
/// Draft-03: GROUP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupHeader {
    /// The subscription that the group is for.
    pub subscribe: u64,
    /// The group's number in its track.
    pub sequence: u64,
}

impl Message for GroupHeader {
    fn fields(_: Dialect) -> &'static [Field] {
        &[Field::Varint, Field::Varint]
    }

    fn encode(&self, output: &mut Output, _: Dialect) -> Result<(), EncodeError> {
        output.varint(self.subscribe)?;
        output.varint(self.sequence)
    }

    fn decode(input: &mut Input<'_>, _: Dialect) -> Result<Self, DecodeError> {
        Ok(GroupHeader {
            subscribe: input.varint()?,
            sequence: input.varint()?,
        })
    }
}

/// Tells a subscriber of groups that it will not get. The same in every dialect.
///
/// Draft-03: SUBSCRIBE_GAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscribeGap {
    /// The first group.
    pub start: u64,
    /// How many groups after the first; 0 if it is only that one.
    pub count: u64,
    /// Why.
    pub code: Code,
}

impl Message for SubscribeGap {
    fn fields(_: Dialect) -> &'static [Field] {
        &[Field::Varint, Field::Varint, Field::Varint]
    }

    fn encode(&self, output: &mut Output, _: Dialect) -> Result<(), EncodeError> {
        output.varint(self.start)?;
        output.varint(self.count)?;
        output.varint(self.code.0.into())
    }

    fn decode(input: &mut Input<'_>, _: Dialect) -> Result<Self, DecodeError> {
        let (start, count, code) = (input.varint()?, input.varint()?, input.varint()?);
        let max = u32::MAX.into();
        let code = u32::try_from(code).map_err(|_| DecodeError::Limit { name: "code", max })?;
        Ok(SubscribeGap {
            start,
            count,
            code: Code(code),
        })
    }
}
