//! An in-memory transport: both ends of a WebTransport-like session in one process.
//!
//! [`pair`] makes the two ends. They implement [`web_transport_trait`], so whatever serves a QUIC
//! session serves them too, without sockets, certificates or a network. Together with tokio's
//! paused clock a test over them is deterministic: the same calls give the same order of events.
//!
//! It is not a simulation of QUIC packets: nothing is lost, reordered or encrypted. It does behave
//! as quinn does wherever code above it could be wrong about that:
//!
//! - Dropping a [`SendStream`] finishes it cleanly; dropping a [`RecvStream`] stops it with code 0.
//! - A reset discards what was not read yet. Reads return a clean end after the one that reported
//!   the reset, and after a stop.
//! - A stream is accepted by the peer once its first byte or its end arrives, so a stream that was
//!   reset before is never seen.
//! - What arrived before the session ended can still be accepted and read.
//! - Stream handles keep the session open, like clones of the [`Session`].
//! - A stop does not call back what was written: it goes out until the [`SendStream`] is reset, or
//!   dropped afterwards. If that was dropped before, everything goes out.
//! - A stream whose priority changes while it waits for the link keeps its old place until its
//!   next packet has left.
//!
//! By default everything is delivered at once, inside the call that sent it. [`Config::delay`] and
//! [`Config::rate`] put a link between the ends, and [`Session::cut`] makes it fall silent. Such a
//! link keeps exact time, and wakes its readers with the resolution of tokio's timers: what is due
//! within the same millisecond arrives at its end, in order.
//!
//! ```
//! use std::time::Duration;
//!
//! use moq_relay_core::memory::{Config, pair};
//! use web_transport_trait::{RecvStream, SendStream, Session};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let delay = Duration::from_millis(20);
//! let (client, server) = pair(Config { delay, ..Config::default() });
//!
//! let mut send = client.open_uni().await?;
//! send.write_all(b"hello").await?;
//! send.finish()?;
//!
//! let mut recv = server.accept_uni().await?;
//! assert_eq!(recv.read_all().await?, "hello");
//! # Ok(())
//! # }
//! ```

mod clock;
mod config;
mod error;
mod flow;
mod link;
mod recv;
mod send;
mod session;
mod shared;
mod signals;
mod state;
mod stream;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use config::Config;
pub use error::Error;
pub use session::{Session, SessionStats};
pub use stream::{RecvStream, SendStream};

use crate::memory::shared::Shared;

/// Makes the two ends of a session.
///
/// With a delay, a rate or an idle timeout the ends need tokio's clock: the first call that leaves
/// something in flight starts one task in the tokio runtime around it, which must have time
/// enabled. The pair owns the task, and it ends with the last handle. Without a runtime around it
/// what is in flight arrives with the next call after it was due.
pub fn pair(config: Config) -> (Session, Session) {
    Session::pair(Arc::new(Shared::new(config)))
}
