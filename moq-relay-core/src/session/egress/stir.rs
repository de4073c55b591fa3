//! Tells what a task was woken for: the one thing it does all the time, or anything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Wakes a task for what happens seldom, and tells it so.
///
/// What happens all the time wakes the task by itself. Then nothing else needs to be looked at,
/// which is most of what there is to touch.
#[derive(Debug)]
pub(super) struct Stir {
    bell: Arc<Bell>,
    /// The bell's.
    waker: Waker,
    /// The task that the bell wakes.
    task: Waker,
}

#[derive(Debug)]
struct Bell {
    stirred: AtomicBool,
    task: AtomicWaker,
}

impl Stir {
    pub(super) fn new() -> Self {
        let bell = Arc::new(Bell {
            stirred: AtomicBool::new(true),
            task: AtomicWaker::new(),
        });
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

    /// True if there is to be another look although nothing rang.
    pub(super) fn again(&self) {
        self.bell.stirred.store(true, Ordering::Relaxed);
    }

    /// True, once, if anything has rung since the last time: all of it has to be looked at.
    pub(super) fn take(&mut self, cx: &Context<'_>) -> bool {
        let is_same = self.task.will_wake(cx.waker());
        if is_same && !self.bell.stirred.load(Ordering::Acquire) {
            return false;
        }
        if !is_same {
            self.task.clone_from(cx.waker());
        }
        // First, so that whoever rings once the mark is gone finds the task.
        self.bell.task.register(&self.task);
        self.bell.stirred.swap(false, Ordering::AcqRel);
        true
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Whoever set the mark before has woken the task, which has not looked yet.
        if !self.stirred.swap(true, Ordering::AcqRel) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::tests::Woken;

    fn taken(stir: &mut Stir, task: &Arc<Woken>) -> bool {
        let waker = Waker::from(task.clone());
        stir.take(&Context::from_waker(&waker))
    }

    #[test]
    fn the_task_is_woken_once_for_all_that_rings_before_it_looks() {
        let (mut stir, task) = (Stir::new(), Arc::<Woken>::default());
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
    fn the_task_that_looked_last_is_the_one_that_is_woken() {
        let (mut stir, tasks) = (Stir::new(), [(); 2].map(|()| Arc::<Woken>::default()));
        assert!(taken(&mut stir, &tasks[0]));
        assert!(taken(&mut stir, &tasks[1]), "it is another one");
        stir.waker().wake();
        let woken = tasks.map(|task| task.0.load(Ordering::Relaxed));
        assert_eq!(woken, [0, 1]);
    }
}
