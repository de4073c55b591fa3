//! Several addresses of one host: who answers first.

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;

use crate::dial::error::DialError;

/// How long one address may stay silent before the next one is tried beside it.
///
/// As RFC 8305 advises; on one machine an answer takes a hundredth of it.
const STAGGER: Duration = Duration::from_millis(250);

/// Runs the attempts one after the other, each beside its predecessors once those were silent
/// for [`STAGGER`], and returns the first success or the first refusal by a relay.
pub(super) async fn race<T>(
    attempts: impl Iterator<Item = impl Future<Output = Result<T, DialError>>>,
) -> Result<T, DialError> {
    let mut waiting = attempts.peekable();
    let mut running = FuturesUnordered::new();
    loop {
        running.extend(waiting.next());
        let next = if waiting.peek().is_some() {
            timeout(STAGGER, running.next()).await
        } else {
            Ok(running.next().await)
        };
        match next {
            Ok(Some(Ok(connected))) => return Ok(connected),
            Ok(Some(Err(error))) => {
                let refused = matches!(error, DialError::Refused { .. });
                if refused || (waiting.peek().is_none() && running.is_empty()) {
                    return Err(error);
                }
                tracing::debug!(%error, "one address failed, trying the others");
            }
            // Silence: the next address starts beside this one. `running` itself was just filled.
            Ok(None) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::net::SocketAddr;
    use std::pin::Pin;

    use tokio::time::{Instant, sleep};

    use super::*;

    type Attempt = Pin<Box<dyn Future<Output = Result<u8, DialError>>>>;

    fn error(refused: bool) -> DialError {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        if refused {
            DialError::Refused {
                address,
                reason: "refused".into(),
                advice: None,
            }
        } else {
            DialError::Unreachable {
                address,
                reason: "unreachable".into(),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_holds_the_next_one_up_for_a_moment_only() {
        let start = Instant::now();
        let attempts: [Attempt; 2] = [Box::pin(pending()), Box::pin(ready(Ok(2)))];
        assert_eq!(race(attempts.into_iter()).await.unwrap(), 2);
        assert_eq!(start.elapsed(), STAGGER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_address_may_still_win() {
        let slow = Box::pin(async {
            sleep(STAGGER * 2).await;
            Ok(1)
        });
        let attempts: [Attempt; 2] = [slow, Box::pin(pending())];
        assert_eq!(race(attempts.into_iter()).await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unreachable_address_gives_way_at_once() {
        let start = Instant::now();
        let attempts: [Attempt; 2] = [Box::pin(ready(Err(error(false)))), Box::pin(ready(Ok(2)))];
        assert_eq!(race(attempts.into_iter()).await.unwrap(), 2);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_reported_without_waiting_for_silent_addresses() {
        let attempts: [Attempt; 2] = [Box::pin(pending()), Box::pin(ready(Err(error(true))))];
        let error = race(attempts.into_iter()).await.unwrap_err();
        assert!(matches!(error, DialError::Refused { .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_failure_is_reported_when_all_fail() {
        let attempts: [Attempt; 2] = [
            Box::pin(ready(Err(error(false)))),
            Box::pin(ready(Err(error(false)))),
        ];
        assert!(race(attempts.into_iter()).await.is_err());
    }
}
