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
