//! What all groups of a relay may weigh together, and who goes when it is too much.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::shared::lock;

/// How much of the past is kept, and for how long.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CacheLimits {
    /// Bytes that all groups together may hold in memory, the index and bookkeeping of their
    /// frames included. Default 256 MiB. This is a promise: where it would be broken groups are
    /// given up, the oldest first, of tracks that hold more than their least before the others; if
    /// need be the very group that is being written is cut short.
    ///
    /// Slices that a transport has not yet sent for a subscriber come on top; they are bounded by
    /// the transport's send window.
    pub max_bytes: u64,
    /// Bytes that a track keeps, newest groups first, while other tracks have more to give up.
    /// Default 1 MiB.
    pub min_track_bytes: u64,
    /// How long a finished group stays, and up to 4 s more until it is noticed. The newest group of a
    /// track stays as long as the track. Default 30 s.
    pub max_age: Duration,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            max_bytes: 256 * 1024 * 1024,
            min_track_bytes: 1024 * 1024,
            max_age: Duration::from_secs(30),
        }
    }
}

/// The memory budget of all groups of a relay. Clones share one budget.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    shared: Arc<CacheShared>,
}

#[derive(Default)]
struct CacheShared {
    limits: CacheLimits,
    used: AtomicU64,
    /// Every group that may hold memory, oldest first.
    queue: Mutex<VecDeque<Weak<dyn Evict>>>,
    /// The number of entries in the queue above which the dead ones are swept out.
    sweep_at: AtomicU64,
}

/// Something in the cache that can be given up.
pub(super) trait Evict: Send + Sync {
    /// Frees what it holds and releases it from its account.
    fn evict(&self);
    /// Wakes its readers, after the cache is unlocked.
    fn wake(&self);
    /// The track it belongs to.
    fn account(&self) -> &Account;
    /// Its place in that track.
    fn sequence(&self) -> u64;
}

/// What one track holds of the budget.
#[derive(Debug)]
pub(super) struct Account {
    cache: Cache,
    /// Bytes that are kept while other tracks have more to give up.
    min_bytes: u64,
    held: AtomicU64,
    newest: AtomicU64,
}

/// The budget is used up, and nothing that could be given up would make enough room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Cache {
    /// Makes an empty cache with the limits given.
    pub fn new(limits: CacheLimits) -> Self {
        Self {
            shared: Arc::new(CacheShared {
                limits,
                ..CacheShared::default()
            }),
        }
    }

    /// Bytes held now, by the same count as [`CacheLimits::max_bytes`].
    pub fn used(&self) -> u64 {
        self.shared.used.load(Ordering::Relaxed)
    }

    /// The limits this cache was made with.
    pub fn limits(&self) -> &CacheLimits {
        &self.shared.limits
    }

    /// Opens the account of a live track, which keeps its newest group and its least.
    pub(super) fn open_account(&self) -> Arc<Account> {
        Arc::new(Account {
            cache: self.clone(),
            min_bytes: self.shared.limits.min_track_bytes,
            held: AtomicU64::new(0),
            newest: AtomicU64::new(0),
        })
    }

    /// Opens the account of a group of the past, which is among the first to go.
    pub(super) fn open_spare_account(&self) -> Arc<Account> {
        Arc::new(Account {
            cache: self.clone(),
            min_bytes: 0,
            held: AtomicU64::new(0),
            newest: AtomicU64::new(u64::MAX),
        })
    }

    /// Claims bytes if they are free.
    fn claim(&self, bytes: u64) -> bool {
        let max = self.shared.limits.max_bytes;
        let fits = |used: u64| used.checked_add(bytes).filter(|used| *used <= max);
        let used = &self.shared.used;
        used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_ok()
    }

    /// Gives up the oldest groups until `bytes` and a sixteenth of the budget are free: first those
    /// that their track can spare, then those of tracks that hold much, then any.
    fn make_room(&self, bytes: u64) {
        let max = self.shared.limits.max_bytes;
        let enough = (max - max / 16).saturating_sub(bytes);
        let mut evicted = Vec::new();
        {
            let mut queue = lock(&self.shared.queue);
            for need in [Need::Some, Need::Much, Need::All] {
                queue.retain(|entry| {
                    let Some(entry) = entry.upgrade() else {
                        return false;
                    };
                    if self.used() <= enough || !need.takes(&*entry) {
                        return true;
                    }
                    entry.evict();
                    evicted.push(entry);
                    false
                });
            }
        }
        for entry in evicted {
            entry.wake();
        }
    }
}

/// How badly memory is needed.
#[derive(Debug, Clone, Copy)]
enum Need {
    /// A track that holds more than its least gives up all but its newest group.
    Some,
    /// A track that holds more than its least gives up its newest group too.
    Much,
    All,
}

impl Need {
    fn takes(self, entry: &dyn Evict) -> bool {
        let account = entry.account();
        let rich = account.held.load(Ordering::Relaxed) > account.min_bytes;
        match self {
            Self::Some => rich && entry.sequence() != account.newest.load(Ordering::Relaxed),
            Self::Much => rich,
            Self::All => true,
        }
    }
}

impl Account {
    /// Claims memory before it is allocated, giving up older groups where needed.
    pub(super) fn charge(&self, bytes: u64) -> Result<(), Full> {
        if bytes > self.cache.shared.limits.max_bytes {
            return Err(Full);
        }
        if !self.cache.claim(bytes) {
            self.cache.make_room(bytes);
            if !self.cache.claim(bytes) {
                return Err(Full);
            }
        }
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Gives back what was claimed and is free again.
    pub(super) fn release(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        self.cache.shared.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Puts a new group of this track in line.
    pub(super) fn enroll(&self, sequence: u64, entry: Weak<dyn Evict>) {
        self.newest.fetch_max(sequence, Ordering::Relaxed);
        let cache = &self.cache.shared;
        let mut queue = lock(&cache.queue);
        queue.push_back(entry);
        // Sweeping at twice what was left alive last time costs each entry one visit on average.
        if queue.len() as u64 > cache.sweep_at.load(Ordering::Relaxed) {
            queue.retain(|entry| entry.strong_count() > 0);
            cache
                .sweep_at
                .store(2 * queue.len() as u64 + 1024, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for CacheShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("limits", &self.limits)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}
