//! The stream that a subscription's next group will travel on.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moq_transfork::stream::GroupWriter;
use web_transport_trait as wt;

use crate::error::Error;
use crate::session::state::State;

/// The stream that a subscription's next group will travel on.
///
/// The group is chosen only once its stream is open, so that a peer that grants few streams gets
/// the group that is best by then, and a stale one never costs a stream.
pub(super) enum Lane<S: wt::Session> {
    Idle,
    Opening(BoxFuture<'static, Result<GroupWriter<S>, Error>>),
    Open(GroupWriter<S>),
}

impl<S: wt::Session> Lane<S> {
    /// Begins to open a stream, if none is open or about to be.
    pub(super) fn open(&mut self, state: &Arc<State<S>>) {
        if matches!(self, Self::Idle) {
            let state = state.clone();
            *self = Self::Opening(async move { state.open_group().await }.boxed());
        }
    }

    pub(super) fn is_opening(&self) -> bool {
        matches!(self, Self::Opening(_))
    }

    /// Waits for the stream that is being opened. Cancel-safe.
    pub(super) async fn opened(&mut self) -> Result<(), Error> {
        if let Self::Opening(opening) = self {
            let opened = opening.await;
            *self = Self::Idle;
            *self = Self::Open(opened?);
        }
        Ok(())
    }

    /// Takes the stream if it is open.
    pub(super) fn take(&mut self) -> Option<GroupWriter<S>> {
        if !matches!(self, Self::Open(_)) {
            return None;
        }
        match std::mem::replace(self, Self::Idle) {
            Self::Open(writer) => Some(writer),
            Self::Idle | Self::Opening(_) => None,
        }
    }

    /// Gives the stream back.
    pub(super) fn put(&mut self, writer: GroupWriter<S>) {
        *self = Self::Open(writer);
    }
}
