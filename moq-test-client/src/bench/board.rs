//! Where everyone in a benchmark writes what happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::latency::Latency;
use super::tally::{Counts, Fresh, GroupEnd, Tally};
use crate::payload::{self, Stamp};

/// Where everyone writes what happened. All of one thread: the locks are never contended.
pub(super) struct Board {
    /// Sessions that stand.
    pub(super) connections: Counter,
    /// Sessions that did not come about, or ended before their time.
    pub(super) failed: Counter,
    /// Subscriptions that the relay has answered.
    pub(super) subscribed: Counter,
    /// Frames that were published.
    pub(super) published: Counter,
    /// When listeners knew all tracks, in microseconds since the first was published.
    pub(super) announced: Mutex<Latency>,
    /// From when a frame was due to when it was there, of frames due in the window.
    latency: Mutex<Latency>,
    /// From the request to the first whole frame.
    join: Mutex<Latency>,
    /// From when a frame was due to when it was written: how late this program itself was.
    lag: Mutex<Latency>,
    /// When measuring began and ends, in microseconds since the Unix epoch.
    window: (AtomicU64, AtomicU64),
    subscriptions: Mutex<Vec<Arc<Subscription>>>,
}

/// A number that everyone adds to.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

/// One subscription's account.
pub(super) struct Subscription {
    /// Which track it is to.
    pub(super) track: usize,
    /// Whether it counts, or is a slow reader's.
    counts: bool,
    /// When it was asked for.
    asked: u64,
    joined: AtomicBool,
    tally: Mutex<Tally>,
}

/// What is on the board.
pub(super) struct Reading {
    pub(super) counts: Counts,
    pub(super) slow_frames: u64,
    pub(super) silent: u64,
}

impl Counter {
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Default for Board {
    fn default() -> Self {
        Self {
            connections: Counter::default(),
            failed: Counter::default(),
            subscribed: Counter::default(),
            published: Counter::default(),
            announced: Mutex::default(),
            latency: Mutex::default(),
            join: Mutex::default(),
            lag: Mutex::default(),
            window: (AtomicU64::new(u64::MAX), AtomicU64::new(u64::MAX)),
            subscriptions: Mutex::default(),
        }
    }
}

impl Board {
    /// Opens an account; `counts` says whether it is in the totals.
    pub(super) fn subscribe(&self, track: usize, counts: bool) -> Arc<Subscription> {
        let subscription = Arc::new(Subscription {
            track,
            counts,
            asked: now_micros(),
            joined: AtomicBool::new(false),
            tally: Mutex::default(),
        });
        lock(&self.subscriptions).push(Arc::clone(&subscription));
        subscription
    }

    /// Measures what is due from now on.
    pub(super) fn open_window(&self) {
        self.window.0.store(now_micros(), Relaxed);
    }

    /// Measures nothing any more that is due from now on.
    pub(super) fn close_window(&self) {
        self.window.1.store(now_micros(), Relaxed);
    }

    fn in_window(&self, due: u64) -> bool {
        (self.window.0.load(Relaxed)..self.window.1.load(Relaxed)).contains(&due)
    }

    /// Takes a frame that was written now and due then.
    pub(super) fn wrote(&self, due: u64) {
        self.published.count();
        if self.in_window(due) {
            lock(&self.lag).record(now_micros().saturating_sub(due));
        }
    }

    /// Takes a whole frame of a group.
    pub(super) fn frame(
        &self,
        to: &Subscription,
        group: u64,
        index: u32,
        frame: &[u8],
    ) -> Option<Stamp> {
        let stamp = payload::decode(frame).ok().filter(|stamp| {
            stamp.stream == to.track as u64 && stamp.group == group && stamp.frame == index
        });
        let Some(stamp) = stamp else {
            lock(&to.tally).corrupt();
            return None;
        };
        lock(&to.tally).frame(frame.len());
        if to.counts {
            let now = now_micros();
            if self.in_window(stamp.micros) {
                lock(&self.latency).record(now.saturating_sub(stamp.micros));
            }
            if !to.joined.swap(true, Relaxed) {
                lock(&self.join).record(now.saturating_sub(to.asked));
            }
        }
        Some(stamp)
    }

    /// Accounts for groups that can still be known at the end: `last` is the newest of each track,
    /// where it was published here, and groups that have begun are given up.
    pub(super) fn close(&self, last: impl Fn(usize) -> Option<u64>) {
        for subscription in lock(&self.subscriptions).iter() {
            let mut tally = lock(&subscription.tally);
            if let Some(last) = last(subscription.track) {
                tally.prove(last);
            }
            tally.give_up();
        }
    }

    /// Adds up.
    pub(super) fn read(&self) -> Reading {
        let mut reading = Reading {
            counts: Counts::default(),
            slow_frames: 0,
            silent: 0,
        };
        for subscription in lock(&self.subscriptions).iter() {
            let tally = lock(&subscription.tally);
            if subscription.counts {
                reading.counts.add(&tally.counts());
                reading.silent += u64::from(!tally.has_begun());
            } else {
                reading.slow_frames += tally.counts().frames;
            }
        }
        reading
    }

    /// Returns the latencies of frames, of joining, and of writing.
    pub(super) fn latencies(&self) -> [super::latency::Quantiles; 3] {
        [&self.latency, &self.join, &self.lag].map(|latency| lock(latency).quantiles())
    }
}

impl Subscription {
    pub(super) fn begin(&self, group: u64) -> Fresh {
        lock(&self.tally).begin(group)
    }

    pub(super) fn end(&self, end: GroupEnd) {
        lock(&self.tally).end(end);
    }

    pub(super) fn prove(&self, group: u64) {
        lock(&self.tally).prove(group);
    }
}

/// Microseconds since the Unix epoch: the one clock that all processes of a machine share.
pub(super) fn now_micros() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
