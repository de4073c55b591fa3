//! A value under a lock, and a bell that wakes whoever waits for it to change.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// A value that synchronous code changes and asynchronous code waits on.
///
/// The lock is never held across an await, and the bell rings only after the lock is released.
#[derive(Debug, Default)]
pub(crate) struct Shared<T> {
    state: Mutex<T>,
    bell: Notify,
}

impl<T> Shared<T> {
    pub(crate) fn new(state: T) -> Self {
        Self {
            state: Mutex::new(state),
            bell: Notify::new(),
        }
    }

    /// Locks the value for reading, or for changes that nobody waits for.
    ///
    /// A poisoned lock is taken over: every change leaves the state whole before it can panic.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the value, then wakes everyone who waits.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.ring();
        result
    }

    /// Wakes everyone who waits.
    pub(crate) fn ring(&self) {
        self.bell.notify_waiters();
    }

    /// Returns a future that ends at the next ring, counted from this call.
    pub(crate) fn rung(&self) -> Notified<'_> {
        self.bell.notified()
    }

    /// Waits until `check` returns something. Cancel-safe.
    pub(crate) async fn wait<R>(&self, mut check: impl FnMut(&mut T) -> Option<R>) -> R {
        loop {
            // Made before the check: a ring between the two is not missed.
            let rung = self.rung();
            if let Some(result) = check(&mut self.lock()) {
                return result;
            }
            rung.await;
        }
    }
}
