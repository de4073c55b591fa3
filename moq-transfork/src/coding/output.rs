//! Putting messages together.

use std::time::Duration;

use bytes::{BufMut, BytesMut};

use super::error::EncodeError;
use super::varint;
use crate::dialect::Dialect;
use crate::path::{Path, PathError};

/// The buffer that messages are appended to.
#[derive(Debug, Default)]
pub struct Output {
    buffer: BytesMut,
}

impl Output {
    /// Appends to `buffer`.
    pub fn new(buffer: BytesMut) -> Self {
        Output { buffer }
    }

    /// Gives the buffer back.
    pub fn into_inner(self) -> BytesMut {
        self.buffer
    }

    /// Tells how many bytes are in the buffer.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether the buffer is empty.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Takes back everything after the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.buffer.truncate(len);
    }

    /// Takes all bytes out and leaves the buffer empty.
    pub fn take(&mut self) -> BytesMut {
        self.buffer.split()
    }

    /// Appends one byte.
    pub fn byte(&mut self, byte: u8) {
        self.buffer.put_u8(byte);
    }

    /// Appends a number in its shortest form.
    ///
    /// # Errors
    ///
    /// If the number is 2^62 or more.
    pub fn varint(&mut self, value: u64) -> Result<(), EncodeError> {
        varint::encode(value, &mut self.buffer)
    }

    /// Appends a length and the bytes.
    ///
    /// # Errors
    ///
    /// If there are 2^62 bytes or more.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.varint(bytes.len() as u64)?;
        self.buffer.put_slice(bytes);
        Ok(())
    }

    /// Appends a path, in parts or as one string; it may be empty.
    ///
    /// # Errors
    ///
    /// [`PathError::Text`] if it cannot be one string but has to.
    pub fn path(&mut self, path: &Path, dialect: Dialect) -> Result<(), EncodeError> {
        if dialect.has_text_paths() {
            return self.bytes(path.to_text().ok_or(PathError::Text)?.as_bytes());
        }
        self.varint(path.len() as u64)?;
        path.parts()
            .try_for_each(|part| self.bytes(part.as_bytes()))
    }

    /// Appends the path of a track, which has at least one part.
    ///
    /// # Errors
    ///
    /// As [`Output::path`], and if the path is empty.
    pub fn track(&mut self, path: &Path, dialect: Dialect) -> Result<(), EncodeError> {
        if path.is_empty() {
            return Err(PathError::Empty.into());
        }
        self.path(path, dialect)
    }

    /// Appends an optional group number: 0 is none, else one more than the number.
    ///
    /// # Errors
    ///
    /// If the number is 2^62 - 1 or more.
    pub fn group(&mut self, group: Option<u64>) -> Result<(), EncodeError> {
        self.varint(group.map_or(0, |group| group.saturating_add(1)))
    }

    /// Appends a group expiry in whole milliseconds, rounded up, where the dialect has one.
    ///
    /// # Errors
    ///
    /// Never: more milliseconds than fit are sent as [`varint::MAX`].
    pub fn expires(&mut self, expires: Duration, dialect: Dialect) -> Result<(), EncodeError> {
        if !dialect.has_expires() {
            return Ok(());
        }
        let millis = expires
            .as_nanos()
            .div_ceil(1_000_000)
            .min(varint::MAX.into());
        self.varint(millis as u64)
    }
}
