//! A relay and its peers in one process, over the in-memory transport and a paused clock.

mod smoke;
mod world;
