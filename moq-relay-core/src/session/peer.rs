//! The handle to a connected peer: what it publishes, as a [`Source`].

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moq_transfork::code::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::path::Path;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::announced::{Announced, Feeder};
use crate::error::Error;
use crate::model::consumer::TrackConsumer;
use crate::model::group::{GroupConsumer, GroupProducer};
use crate::model::subscription::Subscription;
use crate::model::track::{Latest, TrackProducer, WeakTrack};
use crate::session::context::Context;
use crate::session::inbox::Inbox;
use crate::session::shelf::Shelf;
use crate::session::tally::{Tally, TallyState};
use crate::shared::lock;
use crate::source::{FetchRequest, Source};

/// A connected peer. What it publishes is a [`Source`]. Clones refer to the same peer.
#[derive(Debug, Clone)]
pub struct Peer {
    shared: Arc<PeerShared>,
}

/// Announcements that passed between the two ends of a session: active ones and ended ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Announcements {
    /// Those of the peer.
    pub received: u64,
    /// Those to the peer.
    pub sent: u64,
}

struct PeerShared {
    dialect: Dialect,
    tally: Arc<Tally>,
    context: Arc<Context>,
    /// The live tracks of this peer, so that each is subscribed to once.
    tracks: Mutex<HashMap<Path, WeakTrack>>,
    shelf: Shelf,
    inbox: Arc<Inbox>,
}

/// Says when it is dropped that the session has ended.
pub(super) struct Gone(Arc<Tally>);

/// What the driver is asked to do.
pub(super) enum Ask {
    Track(TrackProducer),
    Announced(Path, Feeder),
    Info(Path, oneshot::Sender<Result<Latest, Error>>),
    /// Until the token is cancelled, when nobody wants it any more.
    Fetch(FetchRequest, GroupProducer, CancellationToken),
}

impl Peer {
    pub(super) fn new(
        dialect: Dialect,
        context: Arc<Context>,
        tally: Arc<Tally>,
        inbox: Arc<Inbox>,
    ) -> (Self, Gone) {
        let shared = PeerShared {
            dialect,
            tally,
            context,
            tracks: Mutex::default(),
            shelf: Shelf::default(),
            inbox,
        };
        let gone = Gone(shared.tally.clone());
        (
            Self {
                shared: Arc::new(shared),
            },
            gone,
        )
    }

    /// The dialect that the session speaks.
    pub fn dialect(&self) -> Dialect {
        self.shared.dialect
    }

    /// Announcements that have passed so far.
    pub fn announcements(&self) -> Announcements {
        let tally = &self.shared.tally;
        Announcements {
            received: tally.received.value(),
            sent: tally.sent.value(),
        }
    }

    /// Waits until a relay that serves the session has everything in its directory that the peer
    /// published at the start. Waits for ever if the peer's dialect cannot say so. Cancel-safe.
    pub async fn live(&self) {
        let live = |state: &mut TallyState| state.live.then_some(());
        self.shared.tally.state.wait(live).await;
    }

    /// Gives up what the peer publishes: a relay that serves the session takes it out of its
    /// directory, and subscriptions move to other publishers where there are some.
    pub fn retire(&self) {
        self.shared.tally.state.change(|state| state.retired = true);
    }

    /// Waits until the peer is given up. Returns false if the session has ended before. Cancel-safe.
    pub(crate) async fn retired(&self) -> bool {
        let retired = |state: &mut TallyState| (state.retired || state.gone).then_some(!state.gone);
        self.shared.tally.state.wait(retired).await
    }

    /// Waits until the peer, having followed our announcements, does not any more. Cancel-safe.
    pub async fn unfollowed(&self) {
        let unfollowed =
            |state: &mut TallyState| (state.followed && state.followers == 0).then_some(());
        self.shared.tally.state.wait(unfollowed).await;
    }

    /// Waits until no subscription of the peer is being served. Cancel-safe.
    pub async fn unsubscribed(&self) {
        let unsubscribed = |state: &mut TallyState| (state.subscriptions == 0).then_some(());
        self.shared.tally.state.wait(unsubscribed).await;
    }

    /// Waits until there is no subscription between the two ends. Cancel-safe.
    pub async fn idle(&self) {
        let idle = |state: &mut TallyState| {
            (state.subscriptions == 0 && state.upstreams == 0).then_some(())
        };
        self.shared.tally.state.wait(idle).await;
    }

    pub(crate) fn set_live(&self) {
        self.shared.tally.state.change(|state| state.live = true);
    }

    /// Tells the readers of a track that another publisher of its path is the one to read from.
    pub(crate) fn supersede(&self, path: &Path) {
        if let Some(track) = self.live_track(path) {
            track.supersede();
        }
    }

