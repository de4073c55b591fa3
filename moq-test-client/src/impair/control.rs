//! What a running proxy is told, and what it tells.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use crate::impair::change::Change;
use crate::impair::counters::Counters;
use crate::impair::duplex::{Duplex, Way};
use crate::impair::settings::Settings;

/// A handle on a proxy, running or not. Clones are the same handle.
#[derive(Clone, Debug)]
pub struct Control {
    shared: Arc<Shared>,
}

/// What happened to all clients together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Clients ever seen.
    pub clients: u64,
    /// Clients that are not forgotten yet.
    pub active: u64,
    /// Packets of clients for which there was no room.
    pub refused: u64,
    /// Ports that were changed.
    pub rebinds: u64,
    /// What happened to the packets, those of forgotten clients included.
    #[serde(flatten)]
    pub counters: Duplex<Counters>,
}

/// What is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Orders {
    pub(super) course: Duplex<Course>,
    /// How many times all ports were to change.
    pub(super) rebinds: u64,
    /// How many orders were given.
    serial: u64,
}

/// What is in force in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Course {
    pub(super) settings: Settings,
    /// How many cuts were made: one that was healed at once is not overlooked.
    pub(super) cuts: u64,
}

/// A client's place among the others, given up by dropping it.
#[derive(Debug)]
pub(super) struct Member {
    control: Control,
    /// How many clients came before.
    pub(super) number: u64,
}

#[derive(Debug)]
struct Shared {
    orders: watch::Sender<Orders>,
    state: Mutex<State>,
    /// Rung when a client has obeyed or is gone.
    progress: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    totals: Totals,
    /// The last order that each client has obeyed.
    obeyed: HashMap<u64, u64>,
}

impl Control {
    pub(super) fn new(settings: Duplex<Settings>) -> Self {
        let orders = Orders {
            course: settings.map(|&settings| Course { settings, cuts: 0 }),
            ..Orders::default()
        };
        Self {
            shared: Arc::new(Shared {
                orders: watch::Sender::new(orders),
                state: Mutex::default(),
                progress: watch::Sender::default(),
            }),
        }
    }

    /// Changes the settings of one direction or both, for all clients. [`settled`](Self::settled)
    /// tells when it is done.
    pub fn change(&self, way: Way, change: &Change) {
        self.order(|orders| {
            orders.course.each(way, |course| {
                change.apply(&mut course.settings);
                course.cuts += u64::from(change.cuts());
            });
        });
    }

    /// Goes on to the server from another port for every client. What the server sends to the old
    /// port is lost. [`settled`](Self::settled) tells when it is done.
    pub fn rebind(&self) {
        self.order(|orders| orders.rebinds += 1);
    }

    /// Waits until everything ordered before this call is in force for every client; cancel-safe.
    pub async fn settled(&self) {
        let serial = self.shared.orders.borrow().serial;
        let mut progress = self.shared.progress.subscribe();
        while self.lock().obeyed.values().any(|last| *last < serial) {
            if progress.changed().await.is_err() {
                return;
            }
        }
    }

    /// Returns the settings in force, or about to be.
    #[must_use]
    pub fn settings(&self) -> Duplex<Settings> {
        let orders = self.shared.orders.borrow();
        orders.course.map(|course| course.settings)
    }

    /// Returns what happened so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let state = self.lock();
        Totals {
            active: state.obeyed.len() as u64,
            ..state.totals
        }
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut Totals)) {
        count(&mut self.lock().totals);
    }

    /// Takes in a new client, under these orders and those to come.
    pub(super) fn welcome(&self) -> (Member, watch::Receiver<Orders>) {
        let mut orders = self.shared.orders.subscribe();
        let serial = orders.borrow_and_update().serial;
        let mut state = self.lock();
        let number = state.totals.clients;
        state.totals.clients += 1;
        state.obeyed.insert(number, serial);
        let member = Member {
            control: self.clone(),
            number,
        };
        (member, orders)
    }

    fn order(&self, order: impl FnOnce(&mut Orders)) {
        self.shared.orders.send_modify(|orders| {
            orders.serial += 1;
            order(orders);
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Numbers stay numbers, whoever panicked between them.
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// Notes that these orders are in force for this client.
    pub(super) fn obeyed(&self, orders: &Orders) {
        let last = orders.serial;
        self.control.lock().obeyed.insert(self.number, last);
        self.control.shared.progress.send_replace(());
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.control.lock().obeyed.remove(&self.number);
        self.control.shared.progress.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_cut_that_is_healed_at_once_is_still_a_cut() {
        let control = Control::new(Duplex::default());
        let (_member, orders) = control.welcome();
        control.change(Way::Up, &"cut heal".parse().unwrap());
        let orders = *orders.borrow();
        assert_eq!(orders.course.up.cuts, 1);
        assert_eq!(orders.course.down, Course::default());
        assert_eq!(control.settings(), Duplex::default());
    }

    #[test]
    fn an_order_is_settled_when_every_client_has_obeyed_or_is_gone() {
        let control = Control::new(Duplex::default());
        let (one, orders) = control.welcome();
        let (two, _orders) = control.welcome();
        assert!(control.settled().now_or_never().is_some());

        control.rebind();
        let mut settled = Box::pin(control.settled());
        assert!(settled.as_mut().now_or_never().is_none());
        one.obeyed(&orders.borrow());
        assert!(settled.as_mut().now_or_never().is_none());
        drop(two);
        assert!(settled.as_mut().now_or_never().is_some());

        let late = control.welcome();
        assert!(control.settled().now_or_never().is_some());
        assert_eq!((late.0.number, control.totals().active), (2, 2));
    }
}
