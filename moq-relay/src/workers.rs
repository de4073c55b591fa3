//! Threads with a single-threaded runtime each, and which of them a session goes to.
//!
//! A frame costs a sixth to a third more on one runtime of many threads than on single-threaded
//! ones, where the tasks of a session and of its connection wake each other without a lock or a
//! system call.

use std::io;
use std::iter::once;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// The threads of the process: the one that makes it, and others that it starts.
///
/// [`end`](Self::end) ends the others, and every task that is left.
#[derive(Debug)]
pub struct Threads {
    /// The runtime of the thread that made it. There is none but this if there is one processor:
    /// nothing then ever wakes another thread.
    own: Runtime,
    others: Vec<Thread>,
}

#[derive(Debug)]
struct Thread {
    runtime: Handle,
    /// Dropped to end it.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Threads {
    /// Starts all but one of `count` threads; the one that calls it is the first.
    ///
    /// # Errors
    ///
    /// Fails when the system has no room for another.
    pub fn start(count: NonZeroUsize) -> io::Result<Self> {
        let others = (1..count.get()).map(Thread::start);
        Ok(Self {
            own: runtime()?,
            others: others.collect::<io::Result<_>>()?,
        })
    }

    /// Runs a future on this thread, and what it spawns.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.own.block_on(future)
    }

    /// Ends all of them. What a thread waits for in the system, such as the look-up of a host, is not
    /// waited for.
    pub fn end(self) {
        drop(self.others);
        self.own.shutdown_background();
    }

    /// Returns all of them, to place sessions on.
    pub fn workers(&self) -> Workers {
        let others = self.others.iter().map(|other| other.runtime.clone());
        Workers::new(self.own.handle().clone(), others)
    }
}

impl Thread {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = runtime()?;
        let (stop, stopped) = oneshot::channel();
        let handle = runtime.handle().clone();
        let thread = thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || {
                let _dropped = runtime.block_on(stopped);
                runtime.shutdown_background();
            })?;
        Ok(Self {
            runtime: handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Tasks that panic end alone; the thread has nothing of its own that could.
            let _ = thread.join();
        }
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Runtimes to place sessions on, and how many each has. There is at least one.
#[derive(Debug)]
pub struct Workers {
    all: Vec<Worker>,
    /// The one that is asked first.
    next: usize,
}

#[derive(Debug, Clone)]
struct Worker {
    runtime: Handle,
    sessions: Arc<AtomicUsize>,
}

impl Workers {
    /// Places all sessions on the runtime that this is called on.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn current() -> Self {
        Self::new(Handle::current(), [])
    }

    /// Places sessions on these runtimes.
    fn new(first: Handle, others: impl IntoIterator<Item = Handle>) -> Self {
        let worker = |runtime| Worker {
            runtime,
            sessions: Arc::default(),
        };
        Self {
            all: once(first).chain(others).map(worker).collect(),
            next: 0,
        }
    }

    /// Takes a place where the fewest sessions are, in turns where there are as few.
    pub fn seat(&mut self) -> Seat {
        let mut chosen = self.next;
        for step in 1..self.all.len() {
            let other = (self.next + step) % self.all.len();
            if self.all[other].count() < self.all[chosen].count() {
                chosen = other;
            }
        }
        self.next = (chosen + 1) % self.all.len();
        let worker = self.all[chosen].clone();
        worker.sessions.fetch_add(1, Ordering::Relaxed);
        Seat(worker)
    }
}

impl Worker {
    fn count(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }
}

/// A place on a runtime, for one session. Dropping it frees it.
#[derive(Debug)]
pub struct Seat(Worker);

impl Seat {
    /// Returns the runtime that everything of the session is to be spawned on.
    pub fn runtime(&self) -> &Handle {
        &self.0.runtime
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::future::pending;
    use std::thread::ThreadId;

    use tokio::task::JoinSet;

    use super::*;

    fn threads(count: usize) -> Threads {
        Threads::start(NonZeroUsize::new(count).unwrap()).unwrap()
    }

    /// Which of the workers a seat is at.
    fn place(workers: &Workers, seat: &Seat) -> Option<usize> {
        let mut all = workers.all.iter();
        all.position(|worker| Arc::ptr_eq(&worker.sessions, &seat.0.sessions))
    }

    fn counts(workers: &Workers) -> Vec<usize> {
        workers.all.iter().map(Worker::count).collect()
    }

    #[test]
    fn places_are_taken_in_turns_and_where_the_fewest_are() {
        let mut workers = threads(3).workers();
        let mut seats: Vec<_> = (0..6).map(|_| workers.seat()).collect();
        let places: Vec<_> = seats.iter().map(|seat| place(&workers, seat)).collect();
        assert_eq!(places, [0, 1, 2, 0, 1, 2].map(Some));

        // The second one is left by its sessions.
        seats.remove(4);
        seats.remove(1);
        assert_eq!(counts(&workers), [2, 0, 2]);
        for _ in 0..2 {
            let seat = workers.seat();
            assert_eq!(place(&workers, &seat), Some(1));
            seats.push(seat);
        }
        assert_eq!(counts(&workers), [2, 2, 2]);
    }

    #[test]
    fn short_sessions_do_not_all_go_to_the_same_place() {
        let mut workers = threads(2).workers();
        for expected in [0, 1, 0, 1] {
            let seat = workers.seat();
            assert_eq!(place(&workers, &seat), Some(expected));
        }
        assert_eq!(counts(&workers), [0, 0]);
    }

    #[test]
    fn what_a_task_spawns_stays_on_its_thread() {
        let threads = threads(3);
        let mut workers = threads.workers();
        let seats: Vec<_> = (0..3).map(|_| workers.seat()).collect();
        let places = threads.block_on(async {
            let mut tasks = JoinSet::new();
            for seat in &seats {
                tasks.spawn_on(on_one_thread(), seat.runtime());
            }
            tasks.join_all().await
        });
        let all: HashSet<_> = places.into_iter().collect();
        assert_eq!(all.len(), 3);
        assert!(all.contains(&thread::current().id()));
    }

    /// Returns the thread that this and its child run on.
    async fn on_one_thread() -> ThreadId {
        let here = thread::current().id();
        let mut children = JoinSet::new();
        children.spawn(async { thread::current().id() });
        assert_eq!(children.join_all().await, [here]);
        here
    }

    #[test]
    fn tasks_end_with_the_threads() {
        let threads = threads(3);
        let mut workers = threads.workers();
        let mut tasks = JoinSet::new();
        for _ in 0..3 {
            let seat = workers.seat();
            let runtime = seat.runtime().clone();
            tasks.spawn_on(
                async move {
                    pending::<()>().await;
                    drop(seat);
                },
                &runtime,
            );
        }
        assert_eq!(counts(&workers), [1, 1, 1]);
        drop(threads);
        assert_eq!(counts(&workers), [0, 0, 0]);
    }
}
