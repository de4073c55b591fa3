//! The relay as it is, over the real quinn, on a simulated network and a clock that jumps.
//!
//! Nothing here opens a socket or waits: a minute passes in a fraction of a second. Losses and
//! quinn's own random choices follow from a seed.

mod congestion;
mod figures;
mod journal;
mod late;
mod load;
mod loss;
mod net;
mod overload;
mod priority;
mod quic;
mod scenario;
mod streams;
mod table;
mod world;
