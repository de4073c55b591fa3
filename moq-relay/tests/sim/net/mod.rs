//! An internet in memory: links with delay, loss and a rate, and sockets that quinn takes for UDP.

pub(crate) mod link;
pub(crate) mod socket;
mod switch;

pub(crate) use self::switch::{Cable, Switch};
