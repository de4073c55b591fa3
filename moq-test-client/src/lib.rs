//! Publishes to, subscribes from and checks any MoqTransfork relay.
//!
//! This is the library half of the `moq-test-client` program. It is **not** part of any relay, and
//! it knows no more of the relay it talks to than its URL.
//!
//! Start with one of these:
//!
//! - [`connect::connect`]: from a URL to what the relay publishes. Other crates' end-to-end tests
//!   use it.
//! - [`dial::dial`]: from a URL to a bare transport session, for those who want to write the bytes
//!   themselves.
//! - [`payload`] and [`check`]: frames that prove themselves, and who verifies them.
//! - [`impair`]: a bad network between two programs, as a UDP proxy.
//! - [`command`]: one module a subcommand; [`conformance`] is what runs without one.

pub mod address;
pub mod args;
pub mod bench;
pub mod check;
pub mod cli;
pub mod command;
pub mod conformance;
pub mod connect;
pub mod dial;
pub mod fingerprint;
pub mod impair;
pub mod output;
pub mod payload;
mod reading;
pub mod tls;
pub mod unique;
pub mod units;
