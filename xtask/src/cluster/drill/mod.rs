//! The drills: what is done to a cluster, and how soon and how completely it has to recover.

use std::time::Duration;

use super::net::{Kind, Weather};
use super::stage::{Programs, Stage};

mod load;
mod node;
mod root;
mod way;

/// What relays get to find each other again: the longest pause between two attempts (10 s), and an
/// attempt that began too early and is given up (5 s).
const REDIALLED: Duration = Duration::from_secs(16);

/// What a loss that nobody tells of may take to be noticed: the idle time of links is 3 s.
const NOTICED: Duration = Duration::from_secs(5);

/// What may be late of something that is told at once, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(2);

/// One drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Drill {
    /// The root is killed: links stay, tracks flow; a node that appears meanwhile is found after
    RootGone,
    /// The root is killed, and another machine takes over its name
    RootMoved,
    /// The root is stopped by SIGSTOP, accepts and never answers, and goes on after 16 s
    RootMute,
    /// A node starts without its root, serves its clients, and joins once the root is there
    RootAbsent,
    /// A node is killed: unannounced once, its subscribers fail over to another node
    NodeKilled,
    /// A killed node comes back under its name
    NodeBack,
    /// A killed node comes back under its name on another machine
    NodeMoved,
    /// A node gets SIGTERM: it withdraws first, and its subscribers move
    NodeLeaves,
    /// A node is stopped by SIGSTOP: unannounced once, as if dead; it goes on after 12 s
    NodeMute,
    /// A node dies ten times during its handshakes
    HandshakeDies,
    /// Two nodes do not reach each other for 10 s, while both see the root
    Partition,
    /// A node's line is 400 kbit/s for 10 s, while it wants a track of 800 kbit/s
    SlowLine,
    /// A node's line loses 5 % of all packets each way for 10 s
    LossyLine,
    /// 200 announcements and withdrawals a second for 15 s
    Churn,
    /// 50 subscribers on each of three nodes: one SUBSCRIBE at the publisher, one on each link
    FanOut,
    /// A client announces and subscribes internal/...: refused, and nothing is dialled
    Internal,
}

/// Where a drill takes place.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) programs: &'a Programs,
    pub(super) kind: Kind,
    pub(super) weather: Weather,
}

/// What a drill measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// From the event until all was well again.
    pub(super) recovery: Duration,
    /// Groups that a subscriber should have got and did not.
    pub(super) lost: u64,
    /// What else is to tell.
    pub(super) remark: String,
}

impl Ground<'_> {
    /// Starts a root and two nodes that are linked.
    pub(super) async fn up(&self) -> anyhow::Result<Stage> {
        Stage::up(self.programs, self.kind, self.weather).await
    }

    /// Makes a network with nobody in it.
    pub(super) fn empty(&self) -> anyhow::Result<Stage> {
        Stage::new(self.programs, self.kind, self.weather)
    }
}

impl Drill {
    /// How long its recovery may take, at most.
    pub(super) fn bound(self) -> Duration {
        match self {
            Self::RootGone
            | Self::RootMoved
            | Self::RootMute
            | Self::RootAbsent
            | Self::NodeBack
            | Self::NodeMoved
            | Self::NodeMute
            | Self::HandshakeDies
            | Self::Partition => REDIALLED,
            Self::NodeKilled => NOTICED,
            Self::NodeLeaves | Self::Churn | Self::FanOut | Self::Internal => AT_ONCE,
            // What was not sent in time is sent afterwards.
            Self::SlowLine | Self::LossyLine => NOTICED * 2,
        }
    }

    /// How many groups it may cost a subscriber, at most.
    pub(super) fn price(self) -> u64 {
        // Of the group under way, the rest is gone with its node.
        u64::from(matches!(self, Self::NodeKilled | Self::NodeMute))
    }

    /// Runs it. What it leaves in `stage` is for a report of its failure.
    ///
    /// # Errors
    /// Where something did not happen at all, or happened that must not.
    pub(super) async fn run(
        self,
        ground: Ground<'_>,
        stage: &mut Option<Stage>,
    ) -> anyhow::Result<Outcome> {
        let stage = stage.insert(if self == Self::RootAbsent {
            ground.empty()?
        } else {
            ground.up().await?
        });
        let outcome = match self {
            Self::RootGone => root::gone(stage).await,
            Self::RootMoved => root::moved(stage).await,
            Self::RootMute => root::mute(stage).await,
            Self::RootAbsent => root::absent(stage).await,
            Self::NodeKilled => node::killed(stage).await,
            Self::NodeBack => node::back(stage).await,
            Self::NodeMoved => node::moved(stage).await,
            Self::NodeLeaves => node::leaves(stage).await,
            Self::NodeMute => node::mute(stage).await,
            Self::HandshakeDies => node::handshake_dies(stage).await,
            Self::Partition => way::partition(stage).await,
            Self::SlowLine => way::slow(stage).await,
            Self::LossyLine => way::lossy(stage).await,
            Self::Churn => load::churn(stage).await,
            Self::FanOut => load::fan_out(stage).await,
            Self::Internal => load::internal(stage).await,
        }?;
        stage.sound().await?;
        Ok(outcome)
    }
}
