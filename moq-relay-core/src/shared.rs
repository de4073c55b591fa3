//! A value under a lock, and a bell that wakes whoever waits for it to change.

use std::future::poll_fn;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::shared::waiting::Waiting;

mod waiting;

/// A value that synchronous code changes and asynchronous code waits on.
///
/// The lock is never held across an await, and the bell rings only after the lock is released. Where
/// many wait, they are woken a few at a time.
#[derive(Debug, Default)]
pub(crate) struct Shared<T> {
    inner: Mutex<Inner<T>>,
    /// How often the bell has rung; it changes under the lock.
    rings: AtomicU64,
}

/// The value, locked.
pub(crate) struct Locked<'a, T> {
    inner: MutexGuard<'a, Inner<T>>,
    rings: &'a AtomicU64,
}

/// Whoever waits has a seat. If it does not wait any more before the bell rings, it leaves the seat
/// with [`Shared::leave`]: until then that keeps its waker, and with it what its task owns.
///
/// Clones wait on their own.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    /// Which ring it waits for; 0 is none.
    ring: u64,
    key: usize,
}

#[derive(Debug, Default)]
struct Inner<T> {
    value: T,
    waiting: Waiting,
}

/// Locks a value.
///
/// A poisoned lock is taken over: every change leaves the state whole before it can panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            inner: Mutex::new(Inner {
                value,
                waiting: Waiting::default(),
            }),
            rings: AtomicU64::new(0),
        }
    }

    /// Locks the value for reading, or for changes that nobody waits for.
    pub(crate) fn lock(&self) -> Locked<'_, T> {
        Locked {
            inner: lock(&self.inner),
            rings: &self.rings,
        }
    }

    /// Changes the value, then wakes everyone who waits.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut locked = self.lock();
        let result = change(&mut locked);
        locked.unlock_and_ring();
        result
    }

    /// Wakes everyone who waits.
    pub(crate) fn ring(&self) {
        self.lock().unlock_and_ring();
    }

    /// Returns what `check` does, or takes a seat to be woken at the next ring.
    pub(crate) fn poll<R>(
        &self,
        seat: &mut Seat,
        cx: &Context<'_>,
        check: impl FnOnce(&mut T) -> Option<R>,
    ) -> Poll<R> {
        let mut locked = self.lock();
        match check(&mut locked) {
            Some(result) => Poll::Ready(result),
            None => {
                locked.wait(seat, cx.waker());
                Poll::Pending
            }
        }
    }

    /// True if the bell has not rung since the seat was taken. Takes no lock.
    pub(crate) fn is_quiet(&self, seat: &Seat) -> bool {
        seat.ring == self.rings.load(Ordering::Acquire) + 1
    }

    /// Gives up a seat.
    pub(crate) fn leave(&self, seat: &mut Seat) {
        if seat.ring != 0 {
            let left = self.lock().leave(seat);
            drop(left);
        }
    }

    /// Waits until `check` returns something. Cancel-safe.
    pub(crate) async fn wait<R>(&self, mut check: impl FnMut(&mut T) -> Option<R>) -> R {
        let mut guest = Guest {
            shared: self,
            seat: Seat::default(),
        };
        poll_fn(|cx| self.poll(&mut guest.seat, cx, &mut check)).await
    }
}

impl<T> Locked<'_, T> {
    /// Takes a seat, or keeps the one it has, and unlocks.
    pub(crate) fn wait(mut self, seat: &mut Seat, waker: &Waker) {
        let next = self.rings.load(Ordering::Relaxed) + 1;
        let outdated = if seat.ring == next {
            self.inner.waiting.replace(seat.key, waker)
        } else {
            seat.ring = next;
            seat.key = self.inner.waiting.insert(waker);
            None
        };
        drop(self);
        // Outside the lock: it may be the last of its task, and what that owns may want the lock.
        drop(outdated);
    }

    /// Returns the waker to be dropped once the lock is released: it may be the last of its task.
    fn leave(&mut self, seat: &mut Seat) -> Option<Waker> {
        let Seat { ring, key } = std::mem::take(seat);
        let is_taken = ring == self.rings.load(Ordering::Relaxed) + 1;
        is_taken.then(|| self.inner.waiting.remove(key))?
    }

    fn unlock_and_ring(mut self) {
        self.rings.fetch_add(1, Ordering::Release);
        let woken = self.inner.waiting.take();
        drop(self);
        woken.wake();
    }
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner.value
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner.value
    }
}

impl Clone for Seat {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Gives its seat up when it is dropped.
struct Guest<'a, T> {
    shared: &'a Shared<T>,
    seat: Seat,
}

impl<T> Drop for Guest<'_, T> {
    fn drop(&mut self) {
        self.shared.leave(&mut self.seat);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::Wake;

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    pub(crate) struct Woken(pub(crate) AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn poll(shared: &Shared<u32>, seat: &mut Seat, woken: &Arc<Woken>) -> Poll<()> {
        let waker = Waker::from(woken.clone());
        let cx = Context::from_waker(&waker);
        shared.poll(seat, &cx, |value| (*value > 0).then_some(()))
    }

    #[test]
    fn a_ring_wakes_each_once_however_often_it_has_looked() {
        let (shared, woken) = (Shared::new(0), Arc::<Woken>::default());
        let mut seats = [Seat::default(), Seat::default()];
        for seat in &mut seats {
            assert!(poll(&shared, seat, &woken).is_pending());
            assert!(poll(&shared, seat, &woken).is_pending());
        }
        shared.change(|value| *value = 1);
        assert_eq!(woken.0.load(Relaxed), 2);
        shared.ring();
        assert_eq!(woken.0.load(Relaxed), 2);
        assert!(poll(&shared, &mut seats[0], &woken).is_ready());
    }

    #[test]
    fn the_last_task_to_look_is_the_one_that_is_woken() {
        let shared = Shared::new(0);
        let [before, after] = [(); 2].map(|()| Arc::<Woken>::default());
        let mut seat = Seat::default();
        assert!(poll(&shared, &mut seat, &before).is_pending());
        assert!(poll(&shared, &mut seat, &after).is_pending());
        shared.ring();
        assert_eq!([before, after].map(|woken| woken.0.load(Relaxed)), [0, 1]);
    }

    #[test]
    fn whoever_leaves_is_forgotten() {
        let (shared, woken) = (Shared::new(0), Arc::<Woken>::default());
        for _ in 0..100 {
            let mut seat = Seat::default();
            assert!(poll(&shared, &mut seat, &woken).is_pending());
            shared.leave(&mut seat);
            shared.leave(&mut seat);
        }
        assert_eq!(Arc::strong_count(&woken), 1);
        shared.ring();
        assert_eq!(woken.0.load(Relaxed), 0);
    }

    #[test]
    fn a_seat_of_before_the_ring_is_nobody_elses() {
        let (shared, woken) = (Shared::new(0), Arc::<Woken>::default());
        let [mut old, mut new] = [Seat::default(), Seat::default()];
        assert!(poll(&shared, &mut old, &woken).is_pending());
        shared.ring();
        assert!(poll(&shared, &mut new, &woken).is_pending());
        shared.leave(&mut old);
        shared.ring();
        assert_eq!(woken.0.load(Relaxed), 2);
    }
}
