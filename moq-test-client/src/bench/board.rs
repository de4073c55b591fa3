//! Where everyone in a benchmark writes what happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use super::latency::{Latency, Quantiles};
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
    /// Whole frames that came to subscribers who count.
    pub(super) delivered: Counter,
    /// Rings with each of them.
    pub(super) arrived: Notify,
    /// When listeners knew all tracks, in microseconds since the first was published.
    pub(super) announced: Mutex<Latency>,
    /// From when a frame was due to when it was there, of frames due in the window.
    latency: Mutex<Latency>,
    /// From the request to the first whole frame.
    join: Mutex<Latency>,
    /// How much of that was more than the path's round trip.
    beyond: Mutex<Latency>,
    /// The path's round trip as the transport knew it when the first frame was there.
    round_trip: Mutex<Latency>,
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
            delivered: Counter::default(),
            arrived: Notify::new(),
            announced: Mutex::default(),
            latency: Mutex::default(),
            join: Mutex::default(),
            beyond: Mutex::default(),
            round_trip: Mutex::default(),
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

    /// Takes a whole frame of a group; `round_trip` is asked for with the first.
    pub(super) fn frame(
        &self,
        to: &Subscription,
        group: u64,
        index: u32,
        frame: &[u8],
        round_trip: impl FnOnce() -> Duration,
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
                self.joined(now.saturating_sub(to.asked), round_trip());
            }
            self.delivered.count();
            self.arrived.notify_one();
        }
        Some(stamp)
    }

    fn joined(&self, took: u64, round_trip: Duration) {
        let round_trip = round_trip.as_micros() as u64;
        lock(&self.join).record(took);
        lock(&self.beyond).record(took.saturating_sub(round_trip));
        lock(&self.round_trip).record(round_trip);
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

    /// Returns the latencies of frames, which are due in the window.
    pub(super) fn latency(&self) -> Quantiles {
        lock(&self.latency).quantiles()
    }

    /// Returns how long joining took, how much of it was more than a round trip, and that.
    pub(super) fn joins(&self) -> [Quantiles; 3] {
        [&self.join, &self.beyond, &self.round_trip].map(|latency| lock(latency).quantiles())
    }

    /// Returns how late this program itself wrote.
    pub(super) fn lag(&self) -> Quantiles {
        lock(&self.lag).quantiles()
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
