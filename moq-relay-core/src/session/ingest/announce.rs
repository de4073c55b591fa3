//! Asks a peer which paths it publishes.

use std::sync::Arc;

use futures_util::FutureExt;
use moq_transfork::filter::Filter;
use moq_transfork::message::Announce;
use moq_transfork::path::Path;
use moq_transfork::stream::{AnnounceReader, AnnounceRequest, announce};
use tracing::{debug, warn};
use web_transport_trait as wt;

use crate::announced::{AnnounceSet, Ignored};
use crate::error::Error;
use crate::session::state::State;

/// Both halves of the stream. Boxed, since futures keep a copy of what is moved through them.
type Opened<S> = (AnnounceRequest<S>, AnnounceReader<S>);

/// Follows the peer's announcements below `prefix` into `set`, which is empty, until nobody listens
/// there any more. An end of the stream ends every path.
pub(in crate::session) fn run<S: wt::Session>(
    state: Arc<State<S>>,
    prefix: Path,
    set: Arc<AnnounceSet>,
    ignored: Ignored,
    opened: Option<Box<Opened<S>>>,
) -> impl Future<Output = Result<(), Error>> + Send {
    let opening = match opened {
        Some(opened) => std::future::ready(Ok(opened)).boxed(),
        None => open(state.clone(), prefix).boxed(),
    };
    // Not an async function, which would hold its arguments twice: there is one for every peer.
    async move {
        let follow = async {
            let mut opened = opening.await?;
            while let Some(announce) = opened.1.next().await? {
                take_in(&state, &set, &announce);
            }
            Ok::<_, Error>(())
        };
        tokio::select! {
            biased;
            _nobody = ignored => {}
            followed = follow => {
                if let Err(error) = followed {
                    debug!(%error, "peer's announcements end");
                }
            }
        }
        set.close();
        Ok(())
    }
}

fn take_in<S: wt::Session>(state: &State<S>, set: &AnnounceSet, announce: &Announce) {
    let stats = &state.context.stats;
    if *announce != Announce::Live {
        state.tally.received.add(1);
        stats.announcements_received.add(1);
    }
    let sensible = match announce {
        Announce::Active(path) => {
            set.len() < state.context.limits.max_announced && set.insert(path)
        }
        Announce::Ended(path) => set.remove(path),
        Announce::Live => {
            set.live();
            true
        }
    };
    // One too many, active twice, or ended without active: the others stay.
    if !sensible {
        stats.announce_errors.add(1);
        warn!("peer's announcement makes no sense and is passed over");
    }
}

async fn open<S: wt::Session>(state: Arc<State<S>>, prefix: Path) -> Result<Box<Opened<S>>, Error> {
    let opened = announce(&state.session, state.dialect, Filter::Prefix(prefix)).await?;
    Ok(Box::new(opened))
}
