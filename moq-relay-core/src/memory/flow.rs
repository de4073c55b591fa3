use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

/// One of the two ends of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    First,
    Second,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::First, Self::Second];

    pub(super) fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    pub(super) fn index(self) -> usize {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }
}

/// The two kinds of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Uni,
    Bi,
}

impl Kind {
    pub(super) fn index(self) -> usize {
        match self {
            Self::Uni => 0,
            Self::Bi => 1,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FlowId(pub(super) u64);

/// The directions of a bidirectional stream as one end sees them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Duplex {
    /// The direction it writes.
    pub(super) send: FlowId,
    /// The direction it reads.
    pub(super) recv: FlowId,
}

/// One direction of a stream: what its writer knows and what its reader knows.
///
/// Neither half looks at the other; they learn of each other by events over the link.
pub(super) struct Flow {
    /// The end that writes.
    pub(super) writer: Side,
    /// The direction back, on the opener's direction of a bidirectional stream.
    pub(super) answer: Option<FlowId>,
    /// Counts the stream against the opener's limit, until both directions are done.
    pub(super) permit: Option<Arc<OwnedSemaphorePermit>>,
    pub(super) send: SendHalf,
    pub(super) recv: RecvHalf,
}

impl Flow {
    pub(super) fn new(writer: Side, opener: Side, permit: Arc<OwnedSemaphorePermit>) -> Self {
        // What the opener reads needs no announcement.
        let announced = writer != opener;
        Self {
            writer,
            answer: None,
            permit: Some(permit),
            send: SendHalf::default(),
            recv: RecvHalf {
                announced,
                ..RecvHalf::default()
            },
        }
    }

    pub(super) fn reader(&self) -> Side {
        self.writer.other()
    }

    /// Whether no handle and no event in flight can need this flow again.
    pub(super) fn is_over(&self) -> bool {
        self.send.done && self.send.released && self.recv.released
    }
}

/// What the writing end knows.
#[derive(Default)]
pub(super) struct SendHalf {
    /// Higher goes first.
    pub(super) priority: i32,
    /// Written, and not yet handed to the link.
    pub(super) queue: VecDeque<Bytes>,
    /// Whether the link's schedule has an entry for this flow.
    pub(super) scheduled: bool,
    /// Bytes written and not yet known to be read: what the windows limit.
    pub(super) held: usize,
    pub(super) phase: SendPhase,
    /// The code with which the reader stopped the stream.
    pub(super) stopped: Option<u32>,
    /// The reader has everything up to the end.
    pub(super) acked: bool,
    /// The reader needs nothing more of this flow.
    pub(super) done: bool,
    /// The handle was dropped, or never existed.
    pub(super) released: bool,
    /// Whether the flow is listed as waiting for the session's window.
    pub(super) blocked: bool,
    /// The one future that can wait on the handle.
    pub(super) waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum SendPhase {
    #[default]
    Open,
    /// Finished, and the end has not left yet.
    Finishing,
    Finished,
    Reset,
}

/// What the reading end knows.
#[derive(Default)]
pub(super) struct RecvHalf {
    /// The reading end knows of the stream.
    pub(super) announced: bool,
    /// Arrived, and not yet read.
    pub(super) chunks: VecDeque<Bytes>,
    /// How the stream ended, once that arrived.
    pub(super) end: Option<RecvEnd>,
    pub(super) phase: RecvPhase,
    /// The handle was dropped, or will never exist.
    pub(super) released: bool,
    /// The one future that can wait on the handle.
    pub(super) waker: Option<Waker>,
}

impl RecvHalf {
    /// Whether the stream has arrived and been read completely.
    pub(super) fn is_drained(&self) -> bool {
        self.end == Some(RecvEnd::Fin) && self.chunks.is_empty()
    }

    /// Drops what was not read and returns how many bytes that was.
    pub(super) fn discard(&mut self) -> usize {
        self.chunks.drain(..).map(|chunk| chunk.len()).sum()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecvEnd {
    Fin,
    Reset(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum RecvPhase {
    #[default]
    Reading,
    /// Stopped, or a read returned the end or the reset: reads return a clean end, as in quinn.
    Ended,
    /// `closed` returned the reset: reads fail.
    Closed,
}
