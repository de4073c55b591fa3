//! Subscribes to a track of a peer, once, with the demand of all its readers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use moq_transfork::dialect::Dialect;
use tokio::time::{sleep, timeout};
use tracing::{Instrument, debug, info, info_span};
use web_transport_trait as wt;

use crate::error::Error;
use crate::model::track::TrackProducer;
use crate::session::ingest::upstream::{Left, Upstream, unused};
use crate::session::peer::Peer;
use crate::session::state::State;

/// How long a stream that has arrived may take to say which group it carries before its track ends
/// without it.
const HEADER_TIME: Duration = Duration::from_secs(1);

/// Takes the track out of the peer's table, whichever way the task ends.
struct Entry<S: wt::Session> {
    state: Arc<State<S>>,
    peer: Peer,
    track: Arc<TrackProducer>,
    /// Set once the publisher has ended the track, even if groups may still follow.
    finished: AtomicBool,
}

/// Keeps a track fed for as long as anybody reads it, and a moment longer.
pub(in crate::session) async fn run<S: wt::Session>(
    state: Arc<State<S>>,
    peer: Peer,
    track: TrackProducer,
) -> Result<(), Error> {
    let span = info_span!("upstream", path = %track.path());
    let entry = Entry {
        state: state.clone(),
        peer,
        track: Arc::new(track),
        finished: AtomicBool::new(false),
    };
    async {
        let track = &entry.track;
        let outcome = tokio::select! {
            outcome = follow(&entry) => outcome,
            never = expire(track) => never,
        };
        let outcome = match outcome {
            Err(Error::Transport(_)) if entry.state.is_over().await => Err(Error::Dropped),
            outcome => outcome,
        };
        match outcome {
            Ok(()) => debug!("subscription ends"),
            Err(ref error) => info!(%error, "subscription fails"),
        }
        track.end(outcome);
    }
    .instrument(span)
    .await;
    Ok(())
}

/// Subscribes, and again whenever the readers want more than the SUBSCRIBE in force can give.
async fn follow<S: wt::Session>(entry: &Entry<S>) -> Result<(), Error> {
    let Entry { state, track, .. } = entry;
    let linger = state.context.limits.linger;
    let mut upstream = tokio::select! {
        upstream = Upstream::open(state, track) => upstream?,
        () = unused(track, linger) => return Ok(()),
    };
    loop {
        match upstream.serve(track).await? {
            Left::Finished => return entry.finish().await,
            Left::Unused => return Ok(()),
            Left::Superseded => {
                // The peer would cut the groups that are under way.
                let rest = upstream.retire(track.newest().unwrap_or_default());
                let _cut = timeout(state.context.limits.max_backlog, rest).await;
                return Ok(());
            }
            Left::Widened => {}
        }
        // This one stays in force until the next one is.
        let next = tokio::select! {
            next = Upstream::open(state, track) => next,
            left = upstream.hold(track) => match left? {
                Left::Finished => return entry.finish().await,
                Left::Unused | Left::Widened | Left::Superseded => return Ok(()),
            },
        };
        match next {
            Ok(next) => {
                let latest = next.latest();
                let before = std::mem::replace(&mut upstream, next);
                state.chore(before.retire(latest));
            }
            Err(error) if error.is_loss() => return Err(error),
            Err(error) => {
                debug!(%error, "publisher gives no more than it does");
                upstream.widen_no_more();
            }
        }
    }
}

impl<S: wt::Session> Entry<S> {
    /// The publisher has ended the track.
    async fn finish(&self) -> Result<(), Error> {
        self.finished.store(true, Ordering::Relaxed);
        // Whoever comes now asks the publisher anew.
        self.peer.shelve(&self.track);
        if self.state.dialect == Dialect::Draft03 {
            // All groups have arrived, but those whose tasks did not run yet are not known.
            self.state.know_arrivals(HEADER_TIME).await;
        } else {
            // The forks do not wait for their groups, which travel on streams of their own.
            sleep(self.state.context.limits.linger).await;
        }
        Ok(())
    }
}

/// Gives up groups that are too old, also if no new ones come.
async fn expire(track: &TrackProducer) -> Result<(), Error> {
    loop {
        sleep(track.look_period()).await;
        track.expire();
    }
}

impl<S: wt::Session> Drop for Entry<S> {
    fn drop(&mut self) {
        let finished = self.finished.load(Ordering::Relaxed);
        self.track.end(if finished {
            Ok(())
        } else {
            Err(Error::Dropped)
        });
        self.peer.shelve(&self.track);
        if let Some(tidy) = self.peer.tidy() {
            self.state.chore(tidy);
        }
    }
}
