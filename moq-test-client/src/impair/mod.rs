//! A bad network on demand: a UDP proxy that delays, loses, reorders, doubles, slows and cuts.
//!
//! It works on whole datagrams and knows nothing of QUIC. It is **not** an exact emulator: packets
//! leave on tokio's timer, whose granularity is 1 ms, so one leaves up to 2 ms later than planned,
//! and those planned for the same millisecond leave in a burst. Rates are exact over any longer
//! time, because the plan is made without the timer.
//!
//! Start with one of these:
//!
//! - [`proxy::Proxy`]: the sockets. Bind it, keep its [`control::Control`], and run it.
//! - [`link::Link`]: one direction without a socket or a clock. Packets go in with the time they
//!   arrive, and come out with the time they depart.
//! - [`settings::Settings`] says how bad a direction is; [`change::Change`] is its text form, as in
//!   `delay=40ms loss=1%`.
//!
//! ```
//! use std::time::Duration;
//!
//! use moq_test_client::impair::link::Link;
//! use moq_test_client::impair::settings::Settings;
//!
//! let settings = Settings {
//!     delay: Duration::from_millis(40),
//!     ..Settings::default()
//! };
//! let mut link = Link::new(7, settings);
//! link.push(Duration::from_millis(5), "a datagram".into());
//! assert!(link.pop(Duration::from_millis(44)).is_none());
//!
//! let departure = link.pop(Duration::from_millis(46)).expect("it is due");
//! assert_eq!(departure.at, Duration::from_millis(45));
//! ```

pub mod change;
pub mod command;
pub mod control;
pub mod counters;
mod dice;
pub mod duplex;
mod flight;
mod flow;
pub mod link;
pub mod proxy;
pub mod quantity;
mod queue;
pub mod schedule;
pub mod settings;
mod socket;
#[cfg(test)]
mod tests;
