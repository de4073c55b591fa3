//! Tells what a task was woken for: the one thing it does all the time, or anything else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::shared::lock;

/// Wakes a task for what happens seldom, and tells it so.
///
/// What happens all the time wakes the task by itself. Then nothing else needs to be looked at,
/// which is most of what there is to touch.
#[derive(Debug)]
pub(super) struct Stir<T = ()> {
    bell: Arc<Bell<T>>,
    /// The bell's.
    waker: Waker,
    /// The task that the bell wakes.
    task: Waker,
}

/// The bell, and what is to be at hand where it is looked at.
// In this order: the mark, and the beginning of what is beside, are near each other.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Bell<T = ()> {
    stirred: AtomicBool,
    /// Waking it does not take it out: a ring that comes late wakes for nothing, and the next one
    /// finds the task all the same.
    task: Mutex<Waker>,
    pub(super) beside: T,
}

impl<T: Default> Default for Bell<T> {
    fn default() -> Self {
        Self {
            stirred: AtomicBool::new(true),
            task: Mutex::new(Waker::noop().clone()),
            beside: T::default(),
        }
    }
}

impl<T: Send + Sync + 'static> Stir<T> {
    pub(super) fn new(bell: Arc<Bell<T>>) -> Self {
        Self {
            waker: Waker::from(bell.clone()),
            bell,
            task: Waker::noop().clone(),
        }
    }

    /// What is looked at seldom is to wake this one.
    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Has the next [`take`](Self::take) say that something rang. It wakes nobody.
    pub(super) fn again(&self) {
        self.bell.stirred.swap(true, Ordering::AcqRel);
    }

    /// True, once, if anything has rung since the last time: all of it has to be looked at.
    pub(super) fn take(&mut self, cx: &Context<'_>) -> bool {
        let is_same = self.task.will_wake(cx.waker());
        if is_same && !self.bell.stirred.load(Ordering::Acquire) {
            return false;
        }
        if !is_same {
            self.task.clone_from(cx.waker());
            // First, so that whoever rings once the mark is gone finds the task.
            lock(&self.bell.task).clone_from(cx.waker());
        }
        self.bell.stirred.swap(false, Ordering::AcqRel);
        true
    }
}

/// Futures that are all looked at when one of them was woken; of more than these only the woken
/// ones are.
const FEW: usize = 4;

/// Futures that are seldom woken: no look at them is needed to know that none was.
pub(super) struct Seldom<T> {
    /// As a rule these are all.
    few: Vec<BoxFuture<'static, T>>,
    /// Each of these has its own memory for who was woken.
    more: Option<FuturesUnordered<BoxFuture<'static, T>>>,
    stir: Stir,
}

impl<T> Seldom<T> {
    pub(super) fn new() -> Self {
        Self {
            few: Vec::new(),
            more: None,
            stir: Stir::new(Arc::default()),
        }
    }

    /// Adds a future. It wakes nobody: the caller goes on to [`poll`](Self::poll).
    pub(super) fn push(&mut self, future: BoxFuture<'static, T>) {
        if self.few.len() < FEW {
            self.few.push(future);
        } else {
            self.more.get_or_insert_default().push(future);
        }
        self.stir.again();
    }

