//! A relay and its peers in one process, over the in-memory transport and a paused clock.

mod past;
mod roles;
mod smoke;
mod world;