    /// Closes the session with a code and a reason that the peer sees.
    pub async fn close(&self, code: Code, reason: &str) {
        self.shared.inbox.close(code, reason);
        self.closed().await;
    }

    /// Waits until the session has ended.
    pub async fn closed(&self) {
        let gone = |state: &mut TallyState| state.gone.then_some(());
        self.shared.tally.state.wait(gone).await;
    }

    /// Forgets a track that has ended, unless another took its place. Its whole groups stay to be
    /// fetched.
    pub(super) fn shelve(&self, track: &TrackProducer) {
        let max_age = track.max_age();
        for group in track.whole_groups() {
            self.shared.shelf.keep(track.path(), group, max_age);
        }
        let mut tracks = self.lock();
        let weak = track.downgrade();
        if tracks
            .get(track.path())
            .is_some_and(|current| current.is(&weak))
        {
            tracks.remove(track.path());
        }
    }

    /// Returns the work of clearing out groups of the past as they grow old, unless there are none
    /// or somebody does it already.
    pub(super) fn tidy(&self) -> Option<impl Future<Output = ()> + Send + 'static> {
        let peer = self.clone();
        let tidy = async move { peer.shared.shelf.tidy().await };
        self.shared.shelf.needs_tidying().then_some(tidy)
    }

    fn ask(&self, ask: Ask) -> Result<(), Error> {
        if self.shared.tally.state.lock().gone {
            return Err(Error::Dropped);
        }
        self.shared.inbox.ask(ask)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Path, WeakTrack>> {
        lock(&self.shared.tracks)
    }

    fn live_track(&self, path: &Path) -> Option<WeakTrack> {
        self.lock().get(path).cloned()
    }

    async fn ask_info(&self, path: &Path) -> Result<Latest, Error> {
        if let Some(known) = self.live_track(path).and_then(|track| track.info()) {
            return Ok(known);
        }
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Info(path.clone(), reply))?;
        answer.await.unwrap_or(Err(Error::Dropped))
    }

    async fn ask_fetch(&self, request: &FetchRequest) -> Result<GroupConsumer, Error> {
        let cached = self
            .live_track(&request.path)
            .and_then(|track| track.group(request.group));
        if let Some(mut group) = cached {
            group.seek(request.frame).await?;
            return Ok(group);
        }
        if let Some(mut group) = self.shared.shelf.find(&request.path, request.group) {
            group.seek(request.frame).await?;
            return Ok(group);
        }
        if !self.shared.dialect.has_fetch() {
            return Err(Error::NotFound);
        }
        let cache = &self.shared.context.cache;
        let producer = GroupProducer::alone(request.group, cache)?;
        let group = producer.consume();
        let unwanted = CancellationToken::new();
        let wanted = Arc::new(unwanted.clone().drop_guard());
        // Only a group from its first frame on serves others too.
        if request.frame == 0 {
            let max_age = cache.limits().max_age;
            let weak = Arc::downgrade(&wanted);
            let shelf = &self.shared.shelf;
            shelf.keep_fetched(&request.path, group.clone(), max_age, weak);
        }
        self.ask(Ask::Fetch(request.clone(), producer, unwanted))?;
        Ok(group.wanting(wanted))
    }
}

impl Source for Peer {
    fn track(&self, path: &Path, subscription: Subscription) -> Result<TrackConsumer, Error> {
        let mut tracks = self.lock();
        let live = tracks
            .get(path)
            .and_then(|track| track.consume(subscription.clone()));
        if let Some(live) = live {
            return Ok(live);
        }
        let context = &self.shared.context;
        let max_reordering = context.limits.max_reordering;
        let producer = TrackProducer::new(path.clone(), &context.cache, max_reordering);
        let consumer = producer.consume(subscription)?;
        let track = producer.downgrade();
        self.ask(Ask::Track(producer))?;
        tracks.insert(path.clone(), track);
        Ok(consumer)
    }

    fn announced(&self, prefix: &Path) -> Announced {
        let (announced, feeder) = Feeder::new(prefix);
        // Whoever is not asked feeds nobody, which ends what is announced.
        let _refused = self.ask(Ask::Announced(prefix.clone(), feeder));
        announced
    }

    fn info<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Latest, Error>> {
        self.ask_info(path).boxed()
    }

    fn fetch<'a>(
        &'a self,
        request: &'a FetchRequest,
    ) -> BoxFuture<'a, Result<GroupConsumer, Error>> {
        self.ask_fetch(request).boxed()
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.state.change(|state| state.gone = true);
    }
}

impl fmt::Debug for PeerShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("dialect", &self.dialect)
            .finish_non_exhaustive()
    }
}
