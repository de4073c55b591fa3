//! One timer for everything that a subscription waits for.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::task::coop::has_budget_remaining;
use tokio::time::{Instant, Sleep, sleep_until};

/// One timer for everything that a subscription waits for.
///
/// It may ring before anything is due, where that was put off: setting it is dearer than a look in
/// vain now and then.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
    /// For whom the timer will ring, if it is set.
    set: Option<Waker>,
}

impl Alarm {
    /// Waits until `due` at the latest; for ever if nothing is due.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, due: Option<Instant>) -> Poll<()> {
        let Some(due) = due else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        match &self.set {
            Some(waker) if timer.deadline() <= due && waker.will_wake(cx.waker()) => {
                if !timer.is_elapsed() {
                    return Poll::Pending;
                }
            }
            set => {
                let at = set.as_ref().map_or(due, |_| due.min(timer.deadline()));
                timer.as_mut().reset(at);
                self.set = Some(cx.waker().clone());
            }
        }
        // A task that has had its turn looks again soon: the timer has not heard of it.
        let has_heard = has_budget_remaining();
        let rung = timer.as_mut().poll(cx);
        if rung.is_ready() || !has_heard {
            self.set = None;
        }
        rung
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::time::Duration;

    use tokio::task::coop::consume_budget;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rings_at_the_soonest_time_it_was_ever_asked_for_and_then_anew() {
        let began = Instant::now();
        let after = |millis| Some(began + Duration::from_millis(millis));
        let mut alarm = Alarm::default();
        // What was put off rings in vain once.
        let mut asked = [after(300), after(100), after(200)].into_iter();
        poll_fn(|cx| {
            for due in asked.by_ref() {
                assert!(alarm.poll(cx, due).is_pending());
            }
            alarm.poll(cx, after(200))
        })
        .await;
        assert_eq!(Some(Instant::now()), after(100));
        poll_fn(|cx| alarm.poll(cx, after(200))).await;
        assert_eq!(Some(Instant::now()), after(200));
        poll_fn(|cx| alarm.poll(cx, after(50))).await;
        assert_eq!(
            Some(Instant::now()),
            after(200),
            "what is past is due at once"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn rings_also_if_it_was_set_at_the_end_of_a_turn() {
        let due = Some(Instant::now() + Duration::from_millis(10));
        let mut alarm = Alarm::default();
        let mut is_set = false;
        let rung = poll_fn(|cx| {
            while !is_set && has_budget_remaining() {
                let _used = pin!(consume_budget()).poll(cx);
            }
            is_set = true;
            alarm.poll(cx, due)
        });
        timeout(Duration::from_secs(1), rung)
            .await
            .expect("it rings");
        assert_eq!(Some(Instant::now()), due);
    }

    #[tokio::test(start_paused = true)]
    async fn rings_for_the_task_that_looked_last() {
        let due = Some(Instant::now() + Duration::from_millis(10));
        let mut alarm = Alarm::default();
        let mut nobody = Context::from_waker(Waker::noop());
        assert!(alarm.poll(&mut nobody, due).is_pending());
        poll_fn(|cx| alarm.poll(cx, due)).await;
        assert_eq!(Some(Instant::now()), due);
    }
}
