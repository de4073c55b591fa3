//! Drills of a node that goes, in every manner there is, and comes back.

use std::time::{Duration, SystemTime};

use anyhow::ensure;
use rustix::process::Signal;
use tokio::time::sleep;

use super::Outcome;
use crate::cluster::names::Node;
use crate::cluster::net::SPARE;
use crate::cluster::said::{News, count, longest_pause};
use crate::cluster::stage::{Stage, since};
use crate::cluster::watch::{Follower, Publisher, Reader};

/// How long anything may take; more than a drill allows.
const LIMIT: Duration = Duration::from_secs(40);

/// Ten groups a second.
const TRACK: [&str; 2] = ["--fps=50", "--frames-per-group=5"];

/// Two nodes that publish the same, and a subscriber at the root that one of them serves.
struct Twins {
    /// The node that serves it.
    serving: Node,
    /// The other one.
    other: Node,
    reader: Reader,
    /// What the root and the other node announce.
    followers: [Follower; 2],
    /// The path that only the serving node has.
    own: String,
    _publishers: [Publisher; 3],
}

impl Twins {
    async fn new(stage: &Stage) -> anyhow::Result<Self> {
        // At once, so that their groups are the same ones at the same time.
        let both = [Node::A, Node::B].map(|node| stage.publish(node, "twice", &TRACK));
        let [a, b] = both;
        let (a, b) = tokio::try_join!(a, b)?;
        let begun = SystemTime::now();
        let reader = stage.read(Node::Root, "twice").await?;
        let is_a = count(&stage.said(Node::A), begun, "subscribed") > 0;
        let (serving, other) = if is_a {
            (Node::A, Node::B)
        } else {
            (Node::B, Node::A)
        };
        let own = format!("only/{serving}");
        let single = stage.publish(serving, &own, &TRACK).await?;
        let followers = [stage.follow(Node::Root)?, stage.follow(other)?];
        for follower in &followers {
            follower.active(&own, LIMIT).await?;
        }
        reader.goes_on(5, LIMIT).await?;
        Ok(Self {
            serving,
            other,
            reader,
            followers,
            own,
            _publishers: [a, b, single],
        })
    }

    /// Waits until all have heard that the serving node's own track is gone, once.
    async fn unannounced(&self, start: SystemTime) -> anyhow::Result<Duration> {
        let ended = News::Ended(self.own.clone());
        let mut last = Duration::ZERO;
        for follower in &self.followers {
            let at = follower.hears(&ended, start, LIMIT).await?;
            last = last.max(at.duration_since(start).unwrap_or_default());
        }
        Ok(last)
    }

    /// Makes sure that each was told of the serving node's own track once, and of nothing else.
    fn once(&self, start: SystemTime) -> anyhow::Result<()> {
        let expected = [News::Ended(self.own.clone())];
        for follower in &self.followers {
            let news = follower.news_since(start);
            ensure!(news == expected, "{news:?} instead of {expected:?}");
        }
        Ok(())
    }

    /// Waits until groups come from the other node; returns the longest pause since `start`.
    async fn moved(&self, start: SystemTime) -> anyhow::Result<Duration> {
        self.reader.goes_on(30, LIMIT).await?;
        self.once(start)?;
        Ok(longest_pause(&self.reader.arrivals(), start))
    }
}

pub(super) async fn killed(stage: &mut Stage) -> anyhow::Result<Outcome> {
    let twins = Twins::new(stage).await?;
    let start = SystemTime::now();
    stage.kill(twins.serving);
    let noticed = twins.unannounced(start).await?;
    let pause = twins.moved(start).await?;
    Ok(Outcome {
        recovery: noticed.max(pause),
        lost: twins.reader.lost().await,
        remark: format!(
            "unannounced after {:.1} s, moved to {}: groups again after {:.1} s",
            noticed.as_secs_f64(),
            twins.other,
            pause.as_secs_f64()
        ),
    })
}

