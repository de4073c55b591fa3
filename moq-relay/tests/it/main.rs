//! The relay as a process: what its users see of it.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod certificates;
mod client;
mod cluster;
mod command_line;
mod development;
mod placement;
mod process;
mod reports;
mod sessions;
mod stopping;
mod streams;
