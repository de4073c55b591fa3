//! Asks a peer which paths it publishes.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::FutureExt;
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

/// Both halves of the stream. Boxed, since futures keep a copy of what is moved through them.
type Opened<S> = (AnnounceRequest<S>, AnnounceReader<S>);

/// Follows the peer's announcements below `prefix` into `set`, until nobody listens there any
/// more. An end of the stream ends every path.
pub(in crate::session) async fn run<S: wt::Session>(
    state: Arc<State<S>>,
    prefix: Path,
    set: Arc<AnnounceSet>,
    ignored: CancellationToken,
    opened: Option<Box<Opened<S>>>,
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
    opened: Option<Box<Opened<S>>>,
) -> Result<(), Error> {
    let mut opened = match opened {
        Some(opened) => opened,
        None => open(state, prefix).boxed().await?,
    };
    let mut known = HashSet::new();
    while let Some(announce) = opened.1.next().await? {
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

async fn open<S: wt::Session>(state: &State<S>, prefix: Path) -> Result<Box<Opened<S>>, Error> {
    let opened = announce(&state.session, state.dialect, Filter::Prefix(prefix)).await?;
    Ok(Box::new(opened))
}
