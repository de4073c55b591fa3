//! Every message of the protocol, one struct each.
//!
//! A field that a dialect lacks is left out when encoding and has its neutral value after decoding.

mod announce;
mod extensions;
mod fetch;
mod group;
mod info;
mod order;
mod priority;
mod session;
mod stream_type;
mod subscribe;

pub use announce::{Announce, AnnouncePlease};
pub use extensions::{Extensions, MAX_EXTENSION_BYTES, MAX_EXTENSIONS};
pub use fetch::{Fetch, FetchUpdate};
pub use group::{GroupHeader, SubscribeGap};
pub use info::{Info, InfoPlease};
pub use order::GroupOrder;
pub use priority::Priority;
pub use session::{MAX_VERSIONS, SessionClient, SessionServer, SessionUpdate};
pub use stream_type::{StreamType, UniType};
pub use subscribe::{Subscribe, SubscribeUpdate};
