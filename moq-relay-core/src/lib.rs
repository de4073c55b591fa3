//! A MoqTransfork relay without its sockets.
//!
//! This crate fetches every live track once, keeps its recent groups, and fans them out to any
//! number of subscribers. It works over anything that implements [`web_transport_trait::Session`].
//! It is **not** aware of QUIC, TLS, HTTP, command lines or any byte of a payload.
//!
//! Start with one of these:
//!
//! - [`relay::Relay`]: give it every session you accept, and it connects their publishers to
//!   their subscribers.
//! - [`session::connect`]: be a client; what the other side publishes is a [`source::Source`].
//! - [`tracks::Tracks`]: publish from this process; [`model::track::TrackProducer`] writes a track
//!   and [`model::consumer::TrackConsumer`] reads one.
//!
//! # Publish and subscribe in one process
//!
//! ```
//! use moq_relay_core::model::{subscription::Subscription, track::TrackInfo};
//! use moq_relay_core::relay::{Relay, RelayConfig};
//! use moq_relay_core::source::Source;
//! use moq_transfork::path::Path;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let relay = Relay::new(RelayConfig::default());
//! let path: Path = "demo/greetings".parse()?;
//!
//! let track = relay.publish(path.clone(), TrackInfo::default())?;
//! let mut reader = relay.origin().track(&path, Subscription::default())?;
//!
//! let mut group = track.append_group()?;
//! group.write_frame("hello")?;
//! group.finish()?;
//! track.finish();
//!
//! let mut group = reader.next_group().await?.expect("one group was published");
//! assert_eq!(group.next_frame().await?.as_deref(), Some(&b"hello"[..]));
//! assert_eq!(group.next_frame().await?, None);
//! # Ok(())
//! # }
//! ```

pub mod announced;
pub mod error;
pub mod limits;
pub mod memory;
pub mod model;
pub mod origin;
pub mod relay;
pub mod role;
pub mod session;
mod shared;
pub mod source;
pub mod stats;
pub mod tracks;
pub mod visit;
