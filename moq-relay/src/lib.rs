//! The relay's process around its core: flags, certificates, sockets, signals.
//!
//! It accepts WebTransport and raw QUIC sessions on one UDP port and gives them to
//! [`moq_relay_core::relay::Relay`], which does the relaying. What can be decided without a socket
//! is decided there, not here.
//!
//! Start with [`args::Args`], which is all that can be asked of it, and [`server::Server`], which
//! accepts; `main.rs` puts them together.

pub mod accept;
pub mod args;
mod bursts;
pub mod cluster;
pub mod dial;
pub mod endpoint;
pub mod error;
pub mod http;
pub mod log;
pub mod reload;
pub mod report;
pub mod server;
pub mod session;
pub mod signals;
pub mod sockets;
pub mod tls;
pub mod transport;
pub mod units;
pub mod workers;
