//! Keeps one node linked, again and again.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use moq_relay_core::role::NodeName;
use moq_relay_core::session::Peer;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::cluster::Shared;
use crate::connect::{LinkError, Target, connect};
use crate::dial::Dial;
use crate::link;
use crate::links::Pursuit;

/// Keeps a node linked for as long as it is wanted, by whichever side dials. `attend` runs beside
/// every link that is dialled here.
pub(crate) async fn run<D: Dial, F: Future<Output = ()> + Send>(
    shared: &Shared<D>,
    name: &NodeName,
    target: Target,
    mut wanted: watch::Receiver<bool>,
    mut attend: impl FnMut(Peer) -> F + Send,
) {
    let timing = &shared.config.timing;
    let mut backoff = Backoff::new(timing.backoff_min, timing.backoff_max, shared.random());
    let mut linked = shared.links.linked(name);
    while *wanted.borrow_and_update() {
        tokio::select! {
            biased;
            unlinked = linked.wait_for(|linked| !linked) => drop(unlinked),
            changed = wanted.changed() => match changed {
                Ok(()) => continue,
                Err(_shut_down) => break,
            },
        }
        if target == Target::Node && the_other_dials(shared, name, &mut linked).await {
            continue;
        }
        // Boxed: a pursuit that waits for the other side is small.
        let attempt = Box::pin(attempt(shared, name, target, &mut attend));
        let pause = match attempt.await {
            Ok(()) => {
                backoff.reset();
                backoff.pause()
            }
            Err(LinkError::Itself) => timing.backoff_max,
            Err(_) => backoff.pause(),
        };
        let until = Instant::now() + pause;
        shared.links.pursue(name, Pursuit::Until(until));
        tokio::select! {
            biased;
            changed = wanted.changed() => if changed.is_err() { break },
            // The other side may be faster.
            other = linked.wait_for(|linked| *linked) => drop(other),
            () = sleep_until(until) => {}
        }
    }
    drop(linked);
    shared.links.forget(name);
}

/// Leaves it to the node with the smaller name to dial, for a moment. Returns true if it did.
async fn the_other_dials<D: Dial>(
    shared: &Shared<D>,
    name: &NodeName,
    linked: &mut watch::Receiver<bool>,
) -> bool {
    let courtesy = match &shared.config.node {
        Some(own) if own > name => shared.config.timing.courtesy,
        Some(_) | None => Duration::ZERO,
    };
    if courtesy.is_zero() {
        return false;
    }
    shared.links.pursue(name, Pursuit::Waiting);
    let other = linked.wait_for(|linked| *linked);
    timeout(courtesy, other).await.is_ok()
}

/// Links a node once, until the link ends.
async fn attempt<D: Dial, F: Future<Output = ()> + Send>(
    shared: &Shared<D>,
    name: &NodeName,
    target: Target,
    attend: &mut (impl FnMut(Peer) -> F + Send),
) -> Result<(), LinkError> {
    shared.links.pursue(name, Pursuit::Dialling);
    let connected = connect(shared, name, target).await;
    let (visit, other) = connected.inspect_err(|error| {
        shared.links.failed(name, error.to_string());
        match error {
            LinkError::Unproven | LinkError::Itself | LinkError::Another(_) => {
                warn!(node = %name, %error, "not linked");
            }
            LinkError::Dial(_) | LinkError::Setup(_) | LinkError::Timeout => {
                info!(node = %name, %error, "not linked");
            }
        }
    })?;
    shared.links.pursue(name, Pursuit::None);
    let attended = attend(visit.peer().clone());
    tokio::select! {
        biased;
        // What ended it is in the table of links.
        _ended = link::run(&shared.links, visit, &other, &shared.config.timing) => {}
        never = endless(attended) => match never {},
    }
    Ok(())
}

async fn endless(future: impl Future<Output = ()>) -> Infallible {
    future.await;
    pending().await
}
