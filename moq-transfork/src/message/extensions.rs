//! What a session's ends can do beyond the protocol.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::coding::{DecodeError, EncodeError, Field, Input, Limit, Output};

/// The most extensions one setup message may carry.
pub const MAX_EXTENSIONS: usize = 64;
/// The most bytes that all extensions of one setup message may have together.
pub const MAX_EXTENSION_BYTES: usize = 8 * 1024;

/// Extensions by their id, each with bytes of its own meaning. None is defined yet.
///
/// Draft-03: SESSION_CLIENT and SESSION_SERVER.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(pub BTreeMap<u64, Bytes>);

impl Extensions {
    pub(super) const FIELD: Field = Field::List {
        items: Limit {
            name: "extensions",
            max: MAX_EXTENSIONS,
        },
        bytes: Limit {
            name: "extension bytes",
            max: MAX_EXTENSION_BYTES,
        },
        of: &[
            Field::Varint,
            Field::Bytes(Limit {
                name: "extension bytes",
                max: MAX_EXTENSION_BYTES,
            }),
        ],
    };

    pub(super) fn encode(&self, output: &mut Output) -> Result<(), EncodeError> {
        let bytes = self
            .0
            .values()
            .map(Bytes::len)
            .fold(0, usize::saturating_add);
        if self.0.len() > MAX_EXTENSIONS {
            return Err(EncodeError::Limit {
                name: "extensions",
                max: MAX_EXTENSIONS as u64,
            });
        }
        if bytes > MAX_EXTENSION_BYTES {
            let max = MAX_EXTENSION_BYTES as u64;
            return Err(EncodeError::Limit {
                name: "extension bytes",
                max,
            });
        }
        output.varint(self.0.len() as u64)?;
        self.0.iter().try_for_each(|(id, bytes)| {
            output.varint(*id)?;
            output.bytes(bytes)
        })
    }

    pub(super) fn decode(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        let mut extensions = BTreeMap::new();
        for _ in 0..input.varint()? {
            let id = input.varint()?;
            let bytes = Bytes::copy_from_slice(input.bytes()?);
            if extensions.insert(id, bytes).is_some() {
                return Err(DecodeError::Duplicate { name: "extension" });
            }
        }
        Ok(Extensions(extensions))
    }
}
