//! What a session and its handle tell each other of its state.

use std::sync::Arc;

use crate::shared::Shared;
use crate::stats::Counter;

/// What a session and its handle tell each other of its state.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
    pub(crate) state: Shared<TallyState>,
}

#[derive(Debug, Default)]
pub(crate) struct TallyState {
    /// Everything that the peer published at the start is in the directory.
    pub(crate) live: bool,
    /// What the peer publishes is not wanted any more.
    pub(crate) retired: bool,
    /// The session has ended.
    pub(crate) gone: bool,
    /// Requests for announcements of ours that are being served.
    pub(crate) followers: usize,
    /// True once there was one.
    pub(crate) followed: bool,
    /// Subscriptions of the peer that are being served.
    pub(crate) subscriptions: usize,
    /// Subscriptions at the peer.
    pub(crate) upstreams: usize,
}

/// Counts the peer as one who follows our announcements.
pub(crate) struct Following<'a>(&'a Tally);

/// Counts a subscription of the peer.
pub(crate) struct Subscribed(Arc<Tally>);

impl Tally {
    pub(crate) fn follow(&self) -> Following<'_> {
        self.state.change(|state| {
            state.followers += 1;
            state.followed = true;
        });
        Following(self)
    }

    pub(crate) fn upstream_begins(&self) {
        self.state.change(|state| state.upstreams += 1);
    }

    pub(crate) fn upstream_ends(&self) {
        self.state.change(|state| state.upstreams -= 1);
    }

    pub(crate) fn subscribe(self: &Arc<Self>) -> Subscribed {
        self.state.change(|state| state.subscriptions += 1);
        Subscribed(self.clone())
    }
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        self.0.state.change(|state| state.followers -= 1);
    }
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        self.0.state.change(|state| state.subscriptions -= 1);
    }
}
