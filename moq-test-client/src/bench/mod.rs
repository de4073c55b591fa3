//! A load on a relay, and what becomes of it.
//!
//! One thread plays any number of publishers and subscribers. Frames are paced in an open loop:
//! each has a time at which it is due, whatever became of those before it, and its latency counts
//! from there. So a relay that stalls pays for every frame that waited (no coordinated omission).
//!
//! - [`plan::Plan`] says what to do and [`run::run`] does it.
//! - [`tally::Tally`] accounts for one subscription, [`schedule::Schedule`] for what is due; both
//!   know neither clock nor socket.

mod board;
mod connection;
mod flood;
pub mod frames;
pub mod latency;
mod listener;
mod pacer;
pub mod plan;
pub mod range;
pub mod rounds;
pub mod run;
pub mod sample;
pub mod schedule;
mod subscriber;
pub mod tally;
mod timer;
mod windows;

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Makes the runtime that a load runs on, alone.
///
/// One that shares nothing costs least, which counts in a `flood`, where as much is sent as can be.
/// It runs its tasks in the order in which they were woken: all connections that have received
/// something, and then all who read from them. At a rate the latency counts, and the other kind lets
/// whoever was woken last go first, and so each reader right after its connection. That costs a
/// quarter more and takes up to a third off the median latency, with every relay.
///
/// # Errors
///
/// If the system has no room for it.
pub fn runtime(flood: bool) -> io::Result<Runtime> {
    let mut builder = if flood {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    builder.worker_threads(1).enable_all().build()
}
