//! The messages of the session stream.

use super::extensions::Extensions;
use crate::coding::{DecodeError, EncodeError, Field, Input, Limit, Message, Output};
use crate::dialect::Dialect;

/// The most versions a client may offer.
pub const MAX_VERSIONS: usize = 64;

/// The client's first message: what it can speak. The same in every dialect.
///
/// Draft-03: SESSION_CLIENT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionClient {
    /// The versions on offer, in order of preference.
    pub versions: Vec<u64>,
    /// The extensions on offer.
    pub extensions: Extensions,
}

impl Message for SessionClient {
    fn fields(_: Dialect) -> &'static [Field] {
        const VERSIONS: Field = Field::List {
            items: Limit {
                name: "versions",
                max: MAX_VERSIONS,
            },
            bytes: Limit {
                name: "versions",
                max: 0,
            },
            of: &[Field::Varint],
        };
        &[VERSIONS, Extensions::FIELD]
    }

    fn encode(&self, output: &mut Output, _: Dialect) -> Result<(), EncodeError> {
        if self.versions.len() > MAX_VERSIONS {
            return Err(EncodeError::Limit {
                name: "versions",
                max: MAX_VERSIONS as u64,
            });
        }
        output.varint(self.versions.len() as u64)?;
        self.versions
            .iter()
            .try_for_each(|version| output.varint(*version))?;
        self.extensions.encode(output)
    }

    fn decode(input: &mut Input<'_>, _: Dialect) -> Result<Self, DecodeError> {
        let count = input.varint()?;
        let versions = (0..count)
            .map(|_| input.varint())
            .collect::<Result<_, _>>()?;
        Ok(SessionClient {
            versions,
            extensions: Extensions::decode(input)?,
        })
    }
}

/// The server's answer: what is spoken from here on. The same in every dialect.
///
/// Draft-03: SESSION_SERVER.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionServer {
    /// The version chosen, one of those on offer.
    pub version: u64,
    /// The extensions chosen.
    pub extensions: Extensions,
}

impl Message for SessionServer {
    fn fields(_: Dialect) -> &'static [Field] {
        &[Field::Varint, Extensions::FIELD]
    }

    fn encode(&self, output: &mut Output, _: Dialect) -> Result<(), EncodeError> {
        output.varint(self.version)?;
        self.extensions.encode(output)
    }

    fn decode(input: &mut Input<'_>, _: Dialect) -> Result<Self, DecodeError> {
        Ok(SessionServer {
            version: input.varint()?,
            extensions: Extensions::decode(input)?,
        })
    }
}

/// What the sender's congestion controller thinks it can send.
///
/// Only [`Dialect::Draft03`] may be sent it: the published crates close the session over it.
///
/// Draft-03: SESSION_UPDATE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionUpdate {
    /// The estimated bitrate in bits per second; 0 if unknown.
    pub bitrate: u64,
}

impl Message for SessionUpdate {
    fn fields(_: Dialect) -> &'static [Field] {
        &[Field::Varint]
    }

    fn encode(&self, output: &mut Output, dialect: Dialect) -> Result<(), EncodeError> {
        if !dialect.has_session_update() {
            return Err(EncodeError::Unsupported {
                name: "SESSION_UPDATE",
                dialect,
            });
        }
        output.varint(self.bitrate)
    }

    fn decode(input: &mut Input<'_>, _: Dialect) -> Result<Self, DecodeError> {
        Ok(SessionUpdate {
            bitrate: input.varint()?,
        })
    }
}
