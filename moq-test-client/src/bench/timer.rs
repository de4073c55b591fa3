//! Waiting for a moment, to better than tokio's millisecond.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;

/// A thread that sleeps on behalf of a task: the kernel wakes it within some 50 microseconds.
pub(super) struct Timer {
    ask: SyncSender<Duration>,
    bell: Arc<Notify>,
}

impl Timer {
    /// Starts the thread, which ends when the timer is dropped.
    ///
    /// # Errors
    ///
    /// If there can be no more threads.
    pub(super) fn new() -> io::Result<Self> {
        let (ask, asked) = sync_channel(1);
        let bell = Arc::new(Notify::new());
        let ring = Arc::clone(&bell);
        let work = move || sleep(&asked, &ring);
        thread::Builder::new()
            .name("timer".to_owned())
            .spawn(work)?;
        Ok(Self { ask, bell })
    }

    /// Waits for this long; less, if the wait before was cancelled. Cancel-safe.
    pub(super) async fn wait(&self, time: Duration) {
        if time.is_zero() {
            return;
        }
        // The thread ends only after this, and takes at once what it is asked.
        let _ = self.ask.send(time);
        self.bell.notified().await;
    }
}

fn sleep(asked: &Receiver<Duration>, bell: &Notify) {
    let Ok(mut time) = asked.recv() else { return };
    loop {
        match asked.recv_timeout(time) {
            Ok(instead) => time = instead,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                bell.notify_one();
                let Ok(next) = asked.recv() else { return };
                time = next;
            }
        }
    }
}
