//! How a case is played: the programs, their order, and what is asked of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::cases::{Case, Party, Relay, Scene, Who};
use super::clock::{Expected, Reading};
use super::conformance;
use super::media::{self, Film};
use super::mixed;
use super::peers::Folder;
use super::stage::{Manner, Stage};
use crate::cargo::Binaries;
use crate::client::Client;
use crate::process::{Launch, Log};

/// How many seconds a subscriber of a clock has to get while they happen.
const LIVE: usize = 3;

/// How long after the first subscriber the late one joins.
const LATE: Duration = Duration::from_millis(2500);

/// How long a subscriber of a clock may take until it has seen enough.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a subscriber may fail because the publisher is not there yet.
const PUBLISHER_START: Duration = Duration::from_secs(5);

/// How long after such a failure it is started again.
const AGAIN: Duration = Duration::from_millis(250);

/// Everyone and everything that a case may need.
pub(super) struct Troupe {
    /// Their programs.
    pub(super) peers: Folder,
    /// Our programs.
    pub(super) ours: Binaries,
    /// The relay to test instead of ours.
    pub(super) relay: Option<PathBuf>,
    /// What the media publishers publish.
    pub(super) film: Option<Film>,
    /// The program with our own tests of clusters of both kinds of relays.
    pub(super) mixed: Option<PathBuf>,
}

/// Plays a case and gives back a remark for its row.
///
/// # Errors
/// Naming the first thing that was not as it has to be.
pub(super) async fn play(
    troupe: &Troupe,
    stage: &mut Stage,
    case: &Case,
) -> anyhow::Result<String> {
    if case.scene == Scene::Cluster {
        let tests = troupe.mixed.as_ref().context("there are no tests")?;
        return mixed::play(tests, &troupe.peers, stage, case.relay).await;
    }
    let (relay, manner) = troupe.relay(case.relay)?;
    stage.open(relay, manner).await?;
    let remark = match case.scene {
        Scene::Clock => clock(troupe, stage, case).await?,
        Scene::Media => {
            let film = troupe.film.as_ref().context("there is no film")?;
            media::play(troupe, film, stage, case).await?
        }
        Scene::Conformance => {
            let client = troupe.client(stage, case.subscriber)?;
            conformance::play(&client, stage, case.relay).await?
        }
        Scene::Cluster => bail!("a cluster has more than one relay"),
    };
    stage.close(manner).await?;
    Ok(remark)
}

impl Troupe {
    /// Our client, set up as one end of a case.
    pub(super) fn client(&self, stage: &Stage, party: Party) -> anyhow::Result<Client> {
        let program = self.ours.path("moq-test-client")?;
        let dialect = party.who.dialect().name();
        let relay = stage.target(party.over).relay;
        Ok(Client::trusting(
            program,
            party.over,
            relay,
            stage.root(),
            dialect,
        ))
    }

    fn relay(&self, relay: Relay) -> anyhow::Result<(Launch, Manner)> {
        Ok(match (relay, &self.relay) {
            (Relay::Theirs(peer), _) => (self.peers.relay(&peer), Manner::Theirs),
            (Relay::Tested, Some(other)) => (Launch::new("relay", other), Manner::Theirs),
            (Relay::Tested, None) => {
                let relay = Launch::new("relay", self.ours.path("moq-relay")?);
                (relay.args(["--grace=1s"]), Manner::Ours)
            }
        })
    }

    fn publish_clock(&self, stage: &Stage, party: Party) -> anyhow::Result<Launch> {
        Ok(match party.who {
            Who::Ours(_) => self.client(stage, party)?.publish_clock(),
            Who::Theirs(peer) => self.peers.publish_clock(&peer, &stage.target(party.over)),
        })
    }

    fn subscribe_clock(&self, stage: &Stage, party: Party) -> anyhow::Result<Launch> {
        Ok(match party.who {
            Who::Ours(_) => self.client(stage, party)?.subscribe_clock(),
            Who::Theirs(peer) => self.peers.subscribe_clock(&peer, &stage.target(party.over)),
        })
    }
}

/// The time goes to a subscriber from the start and to a late one; both have to get all of it.
async fn clock(troupe: &Troupe, stage: &mut Stage, case: &Case) -> anyhow::Result<String> {
    let published = SystemTime::now();
    let publisher = troupe.publish_clock(stage, case.publisher)?;
    stage.enter(publisher)?;
    let late = Instant::now() + LATE;
    let early = join(troupe, stage, case.subscriber, published).await?;
    sleep_until(late).await;
    let late = join(troupe, stage, case.subscriber, published).await?;
    let early = early
        .check()
        .await
        .context("the subscriber from the start")?;
    let late = late
        .check()
        .await
        .context("the subscriber that joined late")?;
    Ok(format!("{early} and {late} seconds"))
}

/// A subscriber of a clock.
struct Subscriber {
    log: Arc<Log>,
    expected: Expected,
}

/// Starts a subscriber; one that ends because nothing is announced yet is started again.
async fn join(
    troupe: &Troupe,
    stage: &mut Stage,
    party: Party,
    published: SystemTime,
) -> anyhow::Result<Subscriber> {
    let deadline = Instant::now() + PUBLISHER_START;
    loop {
        let launch = troupe.subscribe_clock(stage, party)?;
        let expected = Expected {
            published,
            joined: SystemTime::now(),
            live: LIVE,
        };
        let log = stage.enter(launch)?.log();
        let first = timeout(PATIENCE, log.find(Reading::of)).await;
        match first.context("a subscriber got nothing")? {
            Some(_) => return Ok(Subscriber { log, expected }),
            None if Instant::now() < deadline => stage.leave(),
            None => bail!("a subscriber ended without having got anything"),
        }
        sleep(AGAIN).await;
    }
}

impl Subscriber {
    /// Waits until it has seen enough, and holds that against what it had to see.
    async fn check(&self) -> anyhow::Result<usize> {
        let enough =
            |line: &_| Reading::of(line).filter(|reading| self.expected.is_enough(*reading));
        let seen = timeout(PATIENCE, self.log.find(enough)).await;
        let readings: Vec<_> = self.log.lines().iter().filter_map(Reading::of).collect();
        self.expected.check(&readings)?;
        seen.context("it did not get enough in time")?
            .context("it ended too early")?;
        Ok(readings.len())
    }
}
