//! What must come from the relay, in time and byte by byte.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use moq_relay_core::announced::{Announced, Announcement};
use moq_relay_core::error::Error;
use tokio::time::timeout;

use crate::reading::{Event, Reading};

/// Limit on every step that depends on the relay.
pub(super) const STEP: Duration = Duration::from_secs(2);

/// What should have happened and did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) expected: String,
    pub(super) received: String,
    pub(super) message: Option<String>,
}

/// Groups that must come, each with all its frames.
pub(super) type Groups = BTreeMap<u64, Vec<Bytes>>;

impl Failure {
    pub(super) fn new(expected: impl Display, received: impl Display) -> Self {
        Self {
            expected: expected.to_string(),
            received: received.to_string(),
            message: None,
        }
    }
}

/// Waits for a step of the relay, but not for ever.
pub(super) async fn within<T>(what: &str, step: impl Future<Output = T>) -> Result<T, Failure> {
    timeout(STEP, step).await.map_err(|_| Failure {
        message: Some(format!(
            "the relay stayed silent for {} ms",
            STEP.as_millis()
        )),
        ..Failure::new(what, "nothing")
    })
}

/// Does something on our own side, which fails only if the relay broke it.
pub(super) fn ours<T>(what: &str, result: Result<T, Error>) -> Result<T, Failure> {
    result.map_err(|error| Failure::new(what, error))
}

/// Waits until the relay tells `wanted`; other news may come before it.
pub(super) async fn expect_news(
    announced: &mut Announced,
    wanted: &Announcement,
    what: &str,
) -> Result<(), Failure> {
    within(what, async {
        loop {
            match announced.next().await {
                Some(news) if news == *wanted => return Ok(()),
                Some(_other) => {}
                None => return Err(Failure::new(what, "an end of the announce stream")),
            }
        }
    })
    .await?
}

/// Waits until the relay refuses a subscription, and returns its error.
pub(super) async fn expect_refusal(reading: &mut Reading, what: &str) -> Result<Error, Failure> {
    let event = within(what, reading.next()).await?;
    let Event::TrackEnd(Err(error)) = event else {
        return Err(Failure::new(what, describe(&event)));
    };
    Ok(error)
}

/// Waits until the first frames of a group have come, and compares their bytes.
pub(super) async fn expect_frames(
    reading: &mut Reading,
    group: u64,
    frames: &[Bytes],
) -> Result<(), Failure> {
    for (index, wanted) in frames.iter().enumerate() {
        let what = format!("frame {index} of group {group}");
        loop {
            let event = within(&what, reading.next()).await?;
            match &event {
                Event::Begin(begun) if *begun == group => {}
                Event::Frame { group: of, payload } if *of == group => {
                    expect_bytes(&what, wanted, payload)?;
                    break;
                }
                Event::Begin(_)
                | Event::Frame { .. }
                | Event::End { .. }
                | Event::Gap(_)
                | Event::TrackEnd(_) => return Err(Failure::new(what, describe(&event))),
            }
        }
    }
    Ok(())
}

/// Waits until every wanted group has come whole, in any order, and compares all bytes. `begun`
/// tells how many frames of a group were taken before.
///
/// A group that is missing, cut, given up, repeated or not wanted is a failure.
pub(super) async fn expect_groups(
    reading: &mut Reading,
    wanted: &Groups,
    begun: &[(u64, usize)],
) -> Result<(), Failure> {
    let mut next: BTreeMap<u64, usize> = begun.iter().copied().collect();
    let mut left = wanted.clone();
    while let Some(missing) = left.keys().next() {
        let what = format!("group {missing}, whole");
        let event = within(&what, reading.next()).await?;
        match event {
            Event::Begin(group) => {
                if !left.contains_key(&group) || next.insert(group, 0).is_some() {
                    return Err(Failure::new(
                        what,
                        format!("group {group}, which is not due"),
                    ));
                }
            }
            Event::Frame { group, payload } => {
                let index = next.entry(group).or_default();
                let what = format!("frame {index} of group {group}");
                match left.get(&group).and_then(|frames| frames.get(*index)) {
                    Some(frame) => expect_bytes(&what, frame, &payload)?,
                    None => return Err(Failure::new("the end of the group", what)),
                }
                *index += 1;
            }
            Event::End { group, end: Ok(()) } => {
                let got = next.get(&group).copied().unwrap_or_default();
                let frames = left.remove(&group).map_or(0, |frames| frames.len());
                if got != frames {
                    let received = format!("a clean end after {got} frames");
                    return Err(Failure::new(
                        format!("{frames} frames of group {group}"),
                        received,
                    ));
                }
            }
            Event::End { end: Err(_), .. } | Event::Gap(_) | Event::TrackEnd(_) => {
                return Err(Failure::new(what, describe(&event)));
            }
        }
    }
    Ok(())
}

fn expect_bytes(what: &str, wanted: &Bytes, got: &Bytes) -> Result<(), Failure> {
    if wanted == got {
        return Ok(());
    }
    let differ = wanted
        .iter()
        .zip(got)
        .position(|(wanted, got)| wanted != got);
    let at = differ.unwrap_or(wanted.len().min(got.len()));
    Err(Failure {
        message: Some(format!("the first difference is at byte {at}")),
        ..Failure::new(
            format!("{what}: {} bytes as they were sent", wanted.len()),
            format!("{} bytes that differ", got.len()),
        )
    })
}

