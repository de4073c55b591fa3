use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::runtime;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Config;
use super::flow::{Kind, Side};
use super::state::State;

/// What the handles of both ends share.
pub(super) struct Shared {
    config: Config,
    state: Mutex<State>,
    /// Streams an end may still open, by end and kind. Fair: first come, first served.
    limits: [[Arc<Semaphore>; 2]; 2],
    /// The task that wakes up when something in flight is due. Empty until there is such a thing.
    clock: Mutex<JoinSet<()>>,
    /// Tells the task that something is due earlier than it knows.
    alarm: Arc<Notify>,
}

impl Shared {
    pub(super) fn new(config: Config) -> Self {
        let limits = Side::BOTH.map(|_| {
            [config.max_uni_streams, config.max_bi_streams]
                .map(|max| Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))))
        });
        Self {
            state: Mutex::new(State::new(&config, Instant::now())),
            limits,
            config,
            clock: Mutex::new(JoinSet::new()),
            alarm: Arc::new(Notify::new()),
        }
    }

    /// Runs one operation at the present time, with all that is due delivered before and after.
    fn with<T>(self: &Arc<Self>, operation: impl FnOnce(&mut State) -> T) -> T {
        let now = Instant::now();
        let mut state = lock(&self.state);
        state.advance(now);
        let output = operation(&mut state);
        state.advance(now);
        let effects = std::mem::take(&mut state.effects);
        let sooner = state.set_alarm();
        drop(state);
        effects.fire();
        if sooner {
            self.start_clock();
            self.alarm.notify_one();
        }
        output
    }

    /// Makes sure that the task runs, unless there is no runtime to run it.
    fn start_clock(self: &Arc<Self>) {
        let Ok(runtime) = runtime::Handle::try_current() else {
            return;
        };
        let mut clock = lock(&self.clock);
        while clock.try_join_next().is_some() {}
        if !clock.is_empty() {
            return;
        }
        let shared = Arc::downgrade(self);
        let alarm = self.alarm.clone();
        clock.spawn_on(
            async move {
                loop {
                    let Some(next) = shared.upgrade().map(|shared| shared.tick()) else {
                        return;
                    };
                    tokio::select! {
                        biased;
                        () = alarm.notified() => {}
                        () = sleep_until(next) => {}
                    }
                }
            },
            &runtime,
        );
    }

    /// Delivers what is due and returns when to come back.
    fn tick(self: &Arc<Self>) -> Option<Instant> {
        self.with(|_| ());
        lock(&self.state).alarm()
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Locks, and goes on with the state as it is after a panic elsewhere: a test that failed already
/// should not fail again while its handles are dropped.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An end's hold on the session, which closes with the last of them.
pub(super) struct Handle {
    shared: Arc<Shared>,
    side: Side,
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>, side: Side) -> Self {
        Self { shared, side }
    }

    pub(super) fn config(&self) -> &Config {
        &self.shared.config
    }

    pub(super) fn limit(&self, kind: Kind) -> Arc<Semaphore> {
        self.shared.limits[self.side.index()][kind.index()].clone()
    }

    /// Runs one operation of this end; see [`Shared::with`].
    pub(super) fn with<T>(&self, operation: impl FnOnce(&mut State, Side) -> T) -> T {
        self.shared.with(|state| operation(state, self.side))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.with(|state, side| state.close(side, 0, ""));
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("side", &self.side)
            .finish_non_exhaustive()
    }
}

/// What an operation causes outside, to happen once the state is unlocked.
#[derive(Default)]
pub(super) struct Effects {
    wakers: Vec<Waker>,
    permits: Vec<Arc<OwnedSemaphorePermit>>,
}

impl Effects {
    pub(super) fn wake(&mut self, waker: &mut Option<Waker>) {
        self.wakers.extend(waker.take());
    }

    pub(super) fn wake_all(&mut self, wakers: &mut Vec<Waker>) {
        self.wakers.append(wakers);
    }

    /// Gives a stream back to the limit, which may wake who waits to open one.
    pub(super) fn give_back(&mut self, permit: Option<Arc<OwnedSemaphorePermit>>) {
        self.permits.extend(permit);
    }

    fn fire(self) {
        drop(self.permits);
        self.wakers.into_iter().for_each(Waker::wake);
    }
}
