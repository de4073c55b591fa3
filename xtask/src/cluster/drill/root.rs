//! Drills of the root: nodes need it to find each other, and for nothing else.

use std::time::{Duration, SystemTime};

use anyhow::ensure;
use rustix::process::Signal;
use tokio::time::sleep;

use super::Outcome;
use crate::cluster::names::Node;
use crate::cluster::net::SPARE;
use crate::cluster::said::{News, count, links_lost, longest_pause};
use crate::cluster::stage::Stage;
use crate::cluster::watch::Reader;

/// How long the root is away: long enough for the longest pause between two attempts.
const AWAY: Duration = Duration::from_secs(16);

/// How long a node may take to find all others; more than a drill allows.
const LIMIT: Duration = Duration::from_secs(40);

/// Ten groups a second.
const TRACK: [&str; 2] = ["--fps=50", "--frames-per-group=5"];

pub(super) async fn gone(stage: &mut Stage) -> anyhow::Result<Outcome> {
    let _publisher = stage.publish(Node::A, "demo", &TRACK).await?;
    let reader = stage.read(Node::B, "demo").await?;
    let follower = stage.follow(Node::B)?;
    follower.active("demo", LIMIT).await?;
    let killed = SystemTime::now();
    stage.kill(Node::Root);
    sleep(AWAY / 2).await;
    stage.start(Node::C).await?;
    sleep(AWAY / 2).await;
    ensure!(
        stage.links(Node::C).is_empty(),
        "c is linked without a root"
    );
    stage.start(Node::Root).await?;
    let recovery = stage.whole(&Node::ALL, LIMIT).await?;
    let late = stage.read(Node::C, "demo").await?;
    late.goes_on(2, LIMIT).await?;
    let ended = News::Ended("demo".to_owned());
    let was_told = follower.news_since(killed).contains(&ended);
    ensure!(!was_told, "the loss of the root withdrew a track of a node");
    undisturbed(&reader, recovery, killed).await
}

pub(super) async fn moved(stage: &mut Stage) -> anyhow::Result<Outcome> {
    let _publisher = stage.publish(Node::A, "demo", &TRACK).await?;
    let reader = stage.read(Node::B, "demo").await?;
    let killed = SystemTime::now();
    stage.kill(Node::Root);
    sleep(AWAY).await;
    stage.net.point(Node::Root, SPARE).await?;
    stage.start(Node::Root).await?;
    let recovery = stage.whole(&Node::FIRST, LIMIT).await?;
    let at_root = stage.read(Node::Root, "demo").await?;
    at_root.goes_on(2, LIMIT).await?;
    undisturbed(&reader, recovery, killed).await
}

pub(super) async fn absent(stage: &mut Stage) -> anyhow::Result<Outcome> {
    stage.start(Node::A).await?;
    let _publisher = stage.publish(Node::A, "demo", &TRACK).await?;
    let begun = SystemTime::now();
    let reader = stage.read(Node::A, "demo").await?;
    sleep(AWAY).await;
    let lost = links_lost(&stage.said(Node::A), begun);
    ensure!(lost == 0, "there was nothing to lose");
    stage.start(Node::Root).await?;
    let recovery = stage.whole(&[Node::Root, Node::A], LIMIT).await?;
    let at_root = stage.read(Node::Root, "demo").await?;
    at_root.goes_on(2, LIMIT).await?;
    undisturbed(&reader, recovery, begun).await
}

pub(super) async fn mute(stage: &Stage) -> anyhow::Result<Outcome> {
    let _publisher = stage.publish(Node::A, "demo", &TRACK).await?;
    let reader = stage.read(Node::B, "demo").await?;
    let stopped = SystemTime::now();
    stage.signal(Node::Root, Signal::STOP);
    sleep(AWAY).await;
    let attempts = [Node::A, Node::B].map(|node| {
        let said = stage.said(node);
        count(&said, stopped, "not linked node=")
    });
    ensure!(
        attempts.iter().all(|count| *count >= 2),
        "attempts: {attempts:?}"
    );
    stage.signal(Node::Root, Signal::CONT);
    let recovery = stage.whole(&Node::FIRST, LIMIT).await?;
    let mut outcome = undisturbed(&reader, recovery, stopped).await?;
    let [a, b] = attempts;
    outcome.remark = format!("{a} attempts of a and {b} of b in vain; {}", outcome.remark);
    Ok(outcome)
}

/// Tells of a reader that must not have noticed anything.
async fn undisturbed(
    reader: &Reader,
    recovery: Duration,
    since: SystemTime,
) -> anyhow::Result<Outcome> {
    let arrivals = reader.arrivals();
    let pause = longest_pause(&arrivals, since);
    ensure!(pause < Duration::from_secs(2), "a pause of {pause:.1?}");
    Ok(Outcome {
        recovery,
        lost: reader.lost().await,
        remark: format!(
            "{} groups meanwhile, longest pause {} ms",
            arrivals.len(),
            pause.as_millis()
        ),
    })
}
