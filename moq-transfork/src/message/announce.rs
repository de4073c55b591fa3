//! The messages of announce streams.

use crate::coding::{DecodeError, EncodeError, Field, Input, Message, Output};
use crate::dialect::Dialect;
use crate::filter::{Filter, PARTS, TEXT};
use crate::path::Path;

/// Asks to hear of all tracks that match, now and as they come and go.
///
/// Draft-03: ANNOUNCE_PLEASE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnouncePlease {
    /// Which tracks are meant.
    pub filter: Filter,
}

impl Message for AnnouncePlease {
    fn fields(dialect: Dialect) -> &'static [Field] {
        if dialect.has_text_paths() {
            const { &[Filter::field(Dialect::Fork04s)] }
        } else {
            const { &[Filter::field(Dialect::Draft03)] }
        }
    }

    fn encode(&self, output: &mut Output, dialect: Dialect) -> Result<(), EncodeError> {
        self.filter.encode(output, dialect)
    }

    fn decode(input: &mut Input<'_>, dialect: Dialect) -> Result<Self, DecodeError> {
        Ok(AnnouncePlease {
            filter: Filter::decode(input, dialect)?,
        })
    }
}

/// Tells that a track has come or gone.
///
/// The path is what the filter does not say: what follows its prefix, or what its `*` stands for.
///
/// Draft-03: ANNOUNCE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announce {
    /// The track can be subscribed to.
    Active(Path),
    /// The track cannot be subscribed to any longer.
    Ended(Path),
    /// Everything that was active when the stream began has been told.
    ///
    /// Never for [`Dialect::Fork02`], which neither sends nor survives it.
    Live,
}

impl Announce {
    const ENDED: u64 = 0;
    const ACTIVE: u64 = 1;
    const LIVE: u64 = 2;
    const NAME: &'static str = "announce status";

    /// The field in [`Dialect::Draft03`].
    const DRAFT: Field = Field::Status {
        name: Announce::NAME,
        last: Announce::LIVE,
    };
    /// The field in all other dialects.
    const FORK: Field = Field::ByteStatus {
        name: Announce::NAME,
        last: Announce::LIVE,
    };
}

impl Message for Announce {
    fn fields(dialect: Dialect) -> &'static [Field] {
        match dialect {
            Dialect::Draft03 => &[Announce::DRAFT, PARTS],
            Dialect::Fork02 | Dialect::Fork04 => &[Announce::FORK, PARTS],
            Dialect::Fork04s => &[Announce::FORK, TEXT],
        }
    }

    fn encode(&self, output: &mut Output, dialect: Dialect) -> Result<(), EncodeError> {
        let (status, path) = match self {
            Announce::Active(path) => (Announce::ACTIVE, path),
            Announce::Ended(path) => (Announce::ENDED, path),
            Announce::Live if dialect.has_live() => return output.varint(Announce::LIVE),
            Announce::Live => {
                return Err(EncodeError::Unsupported {
                    name: "ANNOUNCE live",
                    dialect,
                });
            }
        };
        output.varint(status)?;
        output.path(path, dialect)
    }

    fn decode(input: &mut Input<'_>, dialect: Dialect) -> Result<Self, DecodeError> {
        match input.varint()? {
            Announce::ENDED => Ok(Announce::Ended(input.path(dialect)?)),
            Announce::ACTIVE => Ok(Announce::Active(input.path(dialect)?)),
            Announce::LIVE if dialect.has_live() => Ok(Announce::Live),
            value => Err(DecodeError::Invalid {
                name: Announce::NAME,
                value,
            }),
        }
    }
}
