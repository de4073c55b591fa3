use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::memory::clock::{Clock, Next};
use crate::memory::config::Config;
use crate::memory::flow::Side;
use crate::memory::signals::Signals;
use crate::memory::state::State;

/// What the handles of both ends share.
pub(super) struct Shared {
    config: Config,
    state: Mutex<State>,
    signals: [Signals; 2],
    clock: Clock,
}

impl Shared {
    pub(super) fn new(config: Config) -> Self {
        Self {
            state: Mutex::new(State::new(&config, Instant::now())),
            signals: Side::BOTH.map(|_| Signals::new(&config)),
            clock: Clock::default(),
            config,
        }
    }

    /// Runs one operation at the present time, with all that is due delivered before and after.
    fn with<T>(self: &Arc<Self>, operation: impl FnOnce(&mut State) -> T) -> T {
        let now = Instant::now();
        let mut state = self.lock();
        state.advance(now);
        let output = operation(&mut state);
        state.advance(now);
        let effects = std::mem::take(&mut state.effects);
        let sooner = state.set_alarm();
        drop(state);
        effects.fire(&self.signals);
        if sooner {
            let shared = Arc::downgrade(self);
            self.clock
                .ring(move || shared.upgrade().map_or(Next::Never, |shared| shared.tick()));
        }
        output
    }

    /// Delivers what is due and tells the clock when to come back.
    fn tick(self: &Arc<Self>) -> Next {
        self.with(|_| ());
        self.lock().alarm().map_or(Next::Unknown, Next::At)
    }

    /// Locks, and goes on with the state as it is after a panic elsewhere: a test that failed
    /// already should not fail again while its handles are dropped.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    pub(super) fn signals(&self) -> &Signals {
        &self.shared.signals[self.side.index()]
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