/// Describes an event that was not expected.
pub(super) fn describe(event: &Event) -> String {
    match event {
        Event::Begin(group) => format!("group {group}"),
        Event::Frame { group, payload } => {
            format!("a frame of group {group} with {} bytes", payload.len())
        }
        Event::End { group, end: Ok(()) } => format!("the end of group {group}"),
        Event::End {
            group,
            end: Err(error),
        } => format!("group {group} cut short: {error}"),
        Event::Gap(gap) => format!(
            "groups {} to {} given up with code {}",
            gap.groups.start(),
            gap.groups.end(),
            gap.code
        ),
        Event::TrackEnd(Ok(())) => "an end of the track".to_owned(),
        Event::TrackEnd(Err(error)) => format!("an end of the track: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use moq_relay_core::model::subscription::Subscription;
    use moq_relay_core::model::track::{Gap, TrackInfo, TrackProducer};
    use moq_relay_core::source::Source;
    use moq_relay_core::tracks::Tracks;
    use moq_transfork::code::Code;

    use super::*;
    use crate::reading::Order;

    /// A relay that can be made to misbehave, and what its subscriber should get: group 0 with two
    /// frames.
    fn world() -> (TrackProducer, Reading, Groups) {
        let tracks = Tracks::default();
        let path = "demo".parse().unwrap();
        let track = tracks
            .create("demo".parse().unwrap(), TrackInfo::default())
            .unwrap();
        let consumer = tracks.track(&path, Subscription::default()).unwrap();
        let wanted = [(0, vec![Bytes::from("zero"), Bytes::from("one")])].into();
        (track, Reading::new(consumer, Order::Interleaved), wanted)
    }

    async fn judge(reading: &mut Reading, wanted: &Groups) -> Failure {
        expect_groups(reading, wanted, &[]).await.unwrap_err()
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_passes() {
        let (track, mut reading, wanted) = world();
        let mut group = track.append_group().unwrap();
        group.write_frame("zero").unwrap();
        group.write_frame("one").unwrap();
        group.finish().unwrap();
        assert_eq!(expect_groups(&mut reading, &wanted, &[]).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_fails_and_says_how_long_it_lasted() {
        let (track, mut reading, wanted) = world();
        let failure = judge(&mut reading, &wanted).await;
        assert_eq!(failure.received, "nothing");
        assert!(
            failure
                .message
                .is_some_and(|message| message.contains("2000 ms"))
        );
        drop(track);
    }

    #[tokio::test(start_paused = true)]
    async fn an_altered_byte_fails_and_is_found() {
        let (track, mut reading, wanted) = world();
        let mut group = track.append_group().unwrap();
        group.write_frame("zeRo").unwrap();
        let failure = judge(&mut reading, &wanted).await;
        assert!(
            failure
                .message
                .is_some_and(|message| message.ends_with("byte 2"))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_clean_end_that_comes_too_early_fails() {
        let (track, mut reading, wanted) = world();
        let mut group = track.append_group().unwrap();
        group.write_frame("zero").unwrap();
        group.finish().unwrap();
        let failure = judge(&mut reading, &wanted).await;
        assert!(failure.received.contains("after 1 frames"), "{failure:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_too_many_fails() {
        let (track, mut reading, wanted) = world();
        let mut group = track.append_group().unwrap();
        for frame in ["zero", "one", "two"] {
            group.write_frame(frame).unwrap();
        }
        let failure = judge(&mut reading, &wanted).await;
        assert_eq!(failure.received, "frame 2 of group 0");
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_cut_short_fails() {
        let (track, mut reading, wanted) = world();
        let mut group = track.append_group().unwrap();
        group.write_frame("zero").unwrap();
        expect_frames(&mut reading, 0, &[Bytes::from("zero")])
            .await
            .unwrap();
        group.abort(Error::Dropped);
        let failure = expect_groups(&mut reading, &wanted, &[(0, 1)])
            .await
            .unwrap_err();
        assert!(failure.received.contains("cut short"), "{failure:?}");
        drop(track);
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_that_is_given_up_or_not_due_fails() {
        let (track, mut reading, _wanted) = world();
        track.create_group(3).unwrap().finish().unwrap();
        let three: Groups = [(3, vec![]), (4, vec![])].into();
        track.skip(Gap {
            groups: 4..=4,
            code: Code::EXPIRED,
        });
        let failure = judge(&mut reading, &three).await;
        assert!(failure.received.contains("given up"), "{failure:?}");

        track.create_group(5).unwrap().finish().unwrap();
        let failure = judge(&mut reading, &[(6, vec![])].into()).await;
        assert!(failure.received.contains("group 5"), "{failure:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_an_error_and_not_an_end() {
        let (track, mut reading, _wanted) = world();
        track.finish();
        assert!(expect_refusal(&mut reading, "an error").await.is_err());
        let (track, mut reading, _wanted) = world();
        track.abort(Error::NotFound);
        assert_eq!(
            expect_refusal(&mut reading, "an error").await,
            Ok(Error::NotFound)
        );
    }
}
