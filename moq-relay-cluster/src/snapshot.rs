//! What an operator sees of the cluster.

use std::time::Duration;

use moq_relay_core::role::NodeName;
use moq_relay_core::session::Announcements;
use moq_transfork::dialect::Dialect;

/// What a node knows of its cluster at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Every other node that is linked or wanted, by name.
    pub nodes: Vec<NodeSnapshot>,
    /// Links that were ever made.
    pub links_total: u64,
    /// Attempts to make a link that failed.
    pub failures_total: u64,
}

/// What a node knows of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeSnapshot {
    /// The other node.
    pub name: NodeName,
    /// Whether and how it is linked.
    pub state: NodeState,
    /// Why its last link ended, or the last attempt failed.
    pub last_error: Option<String>,
    /// The links to it that are open: one, or two for a moment.
    pub links: Vec<LinkSnapshot>,
}

/// Whether a node is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// It is not, and the other side may dial first.
    Waiting,
    /// It is being dialled.
    Dialling,
    /// It is linked.
    Linked,
    /// It will be dialled again.
    Backoff {
        /// When.
        remaining: Duration,
    },
}

/// One link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkSnapshot {
    /// True if this side dialled.
    pub dialled: bool,
    /// True once everything published there at the start is known here.
    pub live: bool,
    /// How long it has been open.
    pub age: Duration,
    /// What it speaks.
    pub dialect: Dialect,
    /// Announcements in and out.
    pub announcements: Announcements,
}
