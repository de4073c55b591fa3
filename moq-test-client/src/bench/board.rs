//! Where everyone in a benchmark writes what happened.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use super::latency::{Latency, Quantiles};
use super::tally::{Counts, Fresh, GroupEnd, Tally};
use crate::payload::{self, Stamp};

/// Where everyone writes what happened, on one or two threads: the locks are hardly contended.
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
    /// When it is measured, and how long frames took that were due then.
    windows: Mutex<Vec<Window>>,
    /// From the request to the first whole frame.
    join: Mutex<Latency>,
    /// How much of that was more than the path's round trip.
    beyond: Mutex<Latency>,
    /// The path's round trip as the transport knew it when the first frame was there.
    round_trip: Mutex<Latency>,
    /// From when a frame was due to when it was written: how late this program itself was.
    lag: Mutex<Latency>,
    subscriptions: Mutex<Vec<Arc<Subscription>>>,
}

/// A time in which it is measured.
struct Window {
    /// In microseconds since the Unix epoch.
    due: Range<u64>,
    company: Company,
    /// From when a frame was due to when it was there, of frames due in the window.
    latency: Latency,
}

/// Whom the subscribers that count have beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// Whoever is always there.
    Usual,
    /// Slow readers, who come and go.
    Slow,
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
    /// Whether it has ended of its own accord, and is owed nothing more.
    left: AtomicBool,
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
            windows: Mutex::default(),
            join: Mutex::default(),
            beyond: Mutex::default(),
            round_trip: Mutex::default(),
            lag: Mutex::default(),
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
            left: AtomicBool::new(false),
            tally: Mutex::default(),
        });
        lock(&self.subscriptions).push(Arc::clone(&subscription));
        subscription
    }

    /// Measures what is due from now on.
    pub(super) fn open_window(&self, company: Company) {
        lock(&self.windows).push(Window {
            due: now_micros()..u64::MAX,
            company,
            latency: Latency::default(),
        });
    }

    /// Measures nothing any more that is due from now on.
    pub(super) fn close_window(&self) {
        if let Some(window) = lock(&self.windows).last_mut() {
            window.due.end = now_micros();
        }
    }

    /// Does something with the window that a frame was due in: the last as a rule, but one that
    /// comes very late belongs to one before.
    fn measured(&self, due: u64, note: impl FnOnce(&mut Window)) {
        let mut windows = lock(&self.windows);
        let mut newest_first = windows.iter_mut().rev();
        newest_first
            .find(|window| window.due.contains(&due))
            .map(note);
    }

    /// Takes a frame that was written now and due then.
    pub(super) fn wrote(&self, due: u64) {
        self.published.count();
        self.measured(due, |_window| {
            lock(&self.lag).record(now_micros().saturating_sub(due));
        });
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
            self.measured(stamp.micros, |window| {
                window.latency.record(now.saturating_sub(stamp.micros));
            });
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
            if subscription.left.load(Relaxed) {
                continue;
            }
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

    /// Returns the latencies of frames that were due in a window with this company.
    pub(super) fn latency(&self, company: Company) -> Quantiles {
        let mut all = Latency::default();
        for window in lock(&self.windows).iter() {
            if window.company == company {
                all.add(&window.latency);
            }
        }
        all.quantiles()
    }

    /// Returns the latencies of each window.
    pub(super) fn windows(&self) -> Vec<Quantiles> {
        let windows = lock(&self.windows);
        windows
            .iter()
            .map(|window| window.latency.quantiles())
            .collect()
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

    /// Ends it: what is under way is not waited for.
    pub(super) fn leave(&self) {
        self.left.store(true, Relaxed);
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
