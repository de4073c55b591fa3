//! Who this node is, and how long it waits.

use std::time::Duration;

use moq_relay_core::role::NodeName;

use crate::auth::Auth;

/// What a node of a cluster is told at its start.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Config {
    /// The relay where nodes find each other. Default: none; this relay may be the root of others.
    pub root: Option<NodeName>,
    /// How other nodes reach this relay. Default: they do not; it uses the cluster, and what is
    /// published at it stays there.
    pub node: Option<NodeName>,
    /// Who may act as a node. Default: nobody.
    pub auth: Auth,
    /// How long things may take.
    pub timing: Timing,
    /// Makes this process differ from all others, and its jitter from theirs. Give it something
    /// random, except in tests that are to repeat.
    pub seed: u64,
}

/// How long things may take.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Timing {
    /// Time to reach a node and agree with it. Default 5 s.
    pub handshake: Duration,
    /// Time for a node to have announced everything that is published there. Default 30 s.
    pub live: Duration,
    /// How long the node with the greater name leaves it to the other one to dial. Default 500 ms.
    pub courtesy: Duration,
    /// The first pause before a node is dialled again. Default 250 ms.
    pub backoff_min: Duration,
    /// The longest pause before a node is dialled again. Default 10 s.
    pub backoff_max: Duration,
    /// How long a link that another one replaced may take to come to rest. Default 10 s.
    pub retire: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            live: Duration::from_secs(30),
            courtesy: Duration::from_millis(500),
            backoff_min: Duration::from_millis(250),
            backoff_max: Duration::from_secs(10),
            retire: Duration::from_secs(10),
        }
    }
}
