//! Tasks that wait for the same thing, and how they are woken.
//!
//! A reader that is woken gives its connection something to send, which is another task. If all readers
//! ran before the first connection did, the first subscriber would wait for the last, and each
//! connection would have left the processor's cache in between. So a few are woken at a time, and the
//! next once those had their turn and what they woke is in the queue.
//!
//! With a single-threaded runtime on each thread, each wakes its own: a wake-up of another thread is a
//! system call, so there is one for all.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

use slab::Slab;
use tokio::runtime::Handle;

/// How many are woken at a time. Among 100 subscribers of one track, the median latency is the same
/// with 4 as with 8, and a twentieth more with 16.
const BATCH: usize = 8;

/// The most turns that it takes to wake all: each includes whatever else is to be run.
const TURNS: usize = 64;

/// Tasks that wait for the same thing.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    tasks: Slab<Task>,
    /// Where they are to be woken, once they are too many to be woken at once.
    homes: Vec<Home>,
    /// How many waited the last time: as many will, and have room from the start.
    waited: usize,
}

/// A task, and the thread it was on when it came to wait.
#[derive(Debug)]
struct Task {
    waker: Waker,
    thread: ThreadId,
}

/// A thread that tasks are on.
#[derive(Debug)]
struct Home {
    thread: ThreadId,
    runtime: Handle,
}

/// Tasks that are to be woken on one thread, a few at a time. If it is dropped, all are woken.
///
/// It is a task that nobody owns: it lasts only until all are woken, and those who wait may be of
/// many sessions.
struct Round {
    home: Home,
    wakers: VecDeque<Waker>,
    /// How many are woken at a time.
    batch: usize,
}

impl Waiting {
    /// Adds a task; the key is for [`replace`](Self::replace) and [`remove`](Self::remove).
    pub(super) fn insert(&mut self, waker: &Waker) -> usize {
        if self.tasks.capacity() == 0 {
            self.tasks.reserve_exact(self.waited.max(1));
        }
        let thread = thread::current().id();
        let is_home = |home: &Home| home.thread == thread;
        if self.tasks.len() >= BATCH
            && !self.homes.iter().any(is_home)
            && let Ok(runtime) = Handle::try_current()
        {
            self.homes.push(Home { thread, runtime });
        }
        let waker = waker.clone();
        self.tasks.insert(Task { waker, thread })
    }

    /// Has a task woken in place of another, whose waker is returned if it is not the same.
    pub(super) fn replace(&mut self, key: usize, waker: &Waker) -> Option<Waker> {
        let task = self.tasks.get_mut(key)?;
        let is_same = task.waker.will_wake(waker);
        (!is_same).then(|| std::mem::replace(&mut task.waker, waker.clone()))
    }

    pub(super) fn remove(&mut self, key: usize) -> Option<Waker> {
        Some(self.tasks.try_remove(key)?.waker)
    }

    /// Takes all of them, to be woken once nothing is locked.
    pub(super) fn take(&mut self) -> Self {
        let waited = self.tasks.len();
        let rest = Self {
            waited,
            ..Self::default()
        };
        std::mem::replace(self, rest)
    }

    /// Wakes all of them, many in turns.
    pub(super) fn wake(self) {
        if self.tasks.len() <= BATCH {
            for (_, task) in self.tasks {
                task.waker.wake();
            }
            return;
        }
        let mut rounds: Vec<_> = self.homes.into_iter().map(Round::new).collect();
        for (_, task) in self.tasks {
            let mut rounds = rounds.iter_mut();
            match rounds.find(|round| round.home.thread == task.thread) {
                Some(round) => round.wakers.push_back(task.waker),
                None => task.waker.wake(),
            }
        }
        for round in rounds {
            if !round.wakers.is_empty() {
                round.begin();
            }
        }
    }
}

impl Round {
    fn new(home: Home) -> Self {
        Self {
            home,
            wakers: VecDeque::new(),
            batch: BATCH,
        }
    }

    fn begin(mut self) {
        self.batch = BATCH.max(self.wakers.len().div_ceil(TURNS));
        if self.home.thread == thread::current().id() && self.wake_some().is_ready() {
            return;
        }
        let runtime = self.home.runtime.clone();
        runtime.spawn(self);
    }

