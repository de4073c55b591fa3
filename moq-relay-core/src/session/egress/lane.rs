//! The stream that a subscription's next group will travel on.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moq_transfork::stream::GroupWriter;
use tokio::time::Instant;
use web_transport_trait as wt;

use crate::error::Error;
use crate::session::state::State;

/// The least time that a stream is waited for before that is news: timers count in milliseconds.
const MOMENT: Duration = Duration::from_millis(1);

/// The stream that a subscription's next group will travel on.
///
/// The group is chosen only once its stream is open, so that a peer that grants few streams gets
/// the group that is best by then, and a stale one never costs a stream.
pub(super) struct Lane<S: wt::Session> {
    /// Boxed: as a rule a stream opens at once.
    opening: Option<Box<Opening<S>>>,
}

/// A stream that is being opened.
struct Opening<S: wt::Session> {
    stream: BoxFuture<'static, Result<GroupWriter<S>, Error>>,
    since: Instant,
}

impl<S: wt::Session> Lane<S> {
    pub(super) fn new() -> Self {
        Self { opening: None }
    }

    /// Opens a stream, which it does at once as a rule; if not, it begins to. Not to be called while
    /// one is being opened.
    pub(super) fn open(
        &mut self,
        state: &Arc<State<S>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<GroupWriter<S>, Error>> {
        // Without an allocation.
        if let Poll::Ready(opened) = pin!(state.open_group()).poll(cx) {
            return Poll::Ready(opened);
        }
        let state = state.clone();
        self.opening = Some(Box::new(Opening {
            stream: async move { state.open_group().await }.boxed(),
            since: Instant::now(),
        }));
        self.poll(cx)
    }

    pub(super) fn is_opening(&self) -> bool {
        self.opening.is_some()
    }

    /// Waits for the stream that is being opened.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<GroupWriter<S>, Error>> {
        let Some(opening) = &mut self.opening else {
            return Poll::Pending;
        };
        let opened = ready!(opening.stream.as_mut().poll(cx));
        self.opening = None;
        Poll::Ready(opened)
    }

    /// When a stream will have been opening for so long, if one is: for a moment at least.
    pub(super) fn overdue(&self, time: Duration) -> Option<Instant> {
        let time = time.max(MOMENT);
        self.opening.as_ref().map(|opening| opening.since + time)
    }

    /// Counts the time that a stream has been opening from now.
    pub(super) fn wait_again(&mut self) {
        if let Some(opening) = &mut self.opening {
            opening.since = Instant::now();
        }
    }
}
