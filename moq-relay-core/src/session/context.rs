//! What all sessions of a relay share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::limits::Limits;
use crate::model::cache::{Cache, CacheLimits};
use crate::stats::Stats;

/// What all sessions of a relay share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) limits: Limits,
    pub(crate) cache: Cache,
    pub(crate) stats: Arc<Stats>,
    /// Cancelled when no subscription may start another group.
    pub(crate) draining: CancellationToken,
    /// Cancelled when every session has to close.
    pub(crate) closing: CancellationToken,
    /// The subscriptions that are being served.
    pub(crate) feeds: TaskTracker,
}

impl Context {
    pub(crate) fn new(limits: Limits, cache: CacheLimits) -> Self {
        Self {
            limits,
            cache: Cache::new(cache),
            stats: Arc::default(),
            draining: CancellationToken::new(),
            closing: CancellationToken::new(),
            feeds: TaskTracker::new(),
        }
    }
}
