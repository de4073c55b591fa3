//! The time as moq-clock tells it.
//!
//! A group is a minute: its first frame is `YYYY-MM-DD HH:MM:`, every later one a second of two
//! digits. Sequences begin with the minute of the hour and count on.

use std::time::Duration;

use moq_relay_core::model::group::GroupProducer;
use moq_relay_core::model::track::TrackProducer;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::command::publish::totals::Totals;

const MINUTE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:");
const SECOND: &[BorrowedFormatItem<'_>] = format_description!("[second]");

/// Publishes until `stop`.
pub(super) async fn run(
    track: &TrackProducer,
    stop: &CancellationToken,
    totals: &mut Totals,
) -> anyhow::Result<()> {
    let mut now = OffsetDateTime::now_utc();
    let mut sequence = u64::from(now.minute());
    while !stop.is_cancelled() {
        let mut group = track.create_group(sequence)?;
        totals.group();
        write(track, &mut group, now.format(MINUTE)?, totals)?;
        let minute = now.minute();
        while now.minute() == minute && !stop.is_cancelled() {
            write(track, &mut group, now.format(SECOND)?, totals)?;
            tokio::select! {
                () = sleep(until_next_second(now)) => {}
                () = stop.cancelled() => {}
            }
            now = OffsetDateTime::now_utc();
        }
        group.finish()?;
        sequence += 1;
    }
    Ok(())
}

fn write(
    track: &TrackProducer,
    group: &mut GroupProducer,
    text: String,
    totals: &mut Totals,
) -> anyhow::Result<()> {
    totals.frame(track, text.len());
    group.write_frame(text)?;
    Ok(())
}

/// A millisecond is added so that a timer that fires early cannot tell the same second twice.
fn until_next_second(now: OffsetDateTime) -> Duration {
    Duration::from_millis(1001) - Duration::from_millis(now.millisecond().into())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn minute_and_second_read_as_moq_clock_prints_them() {
        let now = datetime!(2026-01-02 03:04:05.25 UTC);
        assert_eq!(now.format(MINUTE).unwrap(), "2026-01-02 03:04:");
        assert_eq!(now.format(SECOND).unwrap(), "05");
    }

    #[test]
    fn the_next_frame_is_due_when_the_second_changes() {
        let wait = until_next_second(datetime!(2026-01-02 03:04:05.25 UTC));
        assert_eq!(wait, Duration::from_millis(751));
    }
}
