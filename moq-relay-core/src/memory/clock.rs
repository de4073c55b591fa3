use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// The task that wakes up when something in flight is due.
///
/// It starts when there is such a thing for the first time, and ends with the pair that owns it.
/// It only keeps the time: everything is delivered in order of its due time by whoever comes next.
#[derive(Default)]
pub(super) struct Clock {
    task: Mutex<JoinSet<()>>,
    /// Tells the task that something is due earlier than it knows.
    alarm: Arc<Notify>,
}

/// What there is to do after everything that was due has been delivered.
pub(super) enum Next {
    /// Come back at this time.
    At(Instant),
    /// Wait for the alarm.
    Unknown,
    /// The pair is gone.
    Never,
}

impl Clock {
    /// Tells the task to look again, and starts it if there is a runtime to run it.
    ///
    /// A tick delivers what is due; it must not keep the clock alive.
    pub(super) fn ring(&self, tick: impl Fn() -> Next + Send + 'static) {
        self.alarm.notify_one();
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        // Its runtime may have gone.
        while task.try_join_next().is_some() {}
        if task.is_empty() {
            task.spawn_on(run(tick, self.alarm.clone()), &runtime);
        }
    }
}

async fn run(tick: impl Fn() -> Next, alarm: Arc<Notify>) {
    loop {
        match tick() {
            Next::At(at) => tokio::select! {
                biased;
                () = alarm.notified() => {}
                () = sleep_until(at) => {}
            },
            Next::Unknown => alarm.notified().await,
            Next::Never => return,
        }
    }
}
