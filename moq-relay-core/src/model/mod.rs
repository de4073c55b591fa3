//! The model: tracks of groups of frames, as append-only logs with readers.
//!
//! - [`track::TrackProducer`] and [`group::GroupProducer`] write; dropping one that was not
//!   finished is an error for its readers.
//! - [`consumer::TrackConsumer`] and [`group::GroupConsumer`] read. A reader is a cursor: late
//!   joiners, slow readers and the cache are the same mechanism.
//! - [`cache::Cache`] holds what all groups of a relay may weigh together.
//!
//! Locks are taken in the order track, group; never back.

pub mod cache;
pub mod consumer;
mod cursor;
pub mod group;
mod info;
mod log;
mod place;
mod runs;
mod state;
pub mod subscription;
pub mod track;
