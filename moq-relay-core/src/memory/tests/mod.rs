//! Everything runs on one thread under a paused clock: what is pending now stays so until another
//! call or the time changes it.

mod ends;
mod limits;
mod link;
mod lost;
mod priority;
mod session;
mod soak;
mod windows;

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::time::Instant;
use web_transport_trait::{RecvStream as _, SendStream as _, Session as _};

use super::{Config, Error, RecvStream, SendStream, Session, pair};

/// Bytes that can be told from zeroes.
fn payload(size: usize) -> Bytes {
    Bytes::from(vec![7; size])
}

/// A unidirectional stream whose first bytes, `open`, were read already.
async fn uni(from: &Session, to: &Session) -> (SendStream, RecvStream) {
    let mut send = from.open_uni().await.unwrap();
    send.write_chunk(Bytes::from_static(b"open")).await.unwrap();
    let mut recv = to.accept_uni().await.unwrap();
    assert_eq!(recv.read_chunk(4).await.unwrap().unwrap(), "open");
    (send, recv)
}

/// Runs a future as far as it gets now.
fn now<F: Future>(future: F) -> Option<F::Output> {
    future.now_or_never()
}

/// Lets every task that is ready run.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// How much time passes until the future is through.
async fn took<F: Future>(future: F) -> (F::Output, Duration) {
    let start = Instant::now();
    let output = future.await;
    (output, start.elapsed())
}
