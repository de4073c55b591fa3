//! Asks a peer for a single thing: what a track is, or a group of the past.

use std::sync::Arc;

use moq_transfork::message::{Fetch, InfoPlease};
use moq_transfork::path::Path;
use moq_transfork::stream;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use web_transport_trait as wt;

use crate::error::Error;
use crate::model::group::GroupProducer;
use crate::model::track::{Latest, TrackInfo};
use crate::session::ingest::{group, known_latest, lost};
use crate::session::state::State;
use crate::source::FetchRequest;

/// Asks what a track is.
pub(in crate::session) async fn info<S: wt::Session>(
    state: Arc<State<S>>,
    path: Path,
    mut reply: oneshot::Sender<Result<Latest, Error>>,
) -> Result<(), Error> {
    let please = InfoPlease { path };
    let answer = tokio::select! {
        () = reply.closed() => return Ok(()),
        answer = stream::info(&state.session, state.dialect, &please) => answer,
    };
    let latest = answer.map_err(Error::from).map(|info| Latest {
        info: TrackInfo {
            priority: info.priority,
            order: info.order,
            expires: info.expires,
        },
        latest: known_latest(&info),
    });
    let _gone = reply.send(latest);
    Ok(())
}

/// Fetches a group of the past into `group`, until nobody wants it any more.
pub(in crate::session) async fn fetch<S: wt::Session>(
    state: Arc<State<S>>,
    request: FetchRequest,
    group: GroupProducer,
    unwanted: CancellationToken,
) -> Result<(), Error> {
    let fetch = Fetch {
        path: request.path,
        priority: request.priority,
        group: request.group,
        frame: request.frame,
    };
    state.context.stats.fetches_total.add(1);
    tokio::select! {
        () = unwanted.cancelled() => {}
        () = fetch_wanted(&state, &fetch, group) => {}
    }
    Ok(())
}

async fn fetch_wanted<S: wt::Session>(state: &State<S>, fetch: &Fetch, group: GroupProducer) {
    match stream::fetch(&state.session, state.dialect, fetch).await {
        Ok((mut request, reader)) => {
            group::fill(state, group, reader).await;
            let _gone = request.finish();
        }
        Err(error) => group.abort(lost(error)),
    }
}
