//! What is answered over plain HTTP, in development.

use std::io;

use axum::Router;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Serves `GET /fingerprint`, with the newest value, until the future is dropped.
///
/// Connections are not counted: QUIC needs one file descriptor whatever happens here, so that the
/// process's limit on them is bound enough.
///
/// # Errors
///
/// Fails when the listener does.
pub async fn serve(listener: TcpListener, fingerprint: watch::Receiver<String>) -> io::Result<()> {
    axum::serve(listener, router(fingerprint)).await
}

/// Builds the routes. The published clients take the whole body for the fingerprint, and pages of
/// any origin may ask for it.
fn router(fingerprint: watch::Receiver<String>) -> Router {
    let headers = [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        // The next certificate is under the same URL.
        (CACHE_CONTROL, "no-store"),
    ];
    let answer = move || async move { (headers, fingerprint.borrow().clone()) };
    Router::new().route("/fingerprint", get(answer))
}
