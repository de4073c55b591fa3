//! Taking a complete message apart.

use std::str::FromStr;
use std::time::Duration;

use super::error::DecodeError;
use super::varint;
use crate::dialect::Dialect;
use crate::path::{MAX_BYTES, MAX_PARTS, Path, PathError};

/// The bytes of one message, taken off the front.
///
/// Every method fails with [`DecodeError::Incomplete`] if the bytes run out.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// Begins with these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Input { rest: bytes }
    }

    /// Whether all bytes were taken.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes one byte.
    ///
    /// # Errors
    ///
    /// If the bytes run out.
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&byte, rest) = self.rest.split_first().ok_or(DecodeError::Incomplete)?;
        self.rest = rest;
        Ok(byte)
    }

    /// Takes a number in any of its forms.
    ///
    /// # Errors
    ///
    /// If the bytes run out.
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut number = varint::Partial::default();
        loop {
            if let Some(value) = number.push(self.byte()?) {
                return Ok(value);
            }
        }
    }

    /// Takes a length and as many bytes.
    ///
    /// # Errors
    ///
    /// If the bytes run out.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = usize::try_from(self.varint()?).map_err(|_| DecodeError::Incomplete)?;
        let (bytes, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(DecodeError::Incomplete)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Takes a length and as many bytes of UTF-8.
    ///
    /// # Errors
    ///
    /// If the bytes run out or are not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::Utf8)
    }

    /// Takes a path, in parts or as one string; it may be empty.
    ///
    /// # Errors
    ///
    /// If the bytes run out, are not UTF-8, or are beyond the limits of a path.
    pub fn path(&mut self, dialect: Dialect) -> Result<Path, DecodeError> {
        if dialect.has_text_paths() {
            return Ok(Path::from_str(self.text()?)?);
        }
        let count = self.varint()?;
        if count > MAX_PARTS as u64 {
            return Err(PathError::TooManyParts.into());
        }
        let mut parts = [""; MAX_PARTS];
        let parts = &mut parts[..count as usize];
        let mut bytes = 0;
        for part in parts.iter_mut() {
            *part = self.text()?;
            bytes += part.len();
            if bytes > MAX_BYTES {
                return Err(PathError::TooLong.into());
            }
        }
        Ok(Path::new(parts)?)
    }

    /// Takes the path of a track, which has at least one part.
    ///
    /// # Errors
    ///
    /// As [`Input::path`], and if the path is empty.
    pub fn track(&mut self, dialect: Dialect) -> Result<Path, DecodeError> {
        let path = self.path(dialect)?;
        if path.is_empty() {
            Err(PathError::Empty.into())
        } else {
            Ok(path)
        }
    }

    /// Takes an optional group number: 0 is none, else one more than the number.
    ///
    /// # Errors
    ///
    /// If the bytes run out.
    pub fn group(&mut self) -> Result<Option<u64>, DecodeError> {
        Ok(self.varint()?.checked_sub(1))
    }

    /// Takes a group expiry in milliseconds, or zero where the dialect has none.
    ///
    /// # Errors
    ///
    /// If the bytes run out.
    pub fn expires(&mut self, dialect: Dialect) -> Result<Duration, DecodeError> {
        if !dialect.has_expires() {
            return Ok(Duration::ZERO);
        }
        Ok(Duration::from_millis(self.varint()?))
    }
}
