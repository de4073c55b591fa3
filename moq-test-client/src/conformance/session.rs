//! Sessions and announcements.

use moq_relay_core::announced::Announcement;
use tokio::time::timeout;

use crate::conformance::lab::{Lab, close};
use crate::conformance::oracle::{Failure, STEP, expect_news, expect_refusal};

/// The handshake agrees on the dialect asked for, the session stays up, and closes.
pub(super) async fn setup_only(lab: &Lab) -> Result<String, Failure> {
    let mut client = lab.subscriber().await?;
    let wanted = lab.options().dialect;
    let dialect = client.peer().dialect();
    if dialect != wanted {
        return Err(Failure::new(wanted, dialect));
    }
    // A relay that takes offence at the setup says so after it.
    let grace = STEP / 10;
    if let Ok(error) = timeout(grace, client.closed()).await {
        return Err(Failure::new(
            "an open session",
            format!("the relay closed it: {error}"),
        ));
    }
    client.close("done").await;
    Ok(format!("a session in {dialect}"))
}

/// What one session announces is told to another.
pub(super) async fn announce_only(lab: &Lab) -> Result<String, Failure> {
    let (publisher, _track) = lab.publisher().await?;
    let (listener, _announced) = lab.told_subscriber().await?;
    close([publisher, listener]).await;
    Ok("ANNOUNCE active".to_owned())
}

/// When a track ends, listeners are told, and subscribing to it fails.
pub(super) async fn publish_namespace_done(lab: &Lab) -> Result<String, Failure> {
    let (publisher, track) = lab.publisher().await?;
    let (listener, mut announced) = lab.told_subscriber().await?;
    track.finish();
    let ended = Announcement::Ended(lab.track_path()?);
    expect_news(&mut announced, &ended, "ANNOUNCE ended").await?;

    let late = lab.subscriber().await?;
    let mut reading = lab.subscribe(&late)?;
    let what = "an error for a subscription to the ended track";
    let error = expect_refusal(&mut reading, what).await?;
    close([publisher, listener, late]).await;
    Ok(format!("ANNOUNCE ended, then an error: {error}"))
}
