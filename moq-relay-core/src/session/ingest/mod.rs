//! What we ask of a peer: announcements, subscriptions and their groups, single requests.

use moq_transfork::message::Info;
use moq_transfork::stream::StreamError;

use crate::error::Error;

pub(super) mod announce;
pub(super) mod group;
pub(super) mod intake;
pub(super) mod request;
pub(super) mod subscribe;
mod upstream;

/// The newest group that the publisher has, as far as INFO can say it: 0 may also mean none yet.
fn known_latest(info: &Info) -> Option<u64> {
    Some(info.latest).filter(|latest| *latest > 0)
}

/// What the failure of a stream says of the track: if the session is gone, its publisher is.
fn lost(error: StreamError) -> Error {
    if matches!(error, StreamError::Session { .. }) {
        Error::Dropped
    } else {
        error.into()
    }
}
