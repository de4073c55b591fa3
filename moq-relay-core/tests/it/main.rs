//! A relay and its peers in one process, over the in-memory transport and a paused clock.

mod announce;
mod demand;
mod expiry;
mod failures;
mod fanout;
mod fetch;
mod gaps;
mod hostile;
mod info;
mod loss;
mod past;
mod ranges;
mod rates;
mod raw;
mod slow;
mod smoke;
mod updates;
mod world;
