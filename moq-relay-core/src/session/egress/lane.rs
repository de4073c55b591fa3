//! The stream that a subscription's next group will travel on.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moq_transfork::stream::GroupWriter;
use tokio::time::{Instant, sleep_until};
use web_transport_trait as wt;

use crate::error::Error;
use crate::session::state::State;

/// The stream that a subscription's next group will travel on.
///
/// The group is chosen only once its stream is open, so that a peer that grants few streams gets
/// the group that is best by then, and a stale one never costs a stream.
pub(super) enum Lane<S: wt::Session> {
    Idle,
    Opening {
        stream: BoxFuture<'static, Result<GroupWriter<S>, Error>>,
        since: Instant,
    },
    Open(GroupWriter<S>),
}

impl<S: wt::Session> Lane<S> {
    /// Begins to open a stream, if none is open or about to be.
    pub(super) fn open(&mut self, state: &Arc<State<S>>) {
        if matches!(self, Self::Idle) {
            let state = state.clone();
            *self = Self::Opening {
                stream: async move { state.open_group().await }.boxed(),
                since: Instant::now(),
            };
        }
    }

    pub(super) fn is_opening(&self) -> bool {
        matches!(self, Self::Opening { .. })
    }

    /// Waits for the stream that is being opened. Cancel-safe.
    pub(super) async fn opened(&mut self) -> Result<(), Error> {
        if let Self::Opening { stream, .. } = self {
            let opened = stream.await;
            *self = Self::Idle;
            *self = Self::Open(opened?);
        }
        Ok(())
    }

    /// Waits until a stream has been opening for so long; for ever if none is. Cancel-safe.
    pub(super) fn overdue(&self, time: Duration) -> impl Future<Output = ()> + Send + use<S> {
        let due = match self {
            Self::Opening { since, .. } => Some(*since + time),
            Self::Idle | Self::Open(_) => None,
        };
        async move {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Counts the time that a stream has been opening from now.
    pub(super) fn wait_again(&mut self) {
        if let Self::Opening { since, .. } = self {
            *since = Instant::now();
        }
    }

    /// Takes the stream if it is open.
    pub(super) fn take(&mut self) -> Option<GroupWriter<S>> {
        if !matches!(self, Self::Open(_)) {
            return None;
        }
        match std::mem::replace(self, Self::Idle) {
            Self::Open(writer) => Some(writer),
            Self::Idle | Self::Opening { .. } => None,
        }
    }
}
