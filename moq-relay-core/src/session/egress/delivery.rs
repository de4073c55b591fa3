//! One group on its way to one subscriber.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moq_transfork::message::GroupHeader;
use moq_transfork::stream::{GroupWriter, StreamError};
use tokio::time::Instant;
use web_transport_trait as wt;

use crate::error::Error;
use crate::model::group::{GroupConsumer, Opening};
use crate::session::egress::pace::{Order, Orders};
use crate::session::state::State;

/// How far a delivery has come.
pub(super) enum Progress<S: wt::Session> {
    /// The transport has the whole group. What remains is that the peer acknowledges it.
    Sent(Box<Delivery<S>>),
    /// It is over.
    Ended(Delivered),
}

/// How a delivery ended.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) sequence: u64,
    /// `Ok` if the peer has the whole group.
    pub(super) outcome: Result<(), Error>,
}

/// One group on its way.
pub(super) struct Delivery<S: wt::Session> {
    state: Arc<State<S>>,
    writer: GroupWriter<S>,
    group: GroupConsumer,
    orders: Orders,
    opened: Instant,
    priority: Option<i32>,
    /// True once anything was written.
    begun: bool,
}

impl<S: wt::Session> Delivery<S> {
    pub(super) fn new(
        state: Arc<State<S>>,
        writer: GroupWriter<S>,
        group: GroupConsumer,
        orders: Orders,
        opened: Instant,
    ) -> Self {
        Self {
            state,
            writer,
            group,
            orders,
            opened,
            priority: None,
            begun: false,
        }
    }

    pub(super) fn sequence(&self) -> u64 {
        self.group.sequence()
    }

    /// Sends the group to its end, or until it is given up.
    pub(super) fn send(mut self, subscribe: u64) -> BoxFuture<'static, Progress<S>> {
        // The block holds the delivery once, an `async fn` would twice.
        let sending = async move {
            match self.send_all(subscribe).await {
                Ok(()) => Progress::Sent(Box::new(self)),
                Err(error) => Progress::Ended(self.end(Err(error))),
            }
        };
        sending.boxed()
    }

    /// Sends everything that is there, in one write each time there is more, and the end.
    async fn send_all(&mut self, subscribe: u64) -> Result<(), Error> {
        loop {
            // Not `while let`, which would hold what it has looked at during the write.
            let Some(bytes) = poll_fn(|cx| self.poll_bytes(cx, subscribe)).await? else {
                break;
            };
            let Self {
                writer,
                group,
                orders,
                ..
            } = self;
            tokio::select! {
                biased;
                written = writer.write_wire(bytes) => written?,
                // The subscriber is slow.
                error = poll_fn(|cx| poll_cut(group, orders, cx)) => return Err(error),
            }
        }
        Ok(self.writer.finish().await?)
    }

    /// Waits for more of the group. It begins with the stream's header, which an empty group is left
    /// to end with.
    fn poll_bytes(
        &mut self,
        cx: &Context<'_>,
        subscribe: u64,
    ) -> Poll<Result<Option<Bytes>, Error>> {
        self.review()?;
        let (bytes, size) = if self.begun {
            let more = ready!(self.group.poll_wire(cx))?;
            let size = more.as_ref().map_or(0, Bytes::len);
            (more, size)
        } else {
            let opening = ready!(self.poll_opening(cx, subscribe))?;
            let size = opening.as_ref().map_or(0, Opening::read);
            (opening.map(|opening| opening.bytes), size)
        };
        self.begun = true;
        self.state.context.stats.bytes_delivered.add(size as u64);
        Poll::Ready(Ok(bytes))
    }

    fn poll_opening(
        &mut self,
        cx: &Context<'_>,
        subscribe: u64,
    ) -> Poll<Result<Option<Opening>, Error>> {
        let header = GroupHeader {
            subscribe,
            sequence: self.sequence(),
        };
        let Self { writer, group, .. } = self;
        let opening = group.poll_opening(cx, subscribe, || Ok(writer.header_bytes(&header)?));
        let opening = ready!(opening)?;
        if opening.is_none() {
            writer.header(&header)?;
        }
        Poll::Ready(Ok(opening))
    }

    /// Waits until the peer has it all, or it is given up: until then it can be, to make way for
    /// newer ones.
    pub(super) async fn acknowledged(mut self: Box<Self>) -> Delivered {
        let outcome = loop {
            // The stream is needed while it is waited for, to change its priority.
            if let Err(error) = self.review() {
                break Err(error);
            }
            let Self {
                writer,
                group,
                orders,
                ..
            } = &mut *self;
            let mut closed = pin!(writer.closed());
            let closed = poll_fn(|cx| match closed.as_mut().poll(cx) {
                Poll::Ready(closed) => Poll::Ready(Some(closed)),
                Poll::Pending if orders.look(group.sequence()).is_some() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            });
            if let Some(closed) = closed.await {
                break outcome(closed);
            }
        };
        self.end(outcome)
    }

    /// Returns how it ended, if the peer has it all by now or does not want it.
    pub(super) fn try_acknowledged(&mut self) -> Option<Result<(), Error>> {
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(self.writer.closed()).poll(&mut cx) {
            Poll::Ready(closed) => Some(outcome(closed)),
            Poll::Pending => None,
        }
    }

    /// Does what is ordered by now, or says why the group is to be given up.
    pub(super) fn review(&mut self) -> Result<(), Error> {
        match self.orders.heed(self.group.sequence()) {
            Some(Order::GiveUp(error)) => return Err(error),
            Some(Order::Send(priority)) if self.priority != Some(priority) => {
                self.priority = Some(priority);
                self.writer.set_priority(priority);
            }
            Some(Order::Send(_)) | None => {}
        }
        Ok(())
    }

    pub(super) fn end(self, outcome: Result<(), Error>) -> Delivered {
        let sequence = self.sequence();
        let stats = &self.state.context.stats;
        match &outcome {
            Ok(()) => stats.groups_delivered.add(1),
            Err(error) => {
                stats.groups_given_up.add(1);
                if self.begun {
                    self.state.abandon(self.writer, error.code(), self.opened);
                } else {
                    self.state.return_unused(self.writer);
                }
            }
        }
        Delivered { sequence, outcome }
    }
}

/// Waits until the group is given up, or cut short.
fn poll_cut(group: &mut GroupConsumer, orders: &Orders, cx: &Context<'_>) -> Poll<Error> {
    match orders.look(group.sequence()) {
        Some(Order::GiveUp(error)) => Poll::Ready(error),
        // Another priority is set once this is written.
        Some(Order::Send(_)) | None => group.poll_cut(cx),
    }
}

/// What the end of a stream that was finished says of its group.
fn outcome(closed: Result<(), StreamError>) -> Result<(), Error> {
    match closed {
        // The subscriber did not want the rest, which is its own choice.
        Ok(()) | Err(StreamError::Reset(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
