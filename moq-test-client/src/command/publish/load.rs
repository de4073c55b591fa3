//! A generated load whose every frame proves itself, see [`crate::payload`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use moq_relay_core::model::track::TrackProducer;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::command::publish::totals::Totals;
use crate::payload::{Stamp, encode};

/// What to generate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Load {
    /// The number that all frames carry.
    pub(super) stream: u64,
    /// Bytes in a frame.
    pub(super) frame_size: usize,
    /// Frames in a group, at least 1.
    pub(super) frames_per_group: u32,
    /// Frames a second.
    pub(super) fps: f64,
    /// Groups in all; `None` means no end.
    pub(super) groups: Option<u64>,
}

/// Publishes until all groups are out or `stop`. The group under way then is completed at once:
/// its frames have promised how many they are.
pub(super) async fn run(
    track: &TrackProducer,
    load: &Load,
    stop: &CancellationToken,
    totals: &mut Totals,
) -> anyhow::Result<()> {
    let mut pace = interval(Duration::from_secs_f64(1.0 / load.fps));
    let mut left = load.groups.unwrap_or(u64::MAX);
    while left > 0 && !stop.is_cancelled() {
        left -= 1;
        let mut group = track.append_group()?;
        totals.group();
        for frame in 0..load.frames_per_group {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                _tick = pace.tick() => {}
            }
            let stamp = Stamp {
                stream: load.stream,
                group: group.sequence(),
                frame,
                frames: load.frames_per_group,
                micros: now_micros(),
            };
            let payload = encode(&stamp, load.frame_size);
            let len = payload.len();
            group.write_frame(payload)?;
            totals.frame(track, len);
        }
        group.finish()?;
    }
    Ok(())
}

/// Parses a rate: above 0 and at most a million, the resolution of timers put aside.
pub(super) fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err(format!(
            "{text:?} is not a rate: write a number above 0, at most 1000000"
        )),
    }
}

fn now_micros() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_positive_number() {
        assert_eq!(parse_rate("29.97"), Ok(29.97));
        for text in ["0", "-1", "NaN", "inf", "fast"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }
}
