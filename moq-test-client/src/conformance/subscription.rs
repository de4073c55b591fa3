//! Subscriptions, before and after somebody publishes.

use tokio::time::timeout;

use crate::conformance::lab::{Lab, close, frame, publish};
use crate::conformance::oracle::{Failure, Groups, STEP, describe, expect_groups, expect_refusal};
use crate::reading::Event;

/// A subscription to what nobody publishes fails, and says so.
pub(super) async fn subscribe_error(lab: &Lab) -> Result<String, Failure> {
    let client = lab.subscriber().await?;
    let mut reading = lab.subscribe(&client)?;
    let what = "an error for a subscription to an unknown track";
    let error = expect_refusal(&mut reading, what).await?;
    client.close("done").await;
    Ok(format!("an error: {error}"))
}

/// The relay takes a subscription to the publisher, and its answer and a group back.
pub(super) async fn announce_subscribe(lab: &Lab) -> Result<String, Failure> {
    let (publisher, track) = lab.publisher().await?;
    let wanted: Groups = [(0, vec![frame(0, 0, 1, 100)])].into();
    publish(&track, &wanted)?;
    let (subscriber, _announced) = lab.told_subscriber().await?;
    let mut reading = lab.subscribe(&subscriber)?;
    expect_groups(&mut reading, &wanted, &[]).await?;
    close([publisher, subscriber]).await;
    Ok("the group that was published".to_owned())
}

/// A subscription that comes too early either waits or fails at once; after the announcement the
/// same one, or a new one, delivers.
pub(super) async fn subscribe_before_announce(lab: &Lab) -> Result<String, Failure> {
    let early = lab.subscriber().await?;
    let mut reading = lab.subscribe(&early)?;
    let refused = match timeout(STEP / 4, reading.next()).await {
        Ok(Event::TrackEnd(Err(error))) => Some(error),
        Ok(other) => return Err(Failure::new("an error, or nothing yet", describe(&other))),
        Err(_still_waiting) => None,
    };

    let (publisher, track) = lab.publisher().await?;
    let wanted: Groups = [(0, vec![frame(0, 0, 1, 100)])].into();
    publish(&track, &wanted)?;
    let (late, _announced) = lab.told_subscriber().await?;

    let received = match refused {
        None => match expect_groups(&mut reading, &wanted, &[]).await {
            Ok(()) => "the early subscription waited, then delivered".to_owned(),
            Err(failure) => {
                let mut again = lab.subscribe(&late)?;
                expect_groups(&mut again, &wanted, &[]).await?;
                format!(
                    "the early subscription got {}, a new one delivered",
                    failure.received
                )
            }
        },
        Some(error) => {
            let mut again = lab.subscribe(&late)?;
            expect_groups(&mut again, &wanted, &[]).await?;
            format!("the early subscription failed ({error}), a new one delivered")
        }
    };
    close([early, publisher, late]).await;
    Ok(received)
}
