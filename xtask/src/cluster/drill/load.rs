//! Drills of what clients do to a cluster that is well.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::Outcome;
use crate::cluster::names::Node;
use crate::cluster::said::{News, count};
use crate::cluster::stage::Stage;

/// How long anything may take; more than a drill allows.
const LIMIT: Duration = Duration::from_secs(60);

/// Subscribers at each node.
const CROWD: usize = 50;

/// What the program that publishes and withdraws says once it has come to rest.
#[derive(Deserialize)]
struct Rest {
    changes: usize,
    left: BTreeSet<String>,
}

pub(super) async fn churn(stage: &Stage) -> anyhow::Result<Outcome> {
    let followers = [stage.follow(Node::Root)?, stage.follow(Node::B)?];
    let launch = stage.churn(Node::A).args(["--rate=200", "--duration=15"]);
    let mut churn = launch.start()?;
    let log = churn.log();
    let rest = log.find(|line| serde_json::from_str::<Rest>(&line.text).ok());
    let rest = timeout(LIMIT, rest).await;
    let rest = rest.context("it did not come to rest")?;
    let rest = rest.with_context(|| format!("it ended: {}", log.tail(5).join("\n")))?;
    let mut recovery = Duration::ZERO;
    for follower in &followers {
        recovery = recovery.max(follower.knows(&rest.left, LIMIT).await?);
    }
    let heard = followers.each_ref().map(|follower| follower.news().len());
    drop(churn.stdin());
    churn.wait().await?;
    for follower in &followers {
        follower.knows(&BTreeSet::new(), LIMIT).await?;
    }
    Ok(Outcome {
        recovery,
        lost: 0,
        remark: format!(
            "{} changes; heard {} at root, {} at b, none twice",
            rest.changes, heard[0], heard[1]
        ),
    })
}

pub(super) async fn fan_out(stage: &Stage) -> anyhow::Result<Outcome> {
    let _publisher = stage
        .publish(Node::A, "fan/demo", &["--fps=20", "--frames-per-group=10"])
        .await?;
    for node in Node::FIRST {
        let follower = stage.follow(node)?;
        follower.active("fan/demo", LIMIT).await?;
    }
    let start = SystemTime::now();
    let mut readers = Vec::new();
    for node in Node::FIRST {
        for _ in 0..CROWD {
            let words = ["subscribe", "--path=fan/demo", "--check", "--groups=20"];
            readers.push(stage.client(node, "one of many", &words).start()?);
        }
    }
    let mut lost = 0;
    for reader in &mut readers {
        let status = timeout(LIMIT, reader.wait()).await;
        let status = status.context("a subscriber did not get enough in time")??;
        lost += u64::from(!status.success());
    }
    let at = |node| stage.said(node);
    let asked = Node::FIRST.map(|node| count(&at(node), start, "ingest::upstream: subscribes"));
    let served = Node::FIRST.map(|node| count(&at(node), start, ": subscribed"));
    ensure!(
        asked == [1, 1, 1],
        "SUBSCRIBEs sent by root, a, b: {asked:?}"
    );
    let expected = [CROWD, CROWD + 2, CROWD];
    ensure!(
        served == expected,
        "subscriptions served: {served:?} instead of {expected:?}"
    );
    Ok(Outcome {
        recovery: Duration::ZERO,
        lost,
        remark: format!(
            "SUBSCRIBEs sent by root, a, b: 1, 1, 1; served {}, {}, {}",
            served[0], served[1], served[2]
        ),
    })
}

pub(super) async fn internal(stage: &Stage) -> anyhow::Result<Outcome> {
    let followers = [stage.follow(Node::Root)?, stage.follow(Node::B)?];
    let start = SystemTime::now();
    let mut forgers = Vec::new();
    for node in Node::FIRST {
        let path = "internal/origins/victim.drill:4443";
        forgers.push(stage.publish(node, path, &["--fps=10"]).await?);
        let words = [
            "subscribe",
            "--path=internal/origins/a.drill:4443",
            "--duration=2s",
        ];
        let mut reader = stage.client(node, "spy", &words).start()?;
        let status = timeout(LIMIT, reader.wait())
            .await
            .context("a spy stays")??;
        ensure!(!status.success(), "a client read internal/ at {node}");
    }
    sleep(Duration::from_secs(6)).await;
    for node in Node::FIRST {
        let said = stage.said(node);
        ensure!(
            count(&said, start, "a client may not announce this") == 1,
            "{node} did not refuse"
        );
        ensure!(
            count(&said, start, "not linked node=") == 0,
            "{node} dialled somebody"
        );
        ensure!(
            count(&said, start, "knows a node") == 0,
            "{node} believes it"
        );
    }
    let told: Vec<News> = followers
        .iter()
        .flat_map(|follower| follower.news())
        .collect();
    ensure!(told.is_empty(), "users were told {told:?}");
    Ok(Outcome {
        recovery: Duration::ZERO,
        lost: 0,
        remark: "refused by each of root, a, b; nothing dialled within 6 s".to_owned(),
    })
}