    /// Goes on with those that were woken; returns what the first has come to that is ready.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<T> {
        if !self.stir.take(cx) {
            return Poll::Pending;
        }
        let done = self.poll_all();
        if done.is_ready() {
            self.stir.again();
        }
        done
    }

    fn poll_all(&mut self) -> Poll<T> {
        let mut cx = Context::from_waker(&self.stir.waker);
        for index in 0..self.few.len() {
            if let Poll::Ready(done) = self.few[index].poll_unpin(&mut cx) {
                drop(self.few.swap_remove(index));
                return Poll::Ready(done);
            }
        }
        let Some(more) = &mut self.more else {
            return Poll::Pending;
        };
        match more.poll_next_unpin(&mut cx) {
            Poll::Ready(Some(done)) => Poll::Ready(done),
            Poll::Ready(None) => {
                self.more = None;
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Has the next [`poll`](Self::poll) go on with all of them, woken or not. It wakes nobody.
    pub(super) fn look_again(&mut self) {
        if let Some(more) = self.more.take() {
            self.more = Some(more.into_iter().collect());
        }
        self.stir.again();
    }
}

impl<T> Bell<T> {
    /// Wakes the task that looked last.
    fn wake_task(&self) {
        let task = lock(&self.task).clone();
        task.wake();
    }
}

impl<T: Send + Sync + 'static> Wake for Bell<T> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Whoever has set the mark before wakes the task, or has it look anyway.
        if !self.stirred.swap(true, Ordering::AcqRel) {
            self.wake_task();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;

    use tokio::sync::oneshot;

    use super::*;
    use crate::shared::tests::Woken;

    fn taken(stir: &mut Stir, task: &Arc<Woken>) -> bool {
        let waker = Waker::from(task.clone());
        stir.take(&Context::from_waker(&waker))
    }

    #[test]
    fn the_task_is_woken_once_for_all_that_rings_before_it_looks() {
        let (mut stir, task) = (Stir::<()>::new(Arc::default()), Arc::<Woken>::default());
        assert!(taken(&mut stir, &task), "nothing was looked at before");
        assert!(!taken(&mut stir, &task));
        for round in 1..3 {
            stir.waker().wake_by_ref();
            stir.waker().wake();
            assert_eq!(task.0.load(Ordering::Relaxed), round);
            assert!(taken(&mut stir, &task));
            assert!(!taken(&mut stir, &task));
        }
        stir.again();
        assert!(taken(&mut stir, &task));
        assert_eq!(task.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_ring_that_comes_late_keeps_no_later_one_from_the_task() {
        let (mut stir, task) = (Stir::<()>::new(Arc::default()), Arc::<Woken>::default());
        let woken = || task.0.load(Ordering::Relaxed);
        assert!(taken(&mut stir, &task));
        // Half of a ring on another thread, then the task runs for another reason.
        assert!(!stir.bell.stirred.swap(true, Ordering::AcqRel));
        assert!(taken(&mut stir, &task));
        stir.bell.wake_task();
        assert_eq!(woken(), 1);
        assert!(!taken(&mut stir, &task));
        stir.waker().wake_by_ref();
        assert_eq!(woken(), 2);
        assert!(taken(&mut stir, &task));
    }

    #[test]
    fn what_is_seldom_woken_is_polled_when_it_was_or_is_told_to_look() {
        let (mut seldom, task) = (Seldom::new(), Arc::<Woken>::default());
        let waker = Waker::from(task.clone());
        let cx = Context::from_waker(&waker);
        let polls = Arc::<Woken>::default();
        let (ring, mut rung) = oneshot::channel();
        let counted = polls.clone();
        let waits = poll_fn(move |cx| {
            counted.0.fetch_add(1, Ordering::Relaxed);
            Pin::new(&mut rung).poll(cx)
        });
        seldom.push(waits.boxed());
        let [polled, woken] = [&polls, &task].map(|count| || count.0.load(Ordering::Relaxed));
        for looks in 1..3 {
            assert!(seldom.poll(&cx).is_pending());
            assert!(seldom.poll(&cx).is_pending());
            assert_eq!(polled(), looks);
            if looks == 1 {
                seldom.look_again();
            }
        }
        let before = woken();
        ring.send(7).unwrap();
        assert_eq!(woken(), before + 1);
        assert_eq!(seldom.poll(&cx), Poll::Ready(Ok(7)));
        assert!(seldom.poll(&cx).is_pending());
        assert_eq!(polled(), 3);
    }

    #[test]
    fn each_of_many_comes_once_in_whatever_order_they_are_woken() {
        let (mut seldom, task) = (Seldom::new(), Arc::<Woken>::default());
        let waker = Waker::from(task.clone());
        let cx = Context::from_waker(&waker);
        let mut rings = Vec::new();
        for number in 0..3 * FEW {
            let (ring, rung) = oneshot::channel::<()>();
            rings.push((number, ring));
            seldom.push(rung.map(move |_| number).boxed());
        }
        assert!(seldom.poll(&cx).is_pending());
        // The first ones are outlived by later ones.
        rings.rotate_left(FEW / 2);
        for (number, ring) in rings {
            ring.send(()).unwrap();
            assert_eq!(seldom.poll(&cx), Poll::Ready(number));
            assert!(seldom.poll(&cx).is_pending());
        }
        assert_eq!(task.0.load(Ordering::Relaxed), 3 * FEW);
    }

    #[test]
    fn told_to_look_it_polls_every_one_of_many() {
        let mut seldom = Seldom::<()>::new();
        let waker = Waker::from(Arc::<Woken>::default());
        let cx = Context::from_waker(&waker);
        let polls = [(); 3 * FEW].map(|()| Arc::<Woken>::default());
        for polls in &polls {
            let counted = polls.clone();
            let waits = poll_fn(move |_| {
                counted.0.fetch_add(1, Ordering::Relaxed);
                Poll::Pending
            });
            seldom.push(waits.boxed());
        }
        for _ in 0..3 {
            // The futures that are many ring once more when they were all looked at.
            for _ in 0..2 {
                assert!(seldom.poll(&cx).is_pending());
            }
            let polled = polls
                .each_ref()
                .map(|polls| polls.0.swap(0, Ordering::Relaxed));
            assert!(polled.iter().all(|polled| *polled > 0), "{polled:?}");
            assert!(seldom.poll(&cx).is_pending());
            let polled = polls
                .each_ref()
                .map(|polls| polls.0.load(Ordering::Relaxed));
            assert_eq!(polled, [0; 3 * FEW]);
            seldom.look_again();
        }
    }

    #[test]
    fn the_task_that_looked_last_is_the_one_that_is_woken() {
        let (mut stir, tasks) = (
            Stir::<()>::new(Arc::default()),
            [(); 2].map(|()| Arc::<Woken>::default()),
        );
        assert!(taken(&mut stir, &tasks[0]));
        assert!(taken(&mut stir, &tasks[1]), "it is another one");
        stir.waker().wake();
        let woken = tasks.map(|task| task.0.load(Ordering::Relaxed));
        assert_eq!(woken, [0, 1]);
    }
}
