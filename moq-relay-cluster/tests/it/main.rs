//! Nodes of a cluster in one process, over the in-memory transport and a paused clock.

mod auth;
mod failure;
mod mesh;
#[path = "../net/mod.rs"]
mod net;
mod world;
