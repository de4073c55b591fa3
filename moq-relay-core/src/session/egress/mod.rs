//! What a peer asks of us: announcements, subscriptions, groups of the past, what a track is.

mod alarm;
mod announce;
mod delivery;
mod feed;
mod fetch;
mod flights;
mod lane;
mod moves;
mod pace;
mod stir;
mod subscribe;
mod teller;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moq_transfork::code::Code;
use moq_transfork::message::{Info, InfoPlease};
use moq_transfork::stream::{InfoWriter, Request};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tracing::{Instrument, debug};
use web_transport_trait as wt;

use self::subscribe::Asked;
use crate::error::Error;
use crate::model::track::Latest;
use crate::session::state::State;
use crate::source::Source;

/// What became of a request.
pub(super) enum Served<S: wt::Session> {
    /// It is over.
    Over,
    /// It is for a subscription, which a task of its own is to serve.
    Subscription(Box<Asked<S>>),
}

/// Who serves a request.
enum Serving<S: wt::Session> {
    /// The task that took it in.
    Here(BoxFuture<'static, ()>, OwnedSemaphorePermit),
    /// A task of its own.
    Apart(Box<Asked<S>>),
}

/// Serves one request, once it has arrived, unless it is for a subscription. An error of one stream
/// is that stream's own affair; only a stream of a type that does not exist ends the session.
///
/// It enters the span it is called in by itself.
pub(super) fn serve<S: wt::Session>(
    state: Arc<State<S>>,
    source: Option<Arc<dyn Source>>,
    request: BoxFuture<'static, Result<Request<S>, Error>>,
) -> impl Future<Output = Result<Served<S>, Error>> + Send {
    // Held for as long as the request.
    let source = match state.requests.clone().try_acquire_owned() {
        Ok(permit) => source.map(|source| (source, permit)).ok_or(Code::NOT_FOUND),
        Err(_) => Err(Code::TOO_MANY),
    };
    // Boxed: once the request is there, its room is free again.
    let begun = begin(state, source, request).in_current_span().boxed();
    async move {
        match begun.await? {
            Some(Serving::Apart(asked)) => return Ok(Served::Subscription(asked)),
            Some(Serving::Here(serving, permit)) => {
                serving.await;
                drop(permit);
            }
            None => {}
        }
        Ok(Served::Over)
    }
}

/// Waits for a request and returns what serves it, unless it is refused.
async fn begin<S: wt::Session>(
    state: Arc<State<S>>,
    source: Result<(Arc<dyn Source>, OwnedSemaphorePermit), Code>,
    request: BoxFuture<'static, Result<Request<S>, Error>>,
) -> Result<Option<Serving<S>>, Error> {
    let request = timeout(state.context.limits.handshake, request).await;
    let request = match request.unwrap_or(Err(Error::Timeout)) {
        Ok(request) => request,
        Err(Error::UnexpectedStream) => return Err(Error::UnexpectedStream),
        Err(error) => {
            debug!(%error, "request not understood");
            return Ok(None);
        }
    };
    match source {
        Ok((source, permit)) => Ok(Some(dispatch(state, source, permit, request))),
        Err(code) => {
            refuse(request, code);
            Ok(None)
        }
    }
}

fn refuse<S: wt::Session>(request: Request<S>, code: Code) {
    match request {
        Request::Announce(_, writer, _) => writer.abort(code),
        Request::Subscribe(_, writer, _) => writer.abort(code),
        Request::Fetch(_, writer, _) => writer.abort(code),
        Request::Info(_, writer) => writer.abort(code),
    }
}

/// Each kind of request is boxed by itself: they differ much in size, and every peer has one of the
/// smallest.
fn dispatch<S: wt::Session>(
    state: Arc<State<S>>,
    source: Arc<dyn Source>,
    permit: OwnedSemaphorePermit,
    request: Request<S>,
) -> Serving<S> {
    let serving = match request {
        Request::Announce(please, writer, reader) => {
            let serve = announce::serve(state, source, please, writer, reader);
            serve.in_current_span().boxed()
        }
        Request::Subscribe(subscribe, writer, reader) => {
            let asked = Asked::new(state, source, permit, subscribe, writer, reader);
            return Serving::Apart(Box::new(asked));
        }
        Request::Fetch(fetch, writer, reader) => {
            let serve = fetch::serve(state, source, fetch, writer, reader);
            serve.in_current_span().boxed()
        }
        Request::Info(please, writer) => {
            let serve = serve_info(source, please, writer);
            serve.in_current_span().boxed()
        }
    };
    Serving::Here(serving, permit)
}

async fn serve_info<S: wt::Session>(
    source: Arc<dyn Source>,
    please: InfoPlease,
    mut writer: InfoWriter<S>,
) {
    let answer = tokio::select! {
        answer = source.info(&please.path) => answer,
        _stopped = writer.closed() => return,
    };
    match answer {
        Ok(latest) => {
            let _gone = writer.reply(&info_message(latest)).await;
        }
        Err(error) => {
            debug!(%error, path = %please.path, "no info");
            writer.abort(error.code());
        }
    }
}

fn info_message(latest: Latest) -> Info {
    Info {
        priority: latest.info.priority,
        order: latest.info.order,
        expires: latest.info.expires,
        latest: latest.latest.unwrap_or_default(),
    }
}
