//! One timer for everything that a subscription waits for.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::time::{Instant, Sleep, sleep_until};

/// One timer for everything that a subscription waits for.
///
/// It may ring before anything is due, where that was put off: setting it is dearer than a look in
/// vain now and then.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
    /// When the timer will ring and for whom, if it is set.
    set: Option<(Instant, Waker)>,
}

impl Alarm {
    /// Waits until `due` at the latest; for ever if nothing is due.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, due: Option<Instant>) -> Poll<()> {
        let Some(due) = due else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        match &self.set {
            Some((at, waker)) if *at <= due && waker.will_wake(cx.waker()) => {
                if !timer.is_elapsed() {
                    return Poll::Pending;
                }
            }
            set => {
                let at = set.as_ref().map_or(due, |(at, _)| due.min(*at));
                timer.as_mut().reset(at);
                self.set = Some((at, cx.waker().clone()));
            }
        }
        let rung = timer.as_mut().poll(cx);
        if rung.is_ready() {
            self.set = None;
        }
        rung
    }
}
