//! Finding the end of a message while it arrives.

use std::cmp::Ordering;

use super::MAX_MESSAGE_BYTES;
use super::error::DecodeError;
use super::field::{Field, Limit};
use super::varint;

/// Finds where a message ends, in pieces of any size and without looking at a byte twice.
///
/// Limits are enforced as soon as a count or length is known, before what it counts has arrived.
#[derive(Clone, Debug)]
pub struct Scanner {
    /// The fields still to come.
    fields: &'static [Field],
    /// The list that is being scanned.
    list: Option<List>,
    number: varint::Partial,
    /// Bytes to pass over.
    skip: usize,
    /// Bytes seen so far.
    seen: usize,
}

/// What is left of a list.
#[derive(Clone, Debug)]
struct List {
    /// Items that have not begun.
    items: u64,
    /// The fields of every item.
    of: &'static [Field],
    /// The fields still to come of the item that has begun.
    fields: &'static [Field],
    bytes: Limit,
    /// Bytes of [`Field::Bytes`] that may still come.
    budget: usize,
}

impl Scanner {
    /// Begins a message that has these fields.
    pub fn new(fields: &'static [Field]) -> Self {
        Scanner {
            fields,
            list: None,
            number: varint::Partial::default(),
            skip: 0,
            seen: 0,
        }
    }

    /// Looks at the next bytes and gives how many of them still belong to the message, or nothing
    /// if all do and more are to come. No further bytes may follow once an end was given.
    ///
    /// # Errors
    ///
    /// If a count or length is beyond its limit.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, DecodeError> {
        let mut rest = bytes;
        loop {
            let skipped = self.skip.min(rest.len());
            rest = &rest[skipped..];
            self.skip -= skipped;
            if self.skip > 0 {
                break;
            }
            let Some(field) = self.field() else {
                return Ok(Some(bytes.len() - rest.len()));
            };
            let Some((&byte, after)) = rest.split_first() else {
                break;
            };
            rest = after;
            self.check_size(bytes.len() - rest.len())?;
            let value = match field.is_byte() {
                true => Some(byte.into()),
                false => self.number.push(byte),
            };
            if let Some(value) = value {
                self.advance();
                self.value(field, value)?;
                self.check_size((bytes.len() - rest.len()).saturating_add(self.skip))?;
            }
        }
        self.seen += bytes.len();
        Ok(None)
    }

    /// Tells the field that the next byte belongs to; lists without items left are taken off.
    fn field(&mut self) -> Option<Field> {
        if let Some(list) = &mut self.list {
            if list.fields.is_empty() && list.items > 0 {
                list.items -= 1;
                list.fields = list.of;
            }
            if let Some(field) = list.fields.first() {
                return Some(*field);
            }
            self.list = None;
        }
        self.fields.first().copied()
    }

    /// Goes on to the next field.
    fn advance(&mut self) {
        let fields = match &mut self.list {
            Some(list) => &mut list.fields,
            None => &mut self.fields,
        };
        *fields = fields.get(1..).unwrap_or_default();
    }

    /// Acts on the number that `field` begins with.
    fn value(&mut self, field: Field, value: u64) -> Result<(), DecodeError> {
        match field {
            Field::Byte | Field::Varint => {}
            Field::Choice { name, max } if value > max => {
                return Err(DecodeError::Invalid { name, value });
            }
            Field::Choice { .. } => {}
            Field::Status { name, last } | Field::ByteStatus { name, last } => {
                match value.cmp(&last) {
                    Ordering::Less => {}
                    Ordering::Equal => self.fields = &[],
                    Ordering::Greater => return Err(DecodeError::Invalid { name, value }),
                }
            }
            Field::Bytes(limit) => {
                self.skip = within(limit, value)?;
                if let Some(list) = &mut self.list {
                    let limit = Limit {
                        max: list.budget,
                        ..list.bytes
                    };
                    let within = within(limit, value).map_err(|_| exceeded(list.bytes))?;
                    list.budget -= within;
                }
            }
            Field::List { items, bytes, of } => {
                let items = within(items, value)? as u64;
                self.list = Some(List {
                    items,
                    of,
                    fields: &[],
                    bytes,
                    budget: bytes.max,
                });
            }
        }
        Ok(())
    }

    fn check_size(&self, more: usize) -> Result<(), DecodeError> {
        let limit = Limit {
            name: "message size",
            max: MAX_MESSAGE_BYTES,
        };
        within(limit, self.seen.saturating_add(more) as u64).map(|_| ())
    }
}

fn within(limit: Limit, value: u64) -> Result<usize, DecodeError> {
    let value = usize::try_from(value)
        .ok()
        .filter(|value| *value <= limit.max);
    value.ok_or_else(|| exceeded(limit))
}

fn exceeded(limit: Limit) -> DecodeError {
    DecodeError::Limit {
        name: limit.name,
        max: limit.max as u64,
    }
}