    fn wake_some(&mut self) -> Poll<()> {
        let some = self.wakers.len().min(self.batch);
        for waker in self.wakers.drain(..some) {
            waker.wake();
        }
        if self.wakers.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Future for Round {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let polled = self.wake_some();
        if polled.is_pending() {
            // Behind those that were just woken, and without a look at the sockets in between.
            cx.waker().wake_by_ref();
        }
        polled
    }
}

impl Drop for Round {
    /// The runtime ends; tasks of others may be among them.
    fn drop(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::task::Wake;

    use tokio::runtime::{Builder, Runtime};
    use tokio::sync::Notify;
    use tokio::task::JoinSet;

    use super::*;

    const MANY: usize = 5 * BATCH + 3;

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    /// Counts how often it is woken, and on which thread.
    struct Woken {
        thread: ThreadId,
        here: AtomicUsize,
        elsewhere: AtomicUsize,
    }

    impl Woken {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                thread: thread::current().id(),
                here: AtomicUsize::new(0),
                elsewhere: AtomicUsize::new(0),
            })
        }

        fn counts(&self) -> (usize, usize) {
            let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
            (count(&self.here), count(&self.elsewhere))
        }

        fn wait_often(self: &Arc<Self>, times: usize) -> Waiting {
            let (mut waiting, waker) = (Waiting::default(), Waker::from(self.clone()));
            for _ in 0..times {
                waiting.insert(&waker);
            }
            waiting
        }
    }

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            let is_here = self.thread == thread::current().id();
            let count = if is_here { &self.here } else { &self.elsewhere };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_the_first_wake_runs_before_the_last_are_woken() {
        let waiting = Arc::<Mutex<Waiting>>::default();
        let order = Arc::<Mutex<Vec<(&str, usize)>>>::default();
        runtime().block_on(async {
            let mut tasks = JoinSet::new();
            for number in 0..MANY {
                let work = Arc::<Notify>::default();
                let (waiting, ordered) = (waiting.clone(), order.clone());
                let (given, mut has_waited) = (work.clone(), false);
                tasks.spawn(async move {
                    poll_fn(|cx| {
                        if std::mem::replace(&mut has_waited, true) {
                            return Poll::Ready(());
                        }
                        waiting.lock().unwrap().insert(cx.waker());
                        Poll::Pending
                    })
                    .await;
                    ordered.lock().unwrap().push(("reads", number));
                    given.notify_one();
                });
                let ordered = order.clone();
                tasks.spawn(async move {
                    work.notified().await;
                    ordered.lock().unwrap().push(("sends", number));
                });
            }
            while waiting.lock().unwrap().tasks.len() < MANY {
                tokio::task::yield_now().await;
            }
            let woken = waiting.lock().unwrap().take();
            woken.wake();
            tasks.join_all().await;
        });
        let order = order.lock().unwrap();
        let place = |what| order.iter().position(|done| *done == what).unwrap();
        assert_eq!(order.len(), 2 * MANY);
        assert!(place(("sends", 0)) < place(("reads", 2 * BATCH)));
        let reads: Vec<_> = order.iter().filter(|done| done.0 == "reads").collect();
        assert!(reads.is_sorted(), "in the order in which they came to wait");
    }

    #[test]
    fn each_is_woken_on_its_own_thread() {
        let runtime = runtime();
        let woken = Woken::new();
        let waiting = runtime.block_on(async { woken.wait_often(MANY) });
        thread::spawn(|| waiting.wake()).join().unwrap();
        assert_eq!(woken.counts(), (0, 0));
        runtime.block_on(async {
            while woken.counts().0 < MANY {
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(woken.counts(), (MANY, 0));
    }

    #[test]
    fn all_are_woken_also_if_their_runtime_ends_or_is_gone() {
        let woken = Woken::new();
        for has_begun in [false, true] {
            let runtime = runtime();
            let waiting = runtime.block_on(async { woken.wait_often(MANY) });
            if has_begun {
                waiting.wake();
                drop(runtime);
            } else {
                drop(runtime);
                waiting.wake();
            }
        }
        assert_eq!(woken.counts(), (2 * MANY, 0));
    }

    #[test]
    fn all_are_woken_at_once_outside_a_runtime() {
        let woken = Woken::new();
        woken.wait_often(MANY).wake();
        assert_eq!(woken.counts(), (MANY, 0));
    }

    #[test]
    fn the_room_of_the_last_time_is_there_again() {
        let mut waiting = Woken::new().wait_often(MANY);
        waiting.take();
        waiting.insert(Waker::noop());
        assert_eq!(waiting.tasks.capacity(), MANY);
    }
}
