//! Drills of the ways between machines: cut, slow, and lossy.

use std::time::{Duration, SystemTime};

use anyhow::ensure;
use tokio::time::sleep;

use super::Outcome;
use crate::cluster::names::Node;
use crate::cluster::said::{News, groups_lost, links_lost, longest_pause};
use crate::cluster::stage::{Stage, since};

/// How long a way is bad.
const BAD: Duration = Duration::from_secs(10);

/// How long anything may take; more than a drill allows.
const LIMIT: Duration = Duration::from_secs(40);

/// Ten groups a second.
const TRACK: [&str; 2] = ["--fps=50", "--frames-per-group=5"];

pub(super) async fn partition(stage: &mut Stage) -> anyhow::Result<Outcome> {
    let pair = [(Node::A, "from/a"), (Node::B, "from/b")];
    let mut publishers = Vec::new();
    for (node, path) in pair {
        publishers.push(stage.publish(node, path, &TRACK).await?);
    }
    let reader = stage.read(Node::Root, "from/a").await?;
    let followers = [stage.follow(Node::A)?, stage.follow(Node::B)?];
    let at_root = stage.follow(Node::Root)?;
    for follower in [&followers[0], &followers[1], &at_root] {
        follower.active("from/a", LIMIT).await?;
        follower.active("from/b", LIMIT).await?;
    }
    let cut = SystemTime::now();
    stage.net.set_cut(Node::A, Node::B, true).await?;
    let mut noticed = Duration::ZERO;
    for (follower, other) in followers.iter().zip(["from/b", "from/a"]) {
        let ended = News::Ended(other.to_owned());
        let at = follower.hears(&ended, cut, LIMIT).await?;
        noticed = noticed.max(at.duration_since(cut).unwrap_or_default());
    }
    ensure!(noticed <= super::NOTICED, "noticed after {noticed:.1?}");
    sleep(BAD).await;
    let healed = SystemTime::now();
    stage.net.set_cut(Node::A, Node::B, false).await?;
    for (follower, other) in followers.iter().zip(["from/b", "from/a"]) {
        let active = News::Active(other.to_owned());
        follower.hears(&active, healed, LIMIT).await?;
    }
    let recovery = since(healed);
    stage.whole(&Node::FIRST, LIMIT).await?;
    let told = at_root.news_since(cut);
    ensure!(told.is_empty(), "the root's users were told {told:?}");
    drop(publishers);
    let arrivals = reader.arrivals();
    Ok(Outcome {
        recovery,
        lost: reader.lost().await,
        remark: format!(
            "noticed after {:.1} s; the root's users noticed nothing, longest pause {} ms",
            noticed.as_secs_f64(),
            longest_pause(&arrivals, cut).as_millis()
        ),
    })
}

pub(super) async fn slow(stage: &mut Stage) -> anyhow::Result<Outcome> {
    // 800 kbit/s: 50 frames of 2,000 bytes.
    let thick = [&TRACK[..], &["--frame-size=2000"]].concat();
    let _publisher = stage.publish(Node::A, "thick", &thick).await?;
    let reader = stage.read(Node::B, "thick").await?;
    let near = stage.read(Node::Root, "thick").await?;
    let start = SystemTime::now();
    stage.net.set_rate(Node::B, Some(400)).await?;
    sleep(BAD).await;
    let behind = near.newest().saturating_sub(reader.newest());
    stage.net.set_rate(Node::B, None).await?;
    let healed = SystemTime::now();
    // The whole backlog has come once the next group after now has.
    let next = near.newest() + 1;
    reader.reaches(next, LIMIT).await?;
    let recovery = since(healed);
    sleep(Duration::from_secs(2)).await;
    steady(stage, start)?;
    // A line that is too slow is met by leaving out; that others get all of it is what counts.
    let left_out = groups_lost(&reader.arrivals());
    Ok(Outcome {
        recovery,
        lost: near.lost().await,
        remark: format!(
            "{behind} groups behind in the end, {left_out} left out there; no link was lost"
        ),
    })
}

pub(super) async fn lossy(stage: &mut Stage) -> anyhow::Result<Outcome> {
    let _publisher = stage.publish(Node::A, "demo", &TRACK).await?;
    let reader = stage.read(Node::B, "demo").await?;
    let start = SystemTime::now();
    stage.net.set_loss(Node::B, 5).await?;
    sleep(BAD).await;
    stage.net.set_loss(Node::B, 0).await?;
    let healed = SystemTime::now();
    reader.goes_on(2, LIMIT).await?;
    let recovery = since(healed);
    sleep(Duration::from_secs(1)).await;
    steady(stage, start)?;
    let arrivals = reader.arrivals();
    Ok(Outcome {
        recovery,
        lost: reader.lost().await,
        remark: format!(
            "longest pause {} ms; no link was lost",
            longest_pause(&arrivals, start).as_millis()
        ),
    })
}

/// Makes sure that no link was lost since a time.
fn steady(stage: &Stage, since: SystemTime) -> anyhow::Result<()> {
    for node in Node::FIRST {
        let lost = links_lost(&stage.said(node), since);
        ensure!(lost == 0, "{node} lost {lost} links");
    }
    Ok(())
}