pub(super) async fn leaves(stage: &mut Stage) -> anyhow::Result<Outcome> {
    let twins = Twins::new(stage).await?;
    let start = SystemTime::now();
    stage.signal(twins.serving, Signal::TERM);
    let told = twins.unannounced(start).await?;
    stage.ended(twins.serving).await?;
    let ended = since(start);
    let pause = twins.moved(start).await?;
    Ok(Outcome {
        recovery: told.max(pause),
        lost: twins.reader.lost().await,
        remark: format!(
            "withdrawn after {} ms, longest pause {} ms, ended with 0 after {:.1} s",
            told.as_millis(),
            pause.as_millis(),
            ended.as_secs_f64()
        ),
    })
}

pub(super) async fn back(stage: &mut Stage) -> anyhow::Result<Outcome> {
    returns(stage, None).await
}

pub(super) async fn moved(stage: &mut Stage) -> anyhow::Result<Outcome> {
    returns(stage, Some(SPARE)).await
}

/// A node is killed and comes back after a while, perhaps on another machine.
async fn returns(stage: &mut Stage, machine: Option<usize>) -> anyhow::Result<Outcome> {
    let _publisher = stage.publish(Node::A, "demo", &TRACK).await?;
    let reader = stage.read(Node::Root, "demo").await?;
    stage.kill(Node::B);
    sleep(Duration::from_secs(8)).await;
    if let Some(machine) = machine {
        stage.net.point(Node::B, machine).await?;
    }
    stage.start(Node::B).await?;
    let recovery = stage.whole(&Node::FIRST, LIMIT).await?;
    let again = stage.read(Node::B, "demo").await?;
    again.goes_on(5, LIMIT).await?;
    let lost = reader.lost().await + again.lost().await;
    Ok(Outcome {
        recovery,
        lost,
        remark: "a track of another node flows to it again".to_owned(),
    })
}

pub(super) async fn mute(stage: &Stage) -> anyhow::Result<Outcome> {
    let twins = Twins::new(stage).await?;
    let start = SystemTime::now();
    stage.signal(twins.serving, Signal::STOP);
    let noticed = twins.unannounced(start).await?;
    sleep(Duration::from_secs(12)).await;
    twins.once(start)?;
    let arrivals = twins.reader.arrivals();
    let pause = longest_pause(&arrivals, start);
    ensure!(
        noticed.max(pause) <= super::NOTICED,
        "noticed after {noticed:.1?}, groups again after {pause:.1?}"
    );
    stage.signal(twins.serving, Signal::CONT);
    let recovery = stage.whole(&Node::FIRST, LIMIT).await?;
    twins.reader.goes_on(10, LIMIT).await?;
    Ok(Outcome {
        recovery,
        lost: twins.reader.lost().await,
        remark: format!(
            "noticed after {:.1} s, groups again after {:.1} s",
            noticed.as_secs_f64(),
            pause.as_secs_f64()
        ),
    })
}

pub(super) async fn handshake_dies(stage: &mut Stage) -> anyhow::Result<Outcome> {
    let _publisher = stage.publish(Node::A, "demo", &TRACK).await?;
    let reader = stage.read(Node::Root, "demo").await?;
    let start = SystemTime::now();
    stage.kill(Node::B);
    for attempt in 0..10 {
        stage.launch(Node::B).await?;
        sleep(Duration::from_millis(10 + 20 * attempt)).await;
        stage.kill(Node::B);
    }
    let linked = count(&stage.said(Node::Root), start, " linked node=");
    stage.start(Node::B).await?;
    let recovery = stage.whole(&Node::FIRST, LIMIT).await?;
    let again = stage.read(Node::B, "demo").await?;
    again.goes_on(5, LIMIT).await?;
    Ok(Outcome {
        recovery,
        lost: reader.lost().await,
        remark: format!("{linked} of 10 lives were long enough for a link to the root"),
    })
}
