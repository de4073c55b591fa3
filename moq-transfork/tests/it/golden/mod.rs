//! What the published crates encode, decode and send is what we do. Every row is used.

mod captured;
mod encoded;

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use moq_transfork::coding::{DecodeError, EncodeError, Message};
use moq_transfork::message::{Announce, Extensions, GroupOrder, Priority};
use moq_transfork::{Dialect, Path};
use serde_json::Value;

/// Which of the crate's promises a row was held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Used {
    Encoded,
    Decoded,
    Captured,
    /// Of the transport below, whose bytes we never see.
    Transport,
}

#[test]
fn every_row_of_the_published_crates_holds() {
    let rows: Vec<Value> = serde_json::from_str(include_str!("../../golden.json")).unwrap();
    let used: Vec<Used> = rows.iter().map(|row| Row::new(row).check()).collect();
    let count = |kind| used.iter().filter(|used| **used == kind).count();
    assert_eq!(count(Used::Encoded), 249);
    assert_eq!(count(Used::Decoded), 60);
    assert_eq!(count(Used::Captured), 29);
    assert_eq!(count(Used::Transport), 4);
    assert_eq!(used.len(), 342);
}

struct Row<'a> {
    name: &'a str,
    fields: &'a Value,
    dialect: Dialect,
    bytes: Vec<u8>,
    result: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn new(row: &'a Value) -> Self {
        let dialect = match row["crate_version"].as_str().unwrap() {
            "0.8.0" => Dialect::Fork02,
            "0.9.0" | "0.10.0" | "0.11.0" => Dialect::Fork04,
            "0.12.0" => Dialect::Fork04s,
            version => panic!("unknown version {version}"),
        };
        Row {
            name: row["message"].as_str().unwrap(),
            fields: &row["fields"],
            dialect,
            bytes: hex::decode(row["hex"].as_str().unwrap()).unwrap(),
            result: row["result"].as_str(),
        }
    }

    fn check(&self) -> Used {
        if self.result.is_some() {
            self.check_decode();
            return Used::Decoded;
        }
        match self.name.strip_prefix("capture:") {
            Some(capture) => self.check_capture(capture),
            None => {
                self.check_primitive();
                Used::Encoded
            }
        }
    }

    /// The message encodes to the bytes and decodes from them.
    fn both<M: Message + PartialEq + Debug>(&self, message: &M) {
        self.whole(&self.bytes, message);
    }

    fn whole<M: Message + PartialEq + Debug>(&self, bytes: &[u8], message: &M) {
        assert_eq!(
            message.to_bytes(self.dialect).unwrap(),
            bytes,
            "{message:?}"
        );
        assert_eq!(&self.decode_as::<M>(bytes), message);
    }

    fn sequence(&self, messages: &[Announce]) {
        let mut rest = &self.bytes[..];
        for message in messages {
            rest = self.strip(rest, message);
        }
        assert!(rest.is_empty());
    }

    /// What follows the message, with which the row's bytes begin.
    fn after<M: Message + PartialEq + Debug>(&self, message: &M) -> &[u8] {
        self.strip(&self.bytes, message)
    }

    fn strip<'b, M: Message + PartialEq + Debug>(&self, bytes: &'b [u8], message: &M) -> &'b [u8] {
        let (decoded, len) = M::decode_slice(bytes, self.dialect).unwrap();
        assert_eq!(&decoded, message);
        assert_eq!(message.to_bytes(self.dialect).unwrap(), bytes[..len]);
        &bytes[len..]
    }

    /// The transport library takes the stream's own prefix off.
    fn after_webtransport(&self) -> &[u8] {
        self.bytes.strip_prefix(&[0x40, 0x41, 0x00]).unwrap()
    }

    fn refused<M: Message>(&self, message: &M) {
        let error = message.to_bytes(self.dialect).unwrap_err();
        assert!(
            matches!(error, EncodeError::Unsupported { .. }),
            "{error:?}"
        );
    }

    fn decode<M: Message>(&self) -> M {
        self.decode_as(&self.bytes)
    }

    fn decode_as<M: Message>(&self, bytes: &[u8]) -> M {
        let (message, len) = M::decode_slice(bytes, self.dialect).unwrap();
        assert_eq!(len, bytes.len());
        message
    }

    /// We accept, refuse or wait where the crate did, and consume as much.
    fn decides<M: Message + Debug>(&self) {
        let result = self.result.unwrap();
        match M::decode_slice(&self.bytes, self.dialect) {
            Ok((message, len)) => {
                let consumed = format!("(consumed {len} of {})", self.bytes.len());
                assert!(
                    result.starts_with("ok: ") && result.ends_with(&consumed),
                    "{result}"
                );
                assert_eq!(message.to_bytes(self.dialect).unwrap(), self.bytes[..len]);
            }
            Err(DecodeError::Incomplete) => assert_eq!(result, "error: Short"),
            Err(_) => assert_eq!(result, "error: InvalidValue"),
        }
    }

    fn number(&self, field: &str) -> u64 {
        number(&self.fields[field])
    }

    fn list(&self, field: &str) -> impl Iterator<Item = &Value> {
        self.fields[field].as_array().unwrap().iter()
    }

    fn priority(&self, field: &str) -> Priority {
        Priority::new((self.fields[field].as_i64().unwrap() + 128) as u64)
    }

    fn order(&self, field: &str) -> GroupOrder {
        match self.fields[field].as_str().unwrap() {
            "Asc" => GroupOrder::Ascending,
            "Desc" => GroupOrder::Descending,
            order => panic!("unknown order {order}"),
        }
    }

    fn expires(&self, field: &str) -> Duration {
        Duration::from_millis(self.fields[field].as_u64().unwrap_or(0))
    }

    fn path(&self, field: &str) -> Path {
        let value = &self.fields[field];
        match (value.as_str(), value.as_array()) {
            (Some(text), _) => path(text),
            (_, Some(parts)) => Path::new(parts.iter().map(|part| part.as_str().unwrap())).unwrap(),
            (None, None) => panic!("no path: {value}"),
        }
    }

    fn extensions(&self) -> Extensions {
        let extensions = self.fields["extensions"].as_object().unwrap();
        let parse = |(id, bytes): (&String, &Value)| {
            let id = number(&Value::String(id.clone()));
            (
                id,
                Bytes::from(hex::decode(bytes.as_str().unwrap()).unwrap()),
            )
        };
        Extensions(extensions.iter().map(parse).collect())
    }
}

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn number(value: &Value) -> u64 {
    match value.as_str() {
        Some(text) => u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap(),
        None => value.as_u64().unwrap(),
    }
}
