//! In which order groups go.

use crate::coding::{DecodeError, EncodeError, Field, Input, Output};
use crate::dialect::Dialect;

/// The order in which groups of one track are sent when not all can be at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GroupOrder {
    /// As the publisher says. The published crates have no such thing: they are sent descending.
    #[default]
    Default,
    /// The oldest first.
    Ascending,
    /// The newest first.
    Descending,
}

impl GroupOrder {
    const NAME: &'static str = "group order";

    /// The field in [`Dialect::Draft03`].
    pub(super) const DRAFT: Field = Field::Choice {
        name: GroupOrder::NAME,
        max: 2,
    };
    /// The field in all other dialects.
    pub(super) const FORK: Field = Field::Choice {
        name: GroupOrder::NAME,
        max: 1,
    };

    pub(super) fn encode(self, output: &mut Output, dialect: Dialect) -> Result<(), EncodeError> {
        let draft = match self {
            GroupOrder::Default => 0,
            GroupOrder::Ascending => 1,
            GroupOrder::Descending => 2,
        };
        output.varint(match (dialect, self) {
            (Dialect::Draft03, _) => draft,
            (_, GroupOrder::Ascending) => 0,
            (_, GroupOrder::Default | GroupOrder::Descending) => 1,
        })
    }

    pub(super) fn decode(input: &mut Input<'_>, dialect: Dialect) -> Result<Self, DecodeError> {
        match (dialect, input.varint()?) {
            (Dialect::Draft03, 0) => Ok(GroupOrder::Default),
            (Dialect::Draft03, 1) => Ok(GroupOrder::Ascending),
            (Dialect::Draft03, 2) => Ok(GroupOrder::Descending),
            (Dialect::Fork02 | Dialect::Fork04 | Dialect::Fork04s, 0) => Ok(GroupOrder::Ascending),
            (Dialect::Fork02 | Dialect::Fork04 | Dialect::Fork04s, 1) => Ok(GroupOrder::Descending),
            (_, value) => Err(DecodeError::Invalid {
                name: "group order",
                value,
            }),
        }
    }
}
