//! One typed reader and writer for each kind of stream.
//!
//! What a peer opens is read by [`Request::accept`] and [`GroupReader::accept`]; what we open is
//! made by [`announce()`], [`subscribe()`], [`fetch()`], [`info()`] and [`GroupWriter::open`].
//!
//! An end is clean only if someone said so. A writer that is dropped without `finish` resets its
//! stream with [`Code::DROPPED`](crate::Code::DROPPED), and a reader that is dropped before the end
//! stops it with [`Code::CANCEL`](crate::Code::CANCEL).
//!
//! Reading is cancel-safe: a future may be dropped and the call repeated without loss. Writing is
//! not: a future that is dropped may have written any part, so the stream is to be dropped too.

mod announce;
mod error;
mod fetch;
mod group;
mod info;
mod open;
mod reader;
mod request;
mod subscribe;
mod writer;

pub use announce::{AnnounceReader, AnnounceRequest, AnnounceWriter, RequestReader, announce};
pub use error::StreamError;
pub use fetch::{FetchReader, FetchRequest, FetchWriter, fetch};
pub use group::{GroupReader, GroupWriter};
pub use info::{InfoWriter, info};
pub(crate) use open::open;
pub use reader::Reader;
pub use request::Request;
pub use subscribe::{
    SubscribeReader, SubscribeReplies, SubscribeRequest, SubscribeWriter, subscribe,
};
pub use writer::Writer;
