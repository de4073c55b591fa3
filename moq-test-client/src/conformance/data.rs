//! Groups and frames on their way through the relay.

use bytes::Bytes;
use moq_relay_core::model::group::GroupProducer;

use crate::conformance::lab::{Lab, close, frame, publish};
use crate::conformance::oracle::{Failure, Groups, expect_frames, expect_groups, ours};

/// One frame in one group.
pub(super) async fn single_object(lab: &Lab) -> Result<String, Failure> {
    let (publisher, track) = lab.publisher().await?;
    let wanted: Groups = [(0, vec![frame(0, 0, 1, 1000)])].into();
    publish(&track, &wanted)?;
    let (subscriber, _announced) = lab.told_subscriber().await?;
    let mut reading = lab.subscribe(&subscriber)?;
    expect_groups(&mut reading, &wanted, &[]).await?;
    close([publisher, subscriber]).await;
    Ok("1 frame of 1000 bytes".to_owned())
}

/// One group of frames of all sizes, the empty one too. Each is written only when the one before
/// has arrived: frames must not wait for the end of their group.
pub(super) async fn single_group(lab: &Lab) -> Result<String, Failure> {
    const SIZES: [usize; 6] = [44, 1, 0, 63, 16_384, 200_000];
    let (publisher, track) = lab.publisher().await?;
    let (subscriber, _announced) = lab.told_subscriber().await?;
    let mut reading = lab.subscribe(&subscriber)?;
    let mut group = ours("a group of our own", track.append_group())?;

    let count = SIZES.len() as u32;
    let frames: Vec<Bytes> = (0..count)
        .zip(SIZES)
        .map(|(index, size)| {
            // Frames below the smallest self-checking one are the beginning of one.
            frame(0, index, count, size).slice(..size)
        })
        .collect();
    for (index, frame) in frames.iter().enumerate() {
        write(&mut group, frame)?;
        expect_frames(&mut reading, 0, &frames[index..=index]).await?;
    }
    ours("an end of our own group", group.finish())?;
    let wanted: Groups = [(0, frames)].into();
    expect_groups(&mut reading, &wanted, &[(0, SIZES.len())]).await?;

    close([publisher, subscriber]).await;
    Ok(format!(
        "{} frames of 0 to 200000 bytes, each as it was written",
        SIZES.len()
    ))
}

/// Three groups, the last two at once: none may be lost.
pub(super) async fn multiple_groups(lab: &Lab) -> Result<String, Failure> {
    const FRAMES: u32 = 5;
    let (publisher, track) = lab.publisher().await?;
    let all = |group: u64| {
        (0..FRAMES)
            .map(|index| frame(group, index, FRAMES, 500))
            .collect()
    };
    let first: Groups = [(0, all(0))].into();
    let burst: Groups = [(1, all(1)), (2, all(2))].into();

    publish(&track, &first)?;
    let (subscriber, _announced) = lab.told_subscriber().await?;
    let mut reading = lab.subscribe(&subscriber)?;
    expect_groups(&mut reading, &first, &[]).await?;
    publish(&track, &burst)?;
    expect_groups(&mut reading, &burst, &[]).await?;

    close([publisher, subscriber]).await;
    Ok(format!("3 groups of {FRAMES} frames"))
}

/// Who joins in the middle of a group gets it from its first frame, then goes on live, beside
/// somebody who was there from the start.
pub(super) async fn late_subscriber(lab: &Lab) -> Result<String, Failure> {
    let (publisher, track) = lab.publisher().await?;
    let middle: Vec<Bytes> = (0..3).map(|index| frame(1, index, 3, 700)).collect();
    let first: Groups = [(0, vec![frame(0, 0, 1, 700)])].into();
    let last: Groups = [(2, vec![frame(2, 0, 1, 700)])].into();

    let (early, _announced) = lab.told_subscriber().await?;
    let mut early_reading = lab.subscribe(&early)?;
    publish(&track, &first)?;
    expect_groups(&mut early_reading, &first, &[]).await?;
    let mut group = ours("a group of our own", track.create_group(1))?;
    write(&mut group, &middle[0])?;
    write(&mut group, &middle[1])?;
    expect_frames(&mut early_reading, 1, &middle[..2]).await?;

    let late = lab.subscriber().await?;
    let mut late_reading = lab.subscribe(&late)?;
    expect_frames(&mut late_reading, 1, &middle[..2]).await?;
    write(&mut group, &middle[2])?;
    ours("an end of our own group", group.finish())?;
    let rest: Groups = [(1, middle)].into();
    expect_groups(&mut late_reading, &rest, &[(1, 2)]).await?;
    expect_groups(&mut early_reading, &rest, &[(1, 2)]).await?;
    publish(&track, &last)?;
    expect_groups(&mut late_reading, &last, &[]).await?;
    expect_groups(&mut early_reading, &last, &[]).await?;

    close([publisher, early, late]).await;
    Ok("the open group from its first frame, then the next one live".to_owned())
}

fn write(group: &mut GroupProducer, frame: &Bytes) -> Result<(), Failure> {
    ours("room for a frame", group.write_frame(frame.clone()))
}
