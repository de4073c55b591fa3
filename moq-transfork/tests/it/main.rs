//! Everything that the crate promises, from outside.

#![allow(
    clippy::unwrap_used,
    reason = "a panic is how a test fails, also in its helpers"
)]

mod detect;
mod filter;
mod frame;
mod golden;
mod groups;
mod hostile;
mod messages;
mod path;
mod pipe;
mod roundtrip;
mod sendable;
mod setup;
mod streams;
mod tables;
