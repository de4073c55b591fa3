//! A relay and its peers in one process, over the in-memory transport and a paused clock.

mod failures;
mod fanout;
mod gaps;
mod loss;
mod past;
mod rates;
mod raw;
mod smoke;
mod updates;
mod world;
