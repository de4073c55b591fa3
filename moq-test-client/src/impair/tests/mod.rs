//! The model of a link: what it does, how often, and that a naive one does the same.

use std::time::Duration;

use bytes::Bytes;

use crate::impair::link::{Departure, Link};
use crate::impair::settings::Settings;

mod behaviour;
mod chance;
mod naive;
mod property;

fn settings(text: &str) -> Settings {
    let mut settings = Settings::default();
    text.parse::<super::change::Change>()
        .unwrap()
        .apply(&mut settings);
    settings
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A packet of `len` bytes, at least four, that begins with its number.
fn packet(number: u32, len: usize) -> Bytes {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(len, 0);
    bytes.into()
}

fn number(departure: &Departure) -> u32 {
    let (number, _rest) = departure.packet.split_first_chunk().unwrap();
    u32::from_be_bytes(*number)
}

/// Takes out all that departs by the time `now`.
fn pop_all(link: &mut Link, now: Duration) -> Vec<(Duration, u32)> {
    std::iter::from_fn(|| link.pop(now))
        .map(|departure| (departure.at, number(&departure)))
        .collect()
}

/// Takes out all that is under way.
fn finish(link: &mut Link) -> Vec<(Duration, u32)> {
    pop_all(link, Duration::from_secs(1_000_000))
}
