//! A relay and its peers in one process, over the in-memory transport and a paused clock.

mod announce;
mod budget;
mod chaos;
mod demand;
mod dice;
mod drain;
mod expiry;
mod failures;
mod fanout;
mod fetch;
mod forks;
mod gaps;
mod garbage;
mod hostile;
mod info;
mod loss;
mod model;
mod past;
mod ranges;
mod rates;
mod raw;
mod roles;
mod slow;
mod smoke;
mod updates;
mod world;
