//! Serves ANNOUNCE_PLEASE: tells the peer which paths come and go.

use std::sync::Arc;

use moq_transfork::message::AnnouncePlease;
use moq_transfork::stream::{AnnounceWriter, RequestReader};
use tracing::debug;
use web_transport_trait as wt;

use crate::announced::Announcement;
use crate::error::Error;
use crate::session::state::State;
use crate::source::Source;

/// Bytes of announcements that are gathered into one write.
const MAX_QUEUED: usize = 16 * 1024;

pub(super) async fn serve<S: wt::Session>(
    state: Arc<State<S>>,
    source: Arc<dyn Source>,
    please: AnnouncePlease,
    mut writer: AnnounceWriter<S>,
    mut reader: RequestReader<S>,
) {
    let _following = state.tally.follow();
    let outcome = tokio::select! {
        biased;
        // The peer has heard enough.
        closed = reader.closed() => closed.map_err(Error::from),
        told = tell(&state, &source, &please, &mut writer) => told,
    };
    match outcome {
        Ok(()) => {
            let _gone = writer.finish();
        }
        Err(error) => {
            debug!(%error, "announcements end");
            writer.abort(error.code());
        }
    }
}

/// Tells everything that is there and everything that changes, gathering what is at hand into one
/// write.
async fn tell<S: wt::Session>(
    state: &State<S>,
    source: &Arc<dyn Source>,
    please: &AnnouncePlease,
    writer: &mut AnnounceWriter<S>,
) -> Result<(), Error> {
    let mut announced = source.announced(&please.filter.prefix());
    while let Some(first) = announced.next().await {
        let mut next = Some(first);
        let mut count = 0;
        while let Some(announcement) = next {
            match &announcement {
                Announcement::Active(path) => writer.queue_active(path),
                Announcement::Ended(path) => writer.queue_ended(path),
                Announcement::Live => writer.queue_live(),
            }
            count += u64::from(announcement != Announcement::Live);
            next = if writer.queued() >= MAX_QUEUED {
                None
            } else {
                announced.try_next()
            };
        }
        if next.is_none() && writer.queued() >= MAX_QUEUED {
            state.begin_sending();
        }
        state.tally.sent.add(count);
        state.context.stats.announcements_sent.add(count);
        writer.flush().await?;
    }
    announced.into_end()
}
