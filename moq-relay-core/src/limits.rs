//! What a peer may cost, and how long things last.

use std::time::Duration;

/// Bounds on what one session may ask of this side, and the times that rule it.
///
/// Every queue, table and wait that a peer can fill is bounded by one of these.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Time for the setup handshake of a session, and for the first message of each stream.
    /// Default 10 s, the idle timeout of real peers.
    pub handshake: Duration,
    /// Requests (announce, subscribe, fetch, info) that one peer may have open at a time.
    /// Default 4096; each costs about 2 KiB here.
    pub max_requests: usize,
    /// Groups that one peer may have open towards us at a time. Default 4096. The transport's
    /// stream limit is usually lower and rules.
    pub max_groups: usize,
    /// Paths that one peer may have announced at a time; more are passed over. Default 65,536; each
    /// costs about 400 bytes and is told to every listener.
    pub max_announced: usize,
    /// Groups of one subscription that are on their way at a time. Default 64. When a newer group
    /// waits, a descending subscription gives up its oldest; an ascending one waits.
    pub max_deliveries: usize,
    /// How long a finished group stays on its way once a newer one of its track is, unless the
    /// subscriber asked for ascending order. Default 5 s. This bounds what a slow link can fall behind.
    ///
    /// A group that still waits for a stream is given up as long after its end, unless it had ended
    /// before the subscription began: the past is waited for.
    pub max_backlog: Duration,
    /// How long an upstream subscription outlives its last subscriber. Default 1 s, so that a
    /// subscriber who reconnects finds the track warm.
    pub linger: Duration,
    /// How long a group stays missing before subscribers are told that it will not come.
    /// Default 10 s.
    pub max_reordering: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            max_requests: 4096,
            max_groups: 4096,
            max_announced: 65_536,
            max_deliveries: 64,
            max_backlog: Duration::from_secs(5),
            linger: Duration::from_secs(1),
            max_reordering: Duration::from_secs(10),
        }
    }
}
