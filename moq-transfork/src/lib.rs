//! MoqTransfork on the wire: messages, dialects and typed streams over any WebTransport session.
//!
//! The crate turns bytes into messages and back, in every dialect that real peers speak, and offers
//! one typed reader and writer for each kind of stream. It is generic over [`wt::Session`].
//!
//! It is not a relay: it holds no cache, spawns no task, reads no clock, and decides nothing that a
//! protocol does not decide. It needs no async runtime and compiles for `wasm32-unknown-unknown`.
//!
//! Start with [`setup::accept`] or [`setup::connect`], which agree on a [`Dialect`]; then
//! [`stream::Request`] for what a peer asks, [`stream::subscribe()`] and its siblings for what we ask,
//! and [`stream::GroupReader`] and [`stream::GroupWriter`] for the data.
//!
//! ```
//! use moq_transfork::{Dialect, Filter, setup, stream, wt};
//!
//! /// Prints what a peer publishes, as it comes and goes.
//! async fn list<S: wt::Session>(session: &S) -> Result<(), Box<dyn std::error::Error>> {
//!     let established = setup::connect(session, &[Dialect::Draft03, Dialect::Fork04]).await?;
//!     let dialect = established.dialect;
//!     let (_request, mut tracks) = stream::announce(session, dialect, Filter::any()).await?;
//!     while let Some(announce) = tracks.next().await? {
//!         println!("{announce:?}");
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Hostile input
//!
//! Decoding never panics and never allocates more than the bytes that have arrived justify. Every
//! length has a named limit: [`path::MAX_PARTS`], [`path::MAX_BYTES`], [`message::MAX_VERSIONS`],
//! [`message::MAX_EXTENSIONS`], [`message::MAX_EXTENSION_BYTES`], [`coding::MAX_MESSAGE_BYTES`] and
//! [`frame::MAX_FRAME_SIZE`]. A message that arrives one byte at a time is looked at once per byte.

pub use web_transport_trait as wt;

pub mod code;
pub mod coding;
pub mod detect;
pub mod dialect;
pub mod filter;
pub mod frame;
pub mod message;
pub mod path;
pub mod setup;
pub mod stream;

pub use code::Code;
pub use dialect::Dialect;
pub use filter::Filter;
pub use path::Path;
