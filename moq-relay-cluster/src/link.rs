//! The life of one link: a session with another node, from its setup to its end.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use moq_relay_core::error::Error;
use moq_relay_core::session::Peer;
use moq_relay_core::visit::Visit;
use moq_transfork::code::Code;
use tokio::time::timeout;
use web_transport_trait as wt;

use crate::config::Timing;
use crate::links::{Links, Other, Registered};

/// Serves a link to its end.
///
/// # Errors
/// What ended it, unless one of the two sides closed it.
pub(crate) async fn run<S: wt::Session>(
    links: &Arc<Links>,
    visit: Visit<S>,
    other: &Other,
    timing: &Timing,
) -> Result<(), Error> {
    let peer = visit.peer().clone();
    let registered = links.register(other, peer.clone());
    let ended = tokio::select! {
        biased;
        ended = visit.run() => ended,
        never = attend(&registered, &peer, timing) => match never {},
    };
    registered.end(ended.as_ref().err().map(Error::to_string));
    ended
}

/// Brings a link to life, and to rest once another one has taken its place.
pub(crate) async fn attend(link: &Registered, peer: &Peer, timing: &Timing) -> Infallible {
    tokio::select! {
        biased;
        () = link.retire.cancelled() => {}
        never = come_alive(link, peer, timing) => match never {},
    }
    retire(peer, timing).await;
    pending().await
}

async fn come_alive(link: &Registered, peer: &Peer, timing: &Timing) -> Infallible {
    if !peer.dialect().has_live() {
        return pending().await;
    }
    match timeout(timing.live, peer.live()).await {
        Ok(()) => link.set_live(),
        Err(_elapsed) => {
            let error = Error::Timeout;
            peer.close(error.code(), "announced nothing in time").await;
        }
    }
    pending().await
}

/// Gives a link up without a gap: what is published there is known by another link already. The
/// other side does the same; the link is closed once neither of them needs it.
async fn retire(peer: &Peer, timing: &Timing) {
    peer.retire();
    let rest = async {
        peer.unfollowed().await;
        peer.idle().await;
    };
    let _stuck = timeout(timing.retire, rest).await;
    peer.close(Code::CANCEL, "another link took over").await;
}
