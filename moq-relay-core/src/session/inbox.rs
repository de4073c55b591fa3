//! What a session's driver is to do.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use moq_transfork::code::Code;
use tokio::sync::oneshot;

use crate::error::Error;
use crate::session::peer::Ask;
use crate::shared::{Seat, Shared};

/// Requests to a peer that wait for its driver. More than this fail at once.
const MAX_ASKS: usize = 1024;

/// Chores that tasks of a session have handed to its driver and that wait to be started.
const MAX_CHORES: usize = 4096;

/// What a session's driver is to do: the peer's handle and the session's tasks put it in.
///
/// Every session has one, and few use it much: it holds nothing until something is put in.
#[derive(Default)]
pub(super) struct Inbox {
    waiting: Shared<Waiting>,
}

#[derive(Default)]
struct Waiting {
    close: Option<(Code, String)>,
    take_in: Vec<oneshot::Sender<()>>,
    chores: VecDeque<BoxFuture<'static, ()>>,
    asks: VecDeque<Box<Ask>>,
    /// True once nobody takes anything out any more.
    over: bool,
}

/// One thing to do.
pub(super) enum Errand {
    /// The session is to be closed.
    Close(Code, String),
    /// All streams that have arrived are to be taken in, and then those told who wait for it.
    TakeIn(Vec<oneshot::Sender<()>>),
    /// Something is to be run.
    Chore(BoxFuture<'static, ()>),
    /// The handle asks for something.
    Ask(Box<Ask>),
}

/// The driver's end. Dropping it throws away what waits, and nothing gets in any more: that rings,
/// so there is no seat to be left.
pub(super) struct Outlet {
    inbox: Arc<Inbox>,
    seat: Seat,
}

impl Inbox {
    /// Puts in what the handle asks.
    ///
    /// # Errors
    /// [`Error::TooMany`] if too much waits already, [`Error::Dropped`] if the driver is gone.
    pub(super) fn ask(&self, ask: Ask) -> Result<(), Error> {
        let refused = self.waiting.change(|waiting| {
            if waiting.over {
                return Some((Error::Dropped, ask));
            }
            if waiting.asks.len() >= MAX_ASKS {
                return Some((Error::TooMany("requests"), ask));
            }
            waiting.asks.push_back(Box::new(ask));
            None
        });
        // Outside the lock: what it owns may want to put something in.
        refused.map_or(Ok(()), |(error, _ask)| Err(error))
    }

    /// Has something run. It is dropped if too much waits for that already.
    pub(super) fn chore(&self, chore: BoxFuture<'static, ()>) {
        let refused = self.waiting.change(|waiting| {
            if waiting.over || waiting.chores.len() >= MAX_CHORES {
                return Some(chore);
            }
            waiting.chores.push_back(chore);
            None
        });
        // Outside the lock: what it owns may want to put something in.
        drop(refused);
    }

    /// Has all streams taken in that have arrived, and waits until they are, or the driver is gone.
    pub(super) async fn take_in(&self) {
        let (done, taken_in) = oneshot::channel();
        self.waiting.change(|waiting| {
            if !waiting.over {
                waiting.take_in.push(done);
            }
        });
        let _gone = taken_in.await;
    }

    /// Has the session closed, for the first reason given.
    pub(super) fn close(&self, code: Code, reason: &str) {
        self.waiting.change(|waiting| {
            let reason = || (code, reason.to_owned());
            waiting.close.get_or_insert_with(reason);
        });
    }
}

impl Outlet {
    /// Takes the other end of an inbox, which has just one.
    pub(super) fn new(inbox: Arc<Inbox>) -> Self {
        let seat = Seat::default();
        Self { inbox, seat }
    }

    /// Waits for the next thing to do. Cancel-safe.
    pub(super) async fn next(&mut self) -> Errand {
        let Self { inbox, seat } = self;
        poll_fn(|cx| inbox.waiting.poll(seat, cx, Waiting::next)).await
    }
}

impl Waiting {
    fn next(&mut self) -> Option<Errand> {
        if let Some((code, reason)) = self.close.take() {
            return Some(Errand::Close(code, reason));
        }
        if !self.take_in.is_empty() {
            return Some(Errand::TakeIn(std::mem::take(&mut self.take_in)));
        }
        if let Some(chore) = self.chores.pop_front() {
            return Some(Errand::Chore(chore));
        }
        self.asks.pop_front().map(Errand::Ask)
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        let over = Waiting {
            over: true,
            ..Waiting::default()
        };
        // What waited is dropped outside the lock, and may want to put something in.
        let _rest = self
            .inbox
            .waiting
            .change(|waiting| std::mem::replace(waiting, over));
    }
}
