use std::sync::{Arc, Mutex, Weak};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::shared::{Shared, lock};

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

impl Clock {
    /// Tells the task to look again, and starts it if there is a runtime to run it.
    pub(super) fn ring(&self, shared: Weak<Shared>) {
        self.alarm.notify_one();
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut task = lock(&self.task);
        // Its runtime may have gone.
        while task.try_join_next().is_some() {}
        if task.is_empty() {
            task.spawn_on(run(shared, self.alarm.clone()), &runtime);
        }
    }
}

async fn run(shared: Weak<Shared>, alarm: Arc<Notify>) {
    while let Some(next) = shared.upgrade().map(|shared| shared.tick()) {
        tokio::select! {
            biased;
            () = alarm.notified() => {}
            () = until(next) => {}
        }
    }
}

async fn until(next: Option<Instant>) {
    match next {
        Some(next) => sleep_until(next).await,
        None => std::future::pending().await,
    }
}
