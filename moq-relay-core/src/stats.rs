//! Counters of what a relay does, cheap enough to be always on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of a relay, which its sessions count in.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) sessions: Counter,
    pub(crate) sessions_total: Counter,
    pub(crate) subscriptions: Counter,
    pub(crate) subscriptions_total: Counter,
    pub(crate) upstreams: Counter,
    pub(crate) upstreams_total: Counter,
    pub(crate) fetches_total: Counter,
    pub(crate) groups_received: Counter,
    pub(crate) groups_cut: Counter,
    pub(crate) groups_delivered: Counter,
    pub(crate) groups_given_up: Counter,
    pub(crate) bytes_received: Counter,
    pub(crate) bytes_delivered: Counter,
    pub(crate) announce_errors: Counter,
    pub(crate) announcements_received: Counter,
    pub(crate) announcements_sent: Counter,
    pub(crate) announcements_refused: Counter,
    pub(crate) nodes: Counter,
}

/// A number that many tasks add to.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

/// What the counters of a relay said at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Sessions that are open.
    pub sessions: u64,
    /// Sessions that were ever opened.
    pub sessions_total: u64,
    /// Subscriptions of peers that are served now.
    pub subscriptions: u64,
    /// Subscriptions of peers that were ever served.
    pub subscriptions_total: u64,
    /// Subscriptions at publishers that are open now.
    pub upstreams: u64,
    /// Subscriptions at publishers that were ever opened.
    pub upstreams_total: u64,
    /// Groups that were ever fetched from publishers.
    pub fetches_total: u64,
    /// Paths that are published.
    pub announced: u64,
    /// Groups that arrived whole.
    pub groups_received: u64,
    /// Groups that were cut short on their way here.
    pub groups_cut: u64,
    /// Groups that subscribers acknowledged whole, counted once for each subscriber.
    pub groups_delivered: u64,
    /// Groups that were given up for a subscriber: cut short, expired, evicted or outrun.
    pub groups_given_up: u64,
    /// Bytes of groups that arrived, in wire form.
    pub bytes_received: u64,
    /// Bytes of groups that were handed to transports, in wire form.
    pub bytes_delivered: u64,
    /// Announcements that made no sense and were passed over.
    pub announce_errors: u64,
    /// Announcements that peers made, of paths that come and of paths that go.
    pub announcements_received: u64,
    /// Announcements that peers were sent, counted once for each peer.
    pub announcements_sent: u64,
    /// Announcements of paths that the peer may not publish, and that were passed over.
    pub announcements_refused: u64,
    /// Sessions with other relays that are open.
    pub nodes: u64,
    /// Bytes that the cache holds.
    pub cache_bytes: u64,
}

/// Counts something for as long as it lives.
#[derive(Debug)]
pub(crate) struct Gauge {
    stats: Arc<Stats>,
    counter: fn(&Stats) -> &Counter,
}

impl Stats {
    /// Adds one to a counter until the gauge is dropped.
    pub(crate) fn gauge(self: &Arc<Self>, counter: fn(&Self) -> &Counter) -> Gauge {
        counter(self).add(1);
        Gauge {
            stats: self.clone(),
            counter,
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            sessions: self.sessions.value(),
            sessions_total: self.sessions_total.value(),
            subscriptions: self.subscriptions.value(),
            subscriptions_total: self.subscriptions_total.value(),
            upstreams: self.upstreams.value(),
            upstreams_total: self.upstreams_total.value(),
            fetches_total: self.fetches_total.value(),
            groups_received: self.groups_received.value(),
            groups_cut: self.groups_cut.value(),
            groups_delivered: self.groups_delivered.value(),
            groups_given_up: self.groups_given_up.value(),
            bytes_received: self.bytes_received.value(),
            bytes_delivered: self.bytes_delivered.value(),
            announce_errors: self.announce_errors.value(),
            announcements_received: self.announcements_received.value(),
            announcements_sent: self.announcements_sent.value(),
            announcements_refused: self.announcements_refused.value(),
            nodes: self.nodes.value(),
            announced: 0,
            cache_bytes: 0,
        }
    }
}

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        (self.counter)(&self.stats).subtract(1);
    }
}
