//! Clients of a cluster that tell what they see.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use tokio::time::{Instant, timeout};

use super::said::{Arrival, News, groups_lost, published};
use crate::process::{Launch, Process, pause};

/// How long a client may take to be at work.
const START: Duration = Duration::from_secs(20);

/// How long groups that were overtaken may take to come after all.
const OVERTAKEN: Duration = Duration::from_secs(5);

/// Publishes one track until dropped.
pub(super) struct Publisher {
    _process: Process,
}

impl Publisher {
    /// Starts it and waits for its session.
    ///
    /// # Errors
    /// Where it has none.
    pub(super) async fn start(launch: Launch) -> anyhow::Result<Self> {
        let process = launch.start()?;
        let log = process.log();
        let at_work = log.find(|line| line.text.contains("\"event\"").then_some(()));
        let at_work = timeout(START, at_work).await;
        let at_work = at_work.context("a publisher was not at work in time")?;
        at_work.with_context(|| format!("a publisher ended: {}", log.tail(5).join("\n")))?;
        Ok(Self { _process: process })
    }
}

/// Follows all that is announced.
pub(super) struct Follower {
    process: Process,
}

impl Follower {
    /// Starts it.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(super) fn start(launch: Launch) -> anyhow::Result<Self> {
        let process = launch.start()?;
        Ok(Self { process })
    }

    /// Waits until a path is published, and says when that was heard.
    ///
    /// # Errors
    /// Where it takes too long.
    pub(super) async fn active(&self, path: &str, limit: Duration) -> anyhow::Result<SystemTime> {
        let start = SystemTime::UNIX_EPOCH;
        self.hears(&News::Active(path.to_owned()), start, limit)
            .await
    }

    /// Waits for news since a time, and says when it was heard.
    ///
    /// # Errors
    /// Where it takes too long.
    pub(super) async fn hears(
        &self,
        news: &News,
        since: SystemTime,
        limit: Duration,
    ) -> anyhow::Result<SystemTime> {
        let log = self.process.log();
        let heard = log.find(|line| {
            let is_it = line.at >= since && News::of(line).as_ref() == Some(news);
            is_it.then_some(line.at)
        });
        let heard = timeout(limit, heard).await;
        let heard = heard.with_context(|| format!("no {news:?} within {limit:?}"))?;
        heard.with_context(|| format!("a follower ended: {}", log.tail(5).join("\n")))
    }

    /// Waits until exactly these paths are published.
    ///
    /// # Errors
    /// Where it takes too long, or something was told twice.
    pub(super) async fn knows(
        &self,
        truth: &BTreeSet<String>,
        limit: Duration,
    ) -> anyhow::Result<Duration> {
        let start = Instant::now();
        loop {
            let known = published(&self.news())?;
            if known == *truth {
                return Ok(start.elapsed());
            }
            if start.elapsed() >= limit {
                bail!("{known:?} is known instead of {truth:?}");
            }
            pause().await;
        }
    }

    /// All news so far.
    pub(super) fn news(&self) -> Vec<News> {
        let lines = self.process.log().lines();
        lines.iter().filter_map(News::of).collect()
    }

    /// The news since a time.
    pub(super) fn news_since(&self, since: SystemTime) -> Vec<News> {
        let lines = self.process.log().lines();
        let late = lines.iter().filter(|line| line.at >= since);
        late.filter_map(News::of).collect()
    }
}

/// Reads one track.
pub(super) struct Reader {
    process: Process,
}

impl Reader {
    /// Starts it and waits for its first group.
    ///
    /// # Errors
    /// Where none comes.
    pub(super) async fn start(launch: Launch) -> anyhow::Result<Self> {
        let process = launch.start()?;
        let reader = Self { process };
        reader.reaches(0, START).await?;
        Ok(reader)
    }

    /// Waits for a group that is not before this one, and says when it came.
    ///
    /// # Errors
    /// Where it takes too long, or the reading ended.
    pub(super) async fn reaches(&self, group: u64, limit: Duration) -> anyhow::Result<SystemTime> {
        let log = self.process.log();
        let reached = log.find(|line| {
            let arrival = Arrival::of(line)?;
            (arrival.group >= group).then_some(arrival.at)
        });
        let reached = timeout(limit, reached).await;
        let reached = reached.with_context(|| format!("no group {group} within {limit:?}"))?;
        reached.with_context(|| format!("a subscriber ended: {}", log.tail(5).join("\n")))
    }

    /// Waits until groups come again, `count` more than now.
    ///
    /// # Errors
    /// Where it takes too long, or the reading ended.
    pub(super) async fn goes_on(&self, count: u64, limit: Duration) -> anyhow::Result<SystemTime> {
        let newest = self.newest();
        self.reaches(newest + count, limit).await
    }

    /// The newest group so far.
    pub(super) fn newest(&self) -> u64 {
        let arrivals = self.arrivals();
        let groups = arrivals.iter().map(|arrival| arrival.group);
        groups.max().unwrap_or_default()
    }

    /// Waits until nothing is missing, for a while, and counts the groups that still are.
    pub(super) async fn lost(&self) -> u64 {
        let end = Instant::now() + OVERTAKEN;
        loop {
            let lost = groups_lost(&self.arrivals());
            if lost == 0 || Instant::now() >= end {
                return lost;
            }
            pause().await;
        }
    }

    /// All groups so far, as they came.
    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        let lines = self.process.log().lines();
        lines.iter().filter_map(Arrival::of).collect()
    }
}
