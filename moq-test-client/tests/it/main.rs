//! The client against a relay in this process, and the program as its users run it.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod bench;
mod conformance;
mod connecting;
mod impair;
mod impair_program;
mod impair_session;
mod program;
mod relay;
mod tracks;
