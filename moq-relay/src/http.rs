//! What is answered over plain HTTP, in development.

use std::io;

use axum::Router;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;
use tokio::net::TcpListener;

/// Serves `GET /fingerprint` until the future is dropped.
///
/// Connections are not counted: QUIC needs one file descriptor whatever happens here, so that the
/// process's limit on them is bound enough.
///
/// # Errors
///
/// Fails when the listener does.
pub async fn serve(listener: TcpListener, fingerprint: String) -> io::Result<()> {
    axum::serve(listener, router(fingerprint)).await
}

/// Builds the routes. The published clients take the whole body for the fingerprint, and pages of
/// any origin may ask for it.
fn router(fingerprint: String) -> Router {
    let headers = [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        // The next start has another certificate under the same URL.
        (CACHE_CONTROL, "no-store"),
    ];
    Router::new().route(
        "/fingerprint",
        get(move || async move { (headers, fingerprint) }),
    )
}
