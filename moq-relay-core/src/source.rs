//! Something that tracks can be had from: a peer, this process, or everyone together.

use futures_util::future::BoxFuture;
use moq_transfork::message::Priority;
use moq_transfork::path::Path;

use crate::announced::Announced;
use crate::error::Error;
use crate::model::consumer::TrackConsumer;
use crate::model::group::GroupConsumer;
use crate::model::subscription::Subscription;
use crate::model::track::Latest;

/// Something that tracks can be had from.
///
/// What a [peer](crate::session::Peer) publishes is a source, the
/// [tracks](crate::tracks::Tracks) of this process are one, and so is the
/// [origin](crate::origin::Origin), where all of them meet.
pub trait Source: Send + Sync + 'static {
    /// Returns a reader of the track at `path`.
    ///
    /// All readers that a source hands out of one path share one subscription to whoever
    /// publishes it.
    ///
    /// # Errors
    /// [`Error::NotFound`] if nobody publishes it, as far as that is known at once; otherwise the
    /// reader's own calls fail.
    fn track(&self, path: &Path, subscription: Subscription) -> Result<TrackConsumer, Error>;

    /// Follows the paths published below `prefix`.
    fn announced(&self, prefix: &Path) -> Announced;

    /// Asks what a track is, without subscribing.
    fn info<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Latest, Error>>;

    /// Gets one group that is in the past.
    fn fetch<'a>(
        &'a self,
        request: &'a FetchRequest,
    ) -> BoxFuture<'a, Result<GroupConsumer, Error>>;
}

/// Which part of the past is wanted (draft-03, FETCH).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// The track.
    pub path: Path,
    /// Higher goes first, over everything in the session.
    pub priority: Priority,
    /// The group.
    pub group: u64,
    /// The first frame of the group that is wanted, counted from 0.
    pub frame: u64,
}
