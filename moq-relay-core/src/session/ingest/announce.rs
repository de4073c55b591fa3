//! Asks a peer which paths it publishes.

use std::future::ready;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moq_transfork::filter::Filter;
use moq_transfork::message::Announce;
use moq_transfork::path::Path;
use moq_transfork::stream::{AnnounceReader, AnnounceRequest, announce};
use tokio::task::coop::consume_budget;
use tracing::{debug, warn};
use web_transport_trait as wt;

use crate::announced::Feeder;
use crate::error::Error;
use crate::session::state::State;

/// Both halves of the stream. Boxed, since futures keep a copy of what is moved through them.
type Opened<S> = Box<(AnnounceRequest<S>, AnnounceReader<S>)>;

/// What a peer announces below a prefix.
pub(crate) struct Announces<S: wt::Session> {
    state: Arc<State<S>>,
    /// Opens the stream.
    opening: BoxFuture<'static, Result<Opened<S>, Error>>,
}

impl<S: wt::Session> Announces<S> {
    pub(in crate::session) fn new(state: Arc<State<S>>, prefix: Path) -> Self {
        let opening = open(state.clone(), prefix).boxed();
        Self { state, opening }
    }

    /// On a stream that is open already.
    pub(in crate::session) fn on(
        state: Arc<State<S>>,
        opened: (AnnounceRequest<S>, AnnounceReader<S>),
    ) -> Self {
        let opening = ready(Ok(Box::new(opened))).boxed();
        Self { state, opening }
    }

    /// Hands over each announcement, until there are no more. `take` returns false for one that makes
    /// no sense: a path that is announced already, or one that ends and was not announced.
    pub(crate) fn each(
        self,
        mut take: impl FnMut(&Announce) -> bool + Send,
    ) -> impl Future<Output = ()> + Send {
        let Self { state, opening } = self;
        // Not an async function, which would hold its arguments twice: there is one for every peer.
        async move {
            let each = async {
                let mut opened = opening.await?;
                let mut known = 0;
                loop {
                    // Others have their turn, however many have arrived.
                    consume_budget().await;
                    let Some(announce) = opened.1.next().await? else {
                        return Ok::<_, Error>(());
                    };
                    take_in(&state, &announce, &mut known, &mut take);
                }
            };
            if let Err(error) = each.await {
                debug!(%error, "peer's announcements end");
            }
        }
    }
}

/// Feeds a set, which is empty, with the peer's announcements, until nobody listens there any more.
/// An end of the stream ends every path.
pub(in crate::session) async fn run<S: wt::Session>(
    announces: Announces<S>,
    mut feeder: Feeder,
) -> Result<(), Error> {
    let set = feeder.set();
    let follow = announces.each(|announce| match announce {
        Announce::Active(path) => set.insert(path),
        Announce::Ended(path) => set.remove(path),
        Announce::Live => {
            set.live();
            true
        }
    });
    tokio::select! {
        biased;
        () = feeder.ignored() => {}
        () = follow => {}
    }
    Ok(())
}

/// Hands one announcement over, unless it is one too many, and keeps count of the paths.
fn take_in<S: wt::Session>(
    state: &State<S>,
    announce: &Announce,
    known: &mut usize,
    take: &mut impl FnMut(&Announce) -> bool,
) {
    let stats = &state.context.stats;
    if *announce != Announce::Live {
        state.tally.received.add(1);
        stats.announcements_received.add(1);
    }
    let is_full = *known >= state.context.limits.max_announced;
    let is_too_many = is_full && matches!(announce, Announce::Active(_));
    let sensible = !is_too_many && take(announce);
    match announce {
        // The others stay.
        _ if !sensible => {
            stats.announce_errors.add(1);
            warn!("peer's announcement makes no sense and is passed over");
        }
        Announce::Active(_) => *known += 1,
        Announce::Ended(_) => *known -= 1,
        Announce::Live => {}
    }
}

async fn open<S: wt::Session>(state: Arc<State<S>>, prefix: Path) -> Result<Opened<S>, Error> {
    let opened = announce(&state.session, state.dialect, Filter::Prefix(prefix)).await?;
    Ok(Box::new(opened))
}
