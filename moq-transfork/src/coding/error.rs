//! What can be wrong with bytes and with messages.

use crate::code::Code;
use crate::dialect::Dialect;
use crate::path::PathError;

/// Why bytes are not the message that was expected. The peer is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the message does.
    #[error("incomplete message")]
    Incomplete,
    /// A length or a count is beyond its limit.
    #[error("{name} exceeds the limit of {max}")]
    Limit {
        /// What is limited.
        name: &'static str,
        /// The limit, in bytes or items.
        max: u64,
    },
    /// A number has no meaning where it stands.
    #[error("invalid {name}: {value}")]
    Invalid {
        /// What the number is.
        name: &'static str,
        /// The number.
        value: u64,
    },
    /// A string is not UTF-8.
    #[error("string is not UTF-8")]
    Utf8,
    /// A path is no path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Something unique appears twice.
    #[error("duplicate {name}")]
    Duplicate {
        /// What is unique.
        name: &'static str,
    },
}

impl DecodeError {
    /// Tells the code to reset the stream with.
    pub const fn code(&self) -> Code {
        match self {
            DecodeError::Incomplete => Code::WRONG_SIZE,
            DecodeError::Limit { .. }
            | DecodeError::Path(PathError::TooManyParts | PathError::TooLong) => {
                Code::BOUNDS_EXCEEDED
            }
            DecodeError::Duplicate { .. } => Code::DUPLICATE,
            DecodeError::Invalid { .. }
            | DecodeError::Utf8
            | DecodeError::Path(PathError::Empty | PathError::Text) => Code::DECODE,
        }
    }
}

/// Why a message cannot be sent. We are at fault, or the peer's dialect is too small.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The peer's dialect has no such message.
    #[error("{dialect} has no {name}")]
    Unsupported {
        /// The message.
        name: &'static str,
        /// The peer's dialect.
        dialect: Dialect,
    },
    /// A number is 2^62 or more.
    #[error("number {0} is too large")]
    Number(u64),
    /// A count or a length is beyond what we would accept ourselves.
    #[error("{name} exceeds the limit of {max}")]
    Limit {
        /// What is limited.
        name: &'static str,
        /// The limit, in bytes or items.
        max: u64,
    },
    /// A path is no path that the dialect can say.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl EncodeError {
    /// Tells the code to end the affected stream with.
    pub const fn code(&self) -> Code {
        match self {
            EncodeError::Unsupported { .. } | EncodeError::Path(_) => Code::NOT_FOUND,
            EncodeError::Number(_) | EncodeError::Limit { .. } => Code::BOUNDS_EXCEEDED,
        }
    }
}
