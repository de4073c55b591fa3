use std::sync::Arc;
use std::task::Waker;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::memory::config::Config;
use crate::memory::flow::{Kind, Side};

/// What the futures of one end wait for besides its streams.
pub(super) struct Signals {
    /// Streams the end may still open, by kind. First come, first served.
    limits: [Arc<Semaphore>; 2],
    /// A stream arrived, by kind.
    arrived: [Notify; 2],
    /// The session is over.
    pub(super) over: CancellationToken,
}

impl Signals {
    pub(super) fn new(config: &Config) -> Self {
        let limits = [config.max_uni_streams, config.max_bi_streams];
        Self {
            limits: limits.map(|max| Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)))),
            arrived: [Notify::new(), Notify::new()],
            over: CancellationToken::new(),
        }
    }

    pub(super) fn limit(&self, kind: Kind) -> &Arc<Semaphore> {
        &self.limits[kind.index()]
    }

    /// Waits until it is worth looking for an arrived stream, or the session's error, again.
    pub(super) async fn arrival(&self, kind: Kind) {
        tokio::select! {
            biased;
            () = self.arrived[kind.index()].notified() => {}
            () = self.over.cancelled() => {}
        }
    }
}

/// What an operation causes outside the state, to happen once that is unlocked.
#[derive(Default)]
pub(super) struct Effects {
    wakers: Vec<Waker>,
    permits: Vec<Arc<OwnedSemaphorePermit>>,
    arrived: Vec<(Side, Kind)>,
    over: Vec<Side>,
}

impl Effects {
    pub(super) fn wake(&mut self, waker: &mut Option<Waker>) {
        self.wakers.extend(waker.take());
    }

    /// Gives a stream back to the limit, which lets the next one be opened.
    pub(super) fn give_back(&mut self, permit: Option<Arc<OwnedSemaphorePermit>>) {
        self.permits.extend(permit);
    }

    pub(super) fn arrived(&mut self, side: Side, kind: Kind) {
        self.arrived.push((side, kind));
    }

    pub(super) fn over(&mut self, side: Side) {
        self.over.push(side);
    }

    pub(super) fn fire(self, signals: &[Signals; 2]) {
        drop(self.permits);
        for (side, kind) in self.arrived {
            signals[side.index()].arrived[kind.index()].notify_one();
        }
        for side in self.over {
            signals[side.index()].over.cancel();
        }
        self.wakers.into_iter().for_each(Waker::wake);
    }
}
