//! Serves FETCH: one group of the past, from a frame on.

use std::sync::Arc;

use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::message::{Fetch, GroupOrder, Priority};
use moq_transfork::stream::{FetchReader, FetchWriter};
use tokio::sync::watch;
use tracing::debug;
use web_transport_trait as wt;

use crate::error::Error;
use crate::session::priority::stream_priority;
use crate::session::state::State;
use crate::source::{FetchRequest, Source};

pub(super) async fn serve<S: wt::Session>(
    state: Arc<State<S>>,
    source: Arc<dyn Source>,
    fetch: Fetch,
    mut writer: FetchWriter<S>,
    reader: FetchReader<S>,
) {
    let request = FetchRequest {
        path: fetch.path,
        priority: fetch.priority,
        group: fetch.group,
        frame: fetch.frame,
    };
    let (updates, priority) = watch::channel(request.priority);
    // Forks count bytes where the draft counts frames; only the start is the same in both.
    if state.dialect != Dialect::Draft03 && request.frame > 0 {
        writer.abort(Code::BOUNDS_EXCEEDED);
        return;
    }
    state.begin_sending();
    let outcome = tokio::select! {
        error = follow(reader, updates) => Err(error),
        sent = send(&state, &source, &request, &mut writer, priority) => sent,
    };
    if let Err(error) = outcome {
        debug!(%error, path = %request.path, group = request.group, "fetch ends early");
        writer.abort(error.code());
    }
}

/// Takes FETCH_UPDATEs for as long as the fetch lasts; returns only if the peer gave it up.
async fn follow<S: wt::Session>(
    mut reader: FetchReader<S>,
    updates: watch::Sender<Priority>,
) -> Error {
    loop {
        match reader.update().await {
            Ok(Some(update)) => {
                updates.send_replace(update.priority);
            }
            // The end of the request only means that no update follows.
            Ok(None) => std::future::pending().await,
            Err(error) => return error.into(),
        }
    }
}

async fn send<S: wt::Session>(
    state: &State<S>,
    source: &Arc<dyn Source>,
    request: &FetchRequest,
    writer: &mut FetchWriter<S>,
    mut priority: watch::Receiver<Priority>,
) -> Result<(), Error> {
    let mut group = tokio::select! {
        group = source.fetch(request) => group?,
        _stopped = writer.closed() => return Err(Error::Cancelled),
    };
    priority.mark_changed();
    loop {
        let bytes = tokio::select! {
            bytes = group.read_wire() => bytes?,
            _stopped = writer.closed() => return Err(Error::Cancelled),
        };
        if priority.has_changed().unwrap_or(false) {
            prioritize(writer, *priority.borrow_and_update(), request.group);
        }
        let Some(bytes) = bytes else { break };
        state.context.stats.bytes_delivered.add(bytes.len() as u64);
        tokio::select! {
            biased;
            written = writer.write(bytes) => written?,
            // The peer is slow, and what it waits for is gone.
            error = group.cut() => return Err(error),
        }
    }
    writer.finish()?;
    loop {
        tokio::select! {
            closed = writer.closed() => return Ok(closed?),
            Ok(()) = priority.changed() => {
                prioritize(writer, *priority.borrow_and_update(), request.group);
            }
        }
    }
}

fn prioritize<S: wt::Session>(writer: &mut FetchWriter<S>, track: Priority, group: u64) {
    writer.set_priority(stream_priority(track, GroupOrder::Default, group));
}
