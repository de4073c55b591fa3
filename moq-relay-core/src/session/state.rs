//! What the tasks of one session share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::stream::GroupWriter;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use web_transport_trait as wt;

use crate::error::Error;
use crate::session::context::Context;
use crate::session::inbox::Inbox;
use crate::session::ingest::intake::Intake;
use crate::session::tally::Tally;
use crate::session::used_ids::UsedIds;
use crate::shared::lock;

/// How old a group's stream has to be before it is reset towards peers of the forks.
///
/// Their WebTransport library ends the whole session when a stream is reset before its header was
/// read.
const RESET_AGE: Duration = Duration::from_secs(1);

/// By how much a stream may learn of the session's end before the session does.
const MOMENT: Duration = Duration::from_millis(100);

/// Group streams that were opened and found no group, kept for the next one.
const MAX_SPARE: usize = 8;

/// What the tasks of one session share.
pub(crate) struct State<S: wt::Session> {
    pub(crate) session: S,
    pub(crate) dialect: Dialect,
    pub(crate) context: Arc<Context>,
    pub(crate) tally: Arc<Tally>,
    /// Requests of the peer that are being served.
    pub(crate) requests: Arc<Semaphore>,
    /// Groups of the peer that are being received.
    pub(crate) groups: Arc<Semaphore>,
    inbox: Arc<Inbox>,
    /// Unidirectional streams of the peer that have not said yet which group they carry.
    arrivals: TaskTracker,
    /// Where groups of the peer go, by our subscribe ids.
    upstreams: Mutex<HashMap<u64, Arc<Intake>>>,
    next_upstream: AtomicU64,
    /// The subscribe ids that the peer has used.
    used_ids: Mutex<UsedIds>,
    spare: Mutex<Vec<GroupWriter<S>>>,
    /// Rings for one of those who wait for a stream when one is given back.
    returned: Notify,
    /// Rings when a good deal begins to be sent.
    sending: Notify,
}

impl<S: wt::Session> State<S> {
    pub(crate) fn new(
        session: S,
        dialect: Dialect,
        context: Arc<Context>,
        tally: Arc<Tally>,
        inbox: Arc<Inbox>,
    ) -> Self {
        let arrivals = TaskTracker::new();
        // It is waited for again and again, each time until there are none.
        arrivals.close();
        Self {
            session,
            dialect,
            arrivals,
            requests: Arc::new(Semaphore::new(context.limits.max_requests)),
            groups: Arc::new(Semaphore::new(context.limits.max_groups)),
            context,
            tally,
            inbox,
            upstreams: Mutex::default(),
            next_upstream: AtomicU64::new(0),
            used_ids: Mutex::default(),
            spare: Mutex::default(),
            returned: Notify::new(),
            sending: Notify::new(),
        }
    }

    /// True if the session is over, or is so in a moment: a transport's error does not tell whether
    /// it is the stream's or the session's, and a stream may learn of it first.
    pub(crate) async fn is_over(&self) -> bool {
        timeout(MOMENT, self.session.closed()).await.is_ok()
    }

    /// Opens a stream for a group, or takes one that was opened and not used, also if that is
    /// given back while the peer allows no more. As cancel-safe as the transport's `open_uni`.
    pub(crate) async fn open_group(&self) -> Result<GroupWriter<S>, Error> {
        self.begin_sending();
        loop {
            if let Some(writer) = lock(&self.spare).pop() {
                return Ok(writer);
            }
            tokio::select! {
                biased;
                opened = GroupWriter::open(&self.session, self.dialect) => return Ok(opened?),
                () = self.returned.notified() => {}
            }
        }
    }

    /// Notes that a good deal begins to be sent: a group, or many announcements.
    pub(crate) fn begin_sending(&self) {
        self.sending.notify_one();
    }

    /// Waits until a good deal begins to be sent, or returns at once if that did since the last
    /// time. Cancel-safe.
    pub(crate) async fn sending(&self) {
        self.sending.notified().await;
    }

    /// Gives back a stream on which nothing was written.
    pub(crate) fn return_unused(&self, writer: GroupWriter<S>) {
        let mut spare = lock(&self.spare);
        if spare.len() < MAX_SPARE {
            spare.push(writer);
            drop(spare);
            // Whoever comes to wait finds the ring too.
            self.returned.notify_one();
        } else {
            drop(spare);
            self.abandon(writer, Code::CANCEL, Instant::now());
        }
    }

    /// Resets a group's stream, as soon as the peer can bear it.
    pub(crate) fn abandon(&self, writer: GroupWriter<S>, code: Code, opened: Instant) {
        let due = opened + RESET_AGE;
        if self.dialect == Dialect::Draft03 || Instant::now() >= due {
            writer.abort(code);
            return;
        }
        let reset = async move {
            sleep_until(due).await;
            writer.abort(code);
        };
        // With the queue full the stream is reset right here, by being dropped.
        self.chore(reset);
    }

    /// Notes a unidirectional stream of the peer, for as long as it has not said what it carries.
    pub(crate) fn arrival(&self) -> TaskTrackerToken {
        self.arrivals.token()
    }

    /// Waits until the groups are known of all streams that have arrived by now, and of those that
    /// arrive meanwhile; at most for `patience`, since a stream need not say what it carries.
    pub(crate) async fn know_arrivals(&self, patience: Duration) {
        let known = async {
            self.inbox.take_in().await;
            self.arrivals.wait().await;
        };
        let _silent = timeout(patience, known).await;
    }

    /// Has the session's driver run something. It is dropped if too much waits for that already.
    pub(crate) fn chore(&self, chore: impl Future<Output = ()> + Send + 'static) {
        self.inbox.chore(chore.boxed());
    }

    /// Notes a subscribe id of the peer. Returns false if it was used before.
    pub(crate) fn claim_id(&self, id: u64) -> bool {
        lock(&self.used_ids).claim(id)
    }

    /// Registers where groups go under a subscribe id of ours that was never used.
    pub(crate) fn add_upstream(&self, intake: Arc<Intake>) -> u64 {
        let id = self.next_upstream.fetch_add(1, Ordering::Relaxed);
        lock(&self.upstreams).insert(id, intake);
        id
    }

    pub(crate) fn remove_upstream(&self, id: u64) {
        let removed = lock(&self.upstreams).remove(&id);
        // Outside the lock: it may be the last holder of the track.
        drop(removed);
    }

    /// Where groups with this subscribe id go.
    pub(crate) fn upstream(&self, id: u64) -> Option<Arc<Intake>> {
        lock(&self.upstreams).get(&id).cloned()
    }
}
