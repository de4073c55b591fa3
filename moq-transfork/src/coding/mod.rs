//! How messages become bytes and bytes become messages.
//!
//! Messages carry neither type nor length. A [`Scanner`] finds where one ends, looking at every
//! byte once and keeping its place between calls; only then is it decoded, in one go.

mod error;
mod field;
mod input;
mod output;
mod scanner;
pub mod varint;

use bytes::{Bytes, BytesMut};

pub use error::{DecodeError, EncodeError};
pub use field::{Field, Limit};
pub use input::Input;
pub use output::Output;
pub use scanner::Scanner;

use crate::dialect::Dialect;

/// The most bytes one message may have, whatever its parts allow.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024;

/// Something that travels on a stream and whose position there tells what it is.
pub trait Message: Sized {
    /// Tells the fields in wire order, which is all that is needed to find the message's end.
    fn fields(dialect: Dialect) -> &'static [Field];

    /// Appends the message.
    ///
    /// # Errors
    ///
    /// If the dialect cannot say it. What was appended is then to be thrown away.
    fn encode(&self, output: &mut Output, dialect: Dialect) -> Result<(), EncodeError>;

    /// Takes the message from bytes that hold all of it.
    ///
    /// # Errors
    ///
    /// If the bytes are not such a message.
    fn decode(input: &mut Input<'_>, dialect: Dialect) -> Result<Self, DecodeError>;

    /// Decodes the message that `bytes` begin with and tells how many bytes it has.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Incomplete`] if more bytes are needed, another error if no bytes can help.
    fn decode_slice(bytes: &[u8], dialect: Dialect) -> Result<(Self, usize), DecodeError> {
        let mut scanner = Scanner::new(Self::fields(dialect));
        let end = scanner.scan(bytes)?.ok_or(DecodeError::Incomplete)?;
        let message = Self::decode(&mut Input::new(&bytes[..end]), dialect)?;
        Ok((message, end))
    }

    /// Encodes the message alone.
    ///
    /// # Errors
    ///
    /// If the dialect cannot say it.
    fn to_bytes(&self, dialect: Dialect) -> Result<Bytes, EncodeError> {
        let mut output = Output::new(BytesMut::new());
        self.encode(&mut output, dialect)?;
        Ok(output.into_inner().freeze())
    }
}
