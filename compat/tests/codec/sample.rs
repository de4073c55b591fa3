//! What messages are made of, whoever makes them.

use std::time::Duration;

use moq_transfork::message::{GroupOrder, Priority};
use moq_transfork::{Code, Path};
use proptest::prelude::*;

/// Values for the fields of any message, each within what all dialects can say.
#[derive(Clone, Debug)]
pub struct Sample {
    pub id: u64,
    pub number: u64,
    pub code: u32,
    pub path: Path,
    pub priority: i8,
    pub ascending: bool,
    pub expires: Duration,
    pub min: Option<u64>,
    pub max: Option<u64>,
    pub versions: Vec<u64>,
    pub extension: Option<Vec<u8>>,
}

impl Sample {
    pub fn code(&self) -> Code {
        Code(self.code)
    }

    /// The priority as we number it: the published crates' 0 is our 128.
    pub fn priority(&self) -> Priority {
        Priority::from((i16::from(self.priority) + 128) as u8)
    }

    pub fn order(&self) -> GroupOrder {
        if self.ascending {
            GroupOrder::Ascending
        } else {
            GroupOrder::Descending
        }
    }

    pub fn text(&self) -> String {
        self.path.to_text().expect("samples have text")
    }
}

/// The largest number that published crates on a 64-bit machine can encode, less one for `Option`.
const MAX: u64 = (1 << 62) - 2;

pub fn sample() -> impl Strategy<Value = Sample> {
    let number = || prop_oneof![0..70u64, 0..20_000u64, 0..=MAX];
    let names = (path(), any::<i8>(), any::<bool>(), (0..1u64 << 40));
    let numbers = (number(), number(), any::<u32>());
    let range = (
        proptest::option::of(number()),
        proptest::option::of(number()),
    );
    let extension = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..100));
    let setup = (proptest::collection::vec(number(), 0..5), extension);
    (names, numbers, range, setup).prop_map(|(names, numbers, range, setup)| Sample {
        id: numbers.0,
        number: numbers.1,
        code: numbers.2,
        path: names.0,
        priority: names.1,
        ascending: names.2,
        expires: Duration::from_millis(names.3),
        min: range.0,
        max: range.1,
        versions: setup.0,
        extension: setup.1,
    })
}

/// The path of a track that can be one string.
fn path() -> impl Strategy<Value = Path> {
    let part = prop_oneof!["[a-z0-9.*]{0,8}", "[^/]{0,8}"];
    let parts = proptest::collection::vec(part, 1..6);
    let path = parts.prop_map(|parts| Path::new(parts).expect("it is short"));
    path.prop_filter("one string", |path| path.to_text().is_some())
}
