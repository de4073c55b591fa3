//! Receives groups: from the peer's stream into the group's log.

use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use moq_transfork::code::Code;
use moq_transfork::stream::GroupReader;
use tokio::time::timeout;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::{debug, trace};
use web_transport_trait as wt;

use crate::error::Error;
use crate::model::group::GroupProducer;
use crate::session::ingest::lost;
use crate::session::state::State;

/// Bytes taken from the transport before they are appended to the log in one piece.
const GATHER: usize = 64 * 1024;

/// Receives one unidirectional stream. An error of one stream is that group's own affair; only a
/// stream of a type that does not exist ends the session.
///
/// The token is held until the group is known.
pub(in crate::session) async fn receive<S: wt::Session>(
    state: Arc<State<S>>,
    recv: S::RecvStream,
    arrival: TaskTrackerToken,
) -> Result<(), Error> {
    let Ok(_permit) = state.groups.clone().try_acquire_owned() else {
        debug!("too many groups at a time");
        return Ok(());
    };
    let accept = GroupReader::<S>::accept(recv, state.dialect);
    let accepted = timeout(state.context.limits.handshake, accept).await;
    let (header, reader) = match accepted.map_err(|_elapsed| Error::Timeout) {
        Ok(Ok(accepted)) => accepted,
        Ok(Err(error)) if error.closes_session() => return Err(error.into()),
        Ok(Err(error)) => {
            debug!(%error, "group not understood");
            return Ok(());
        }
        Err(error) => {
            debug!(%error, "group not understood");
            return Ok(());
        }
    };
    // Groups still arrive for a moment after a subscription was left.
    let Some(intake) = state.upstream(header.subscribe) else {
        reader.stop(Code::CANCEL);
        return Ok(());
    };
    let begun = intake.begin(header.sequence);
    drop(arrival);
    match begun {
        Ok((group, _open)) => {
            let subscription = header.subscribe;
            trace!(subscription, group = header.sequence, "group begins");
            fill(&state, group, reader).await;
        }
        Err(error) => {
            let subscription = header.subscribe;
            debug!(subscription, group = header.sequence, %error, "group refused");
            reader.stop(error.code());
        }
    }
    Ok(())
}

/// Fills a group from the peer's stream to its end, which is the group's end.
pub(super) async fn fill<S: wt::Session>(
    state: &State<S>,
    mut group: GroupProducer,
    mut reader: GroupReader<S>,
) {
    let received = copy(state, &mut group, &mut reader).await;
    let outcome = match received {
        Ok(()) => group.finish(),
        Err(error) => {
            reader.stop(error.code());
            group.abort(error.clone());
            Err(error)
        }
    };
    match outcome {
        Ok(()) => state.context.stats.groups_received.add(1),
        Err(error) => {
            state.context.stats.groups_cut.add(1);
            debug!(%error, "group cut short");
        }
    }
}

/// Copies everything at hand in one piece, again and again.
async fn copy<S: wt::Session>(
    state: &State<S>,
    group: &mut GroupProducer,
    reader: &mut GroupReader<S>,
) -> Result<(), Error> {
    let mut chunks: Vec<Bytes> = Vec::new();
    loop {
        let Some(first) = reader.read(GATHER).await.map_err(lost)? else {
            return Ok(());
        };
        let mut size = first.len();
        chunks.push(first);
        let mut end = None;
        while size < GATHER && end.is_none() {
            match reader.read_ready(GATHER - size) {
                Poll::Pending => break,
                Poll::Ready(Ok(Some(chunk))) => {
                    size += chunk.len();
                    chunks.push(chunk);
                }
                Poll::Ready(Ok(None)) => end = Some(Ok(())),
                Poll::Ready(Err(error)) => end = Some(Err(lost(error))),
            }
        }
        state.context.stats.bytes_received.add(size as u64);
        group.write_wire(&chunks)?;
        chunks.clear();
        if let Some(end) = end {
            return end;
        }
    }
}
