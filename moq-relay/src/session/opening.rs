//! Streams of WebTransport that are being opened.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use web_transport_quinn as h3;

type Opened = Result<h3::SendStream, h3::SessionError>;

/// The stream of WebTransport that is being opened, if one is.
///
/// It is not given up with whoever waits for it, but opened for the next: it may be open already
/// and wait for room to send its header, and would then reach the peer without one, which ends the
/// whole session of some.
#[derive(Default)]
pub(super) struct Opening(Mutex<Option<BoxFuture<'static, Opened>>>);

impl Opening {
    /// Opens a stream. Cancel-safe.
    pub(super) async fn open(&self, session: &Arc<h3::Session>) -> Opened {
        let mut opening = self.0.lock().await;
        let open = || {
            let session = session.clone();
            async move { session.open_uni().await }.boxed()
        };
        let opened = opening.get_or_insert_with(open).await;
        *opening = None;
        opened
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").finish_non_exhaustive()
    }
}
