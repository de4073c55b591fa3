//! SESSION_UPDATE: tells the peer what the transport believes it can send.

use std::time::Duration;

use moq_transfork::setup::SessionWriter;
use tokio::time::{MissedTickBehavior, interval};
use web_transport_trait::{self as wt, Stats as _};

use crate::error::Error;

/// How often the transport is asked.
const PERIOD: Duration = Duration::from_secs(1);

/// Keeps the peer informed of the rate at which this side can send, in bits per second, when it
/// has changed by more than an eighth. Does nothing in dialects without SESSION_UPDATE.
pub(super) async fn report<S: wt::Session>(
    session: &S,
    writer: &mut SessionWriter<S>,
) -> Result<(), Error> {
    let mut told = 0_u64;
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(rate) = session.stats().estimated_send_rate() else {
            continue;
        };
        if rate.abs_diff(told) > told / 8 {
            writer.update(rate).await?;
            told = rate;
        }
    }
}
