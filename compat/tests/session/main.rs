//! Whole sessions of the published crates with the relay, over QUIC on loopback.

mod published;
mod world;
