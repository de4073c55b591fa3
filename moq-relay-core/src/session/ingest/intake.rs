//! Where the groups of one SUBSCRIBE of ours go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::error::Error;
use crate::model::group::GroupProducer;
use crate::model::track::TrackProducer;

/// Where the groups of one SUBSCRIBE of ours go.
pub(in crate::session) struct Intake {
    track: Arc<TrackProducer>,
    /// The last group that is still taken in.
    last: AtomicU64,
    open: TaskTracker,
}

impl Intake {
    pub(super) fn new(track: Arc<TrackProducer>) -> Self {
        Self {
            track,
            last: AtomicU64::new(u64::MAX),
            open: TaskTracker::new(),
        }
    }

    /// Starts a group of the track; the token is to be kept for as long as it is received.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if groups this new come by another SUBSCRIBE, or as
    /// [`TrackProducer::create_group`].
    pub(super) fn begin(&self, sequence: u64) -> Result<(GroupProducer, TaskTrackerToken), Error> {
        if sequence > self.last.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        Ok((self.track.create_group(sequence)?, self.open.token()))
    }

    /// Takes in no group after `last` any more.
    pub(super) fn close_after(&self, last: u64) {
        self.last.store(last, Ordering::Relaxed);
    }

    /// Waits until no group is being received.
    pub(super) async fn idle(&self) {
        self.open.close();
        self.open.wait().await;
    }
}
