//! Tells a subscriber of groups that will not come, without making anything else wait for it.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moq_transfork::message::SubscribeGap;
use moq_transfork::stream::{StreamError, SubscribeWriter};
use web_transport_trait as wt;

use crate::error::Error;
use crate::model::track::Gap;

/// Gaps that may wait to be told before the subscriber gets nothing new.
const MAX_OWED: usize = 1024;

/// Our half of a subscribe stream, and what is still to be said on it.
///
/// A subscriber that does not read its subscribe stream, or whose link is full of groups, is told
/// later; until then its groups go on, and are given up, as ever.
pub(super) struct Teller<S: wt::Session> {
    talk: Talk<S>,
    owed: VecDeque<Gap>,
}

/// The stream itself. A write cannot be called off, so the write under way owns it.
enum Talk<S: wt::Session> {
    Idle(SubscribeWriter<S>),
    Busy(BoxFuture<'static, Result<SubscribeWriter<S>, StreamError>>),
    Failed,
}

impl<S: wt::Session> Teller<S> {
    pub(super) fn new(writer: SubscribeWriter<S>) -> Self {
        Self {
            talk: Talk::Idle(writer),
            owed: VecDeque::new(),
        }
    }

    /// Puts a gap in line.
    pub(super) fn tell(&mut self, gap: Gap) {
        self.owed.push_back(gap);
    }

    /// True if everything was told.
    pub(super) fn is_quiet(&self) -> bool {
        self.owed.is_empty() && !matches!(self.talk, Talk::Busy(_))
    }

    /// True if so much waits to be told that nothing may be added that can wait.
    pub(super) fn is_full(&self) -> bool {
        self.owed.len() >= MAX_OWED
    }

    /// Tells what there is to tell, until nothing is left.
    ///
    /// # Errors
    /// If the subscriber does not want to hear it, or the session failed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            self.begin();
            let Talk::Busy(write) = &mut self.talk else {
                return Poll::Ready(Ok(()));
            };
            let written = ready!(write.as_mut().poll(cx));
            self.talk = Talk::Failed;
            self.talk = Talk::Idle(written?);
        }
    }

    /// Begins to write all that is owed, unless something is being written.
    fn begin(&mut self) {
        if self.owed.is_empty() {
            return;
        }
        match std::mem::replace(&mut self.talk, Talk::Failed) {
            Talk::Idle(writer) => {
                let gaps = std::mem::take(&mut self.owed);
                self.talk = Talk::Busy(write(writer, gaps).boxed());
            }
            Talk::Busy(write) => self.talk = Talk::Busy(write),
            Talk::Failed => self.owed.clear(),
        }
    }

    /// Returns the stream to be ended, unless a write is under way or has failed: then it is reset.
    pub(super) fn into_writer(self) -> Option<SubscribeWriter<S>> {
        match self.talk {
            Talk::Idle(writer) => Some(writer),
            Talk::Busy(_) | Talk::Failed => None,
        }
    }
}

async fn write<S: wt::Session>(
    mut writer: SubscribeWriter<S>,
    gaps: VecDeque<Gap>,
) -> Result<SubscribeWriter<S>, StreamError> {
    for gap in gaps {
        let start = *gap.groups.start();
        let count = gap.groups.end() - start;
        let code = gap.code;
        writer.gap(&SubscribeGap { start, count, code }).await?;
    }
    Ok(writer)
}
