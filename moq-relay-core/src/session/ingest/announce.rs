//! Asks a peer which paths it publishes.

use std::collections::HashSet;
use std::sync::Arc;

use moq_transfork::filter::Filter;
use moq_transfork::message::Announce;
use moq_transfork::path::Path;
use moq_transfork::stream::{AnnounceReader, AnnounceRequest, announce};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use web_transport_trait as wt;

use crate::announced::AnnounceSet;
use crate::error::Error;
use crate::session::state::State;

/// Follows the peer's announcements below `prefix` into `set`, until nobody listens there any
/// more. An end of the stream ends every path.
pub(in crate::session) async fn run<S: wt::Session>(
    state: Arc<State<S>>,
    prefix: Path,
    set: Arc<AnnounceSet>,
    ignored: CancellationToken,
    opened: Option<(AnnounceRequest<S>, AnnounceReader<S>)>,
) -> Result<(), Error> {
    tokio::select! {
        biased;
        () = ignored.cancelled() => {}
        followed = follow(&state, prefix, &set, opened) => {
            if let Err(error) = followed {
                debug!(%error, "peer's announcements end");
            }
        }
    }
    set.close();
    Ok(())
}

async fn follow<S: wt::Session>(
    state: &State<S>,
    prefix: Path,
    set: &AnnounceSet,
    opened: Option<(AnnounceRequest<S>, AnnounceReader<S>)>,
) -> Result<(), Error> {
    let (_request, mut reader) = match opened {
        Some(opened) => opened,
        None => announce(&state.session, state.dialect, Filter::Prefix(prefix)).await?,
    };
    let mut known = HashSet::new();
    while let Some(announce) = reader.next().await? {
        if announce != Announce::Live {
            state.tally.received.add(1);
            state.context.stats.announcements_received.add(1);
        }
        let sensible = match announce {
            Announce::Active(path) => {
                let room = known.len() < state.context.limits.max_announced;
                if room {
                    set.insert(&path);
                }
                room && known.insert(path)
            }
            Announce::Ended(path) => {
                set.remove(&path);
                known.remove(&path)
            }
            Announce::Live => {
                set.live();
                true
            }
        };
        // One too many, active twice, or ended without active: the others stay.
        if !sensible {
            state.context.stats.announce_errors.add(1);
            warn!("peer's announcement makes no sense and is passed over");
        }
    }
    Ok(())
}
