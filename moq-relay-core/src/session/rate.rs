//! SESSION_UPDATE: tells the peer what the transport believes it can send.

use std::time::Duration;

use futures_util::FutureExt;
use moq_transfork::setup::SessionWriter;
use tokio::time::sleep;
use web_transport_trait::{self as wt, Stats as _};

use crate::error::Error;
use crate::session::state::State;

/// How often the transport is asked while something is sent.
const PERIOD: Duration = Duration::from_secs(1);

/// The longest time between two looks. A pause that was found doubles it until then, or until a
/// group begins.
const MAX_PERIOD: Duration = Duration::from_secs(32);

/// Bytes between two looks up to which nothing was sent: pings, and acknowledgements.
const NOTHING: u64 = 1024;

/// Keeps the peer informed of the rate at which this side can send, in bits per second, when it
/// has changed by more than an eighth. Does nothing in dialects without SESSION_UPDATE.
///
/// A transport that sends nothing learns nothing, so it is left alone: until the first group begins
/// for good, and in a pause more and more seldom. Returns how the session stream has failed.
pub(super) async fn report<S: wt::Session>(
    state: &State<S>,
    writer: &mut SessionWriter<S>,
) -> Error {
    let (mut told, mut sent) = (0, 0);
    let mut period = PERIOD;
    if let Err(error) = look(state, writer, &mut told).await {
        return error;
    }
    state.sending().await;
    loop {
        if period == PERIOD {
            sleep(PERIOD).await;
        } else {
            tokio::select! {
                () = state.sending() => {}
                // Boxed: each session has the room that the largest of these waits takes.
                () = sleep(period).boxed() => {}
            }
        }
        let total = match look(state, writer, &mut told).await {
            Ok(total) => total,
            Err(error) => return error,
        };
        let paused = total.is_some_and(|total| total.saturating_sub(sent) <= NOTHING);
        sent = total.unwrap_or_default();
        period = if paused {
            (period * 2).min(MAX_PERIOD)
        } else {
            PERIOD
        };
    }
}

/// Tells the rate if it has changed enough; returns the bytes sent so far.
async fn look<S: wt::Session>(
    state: &State<S>,
    writer: &mut SessionWriter<S>,
    told: &mut u64,
) -> Result<Option<u64>, Error> {
    let (rate, sent) = {
        let stats = state.session.stats();
        (stats.estimated_send_rate(), stats.bytes_sent())
    };
    if let Some(rate) = rate.filter(|rate| rate.abs_diff(*told) > *told / 8) {
        // Boxed: it seldom happens, and its room would be there always.
        writer.update(rate).boxed().await?;
        *told = rate;
    }
    Ok(sent)
}
