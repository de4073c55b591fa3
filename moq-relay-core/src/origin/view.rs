//! What a peer sees of the directory, by its role.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moq_transfork::path::Path;

use crate::announced::{AnnounceSet, Announced, Listener};
use crate::error::Error;
use crate::model::consumer::TrackConsumer;
use crate::model::group::GroupConsumer;
use crate::model::subscription::Subscription;
use crate::model::track::Latest;
use crate::origin::{Origin, Scope};
use crate::role::{Role, is_internal};
use crate::shared::lock;
use crate::source::{FetchRequest, Source};

/// The role of a peer, which may change once: when a client turns out to be a node.
pub(crate) struct Standing(Mutex<State>);

struct State {
    role: Role,
    /// True if a client may turn out to be a node.
    may_rise: bool,
    /// What the peer follows.
    listeners: Vec<Weak<Listener>>,
}

/// What a peer sees of the directory.
///
/// A client sees everything but the paths of the cluster, which are refused to it. Another relay
/// sees what is published here, and the nodes if it asks for them.
#[derive(Clone)]
pub(crate) struct View {
    origin: Origin,
    standing: Arc<Standing>,
}

impl Standing {
    pub(crate) fn new(role: Role) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            role,
            may_rise: false,
            listeners: Vec::new(),
        })))
    }

    pub(crate) fn role(&self) -> Role {
        self.lock().role.clone()
    }

    /// Lets a client turn out to be a node. It may ask for the nodes before it does, and is told
    /// of none until then.
    pub(crate) fn let_rise(&self) {
        self.lock().may_rise = true;
    }

    fn is_client(&self) -> bool {
        self.lock().role == Role::Client
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl View {
    pub(crate) fn new(origin: Origin, standing: Arc<Standing>) -> Self {
        Self { origin, standing }
    }

    /// Gives the peer another role. It is told of the difference as if paths had come and gone.
    pub(crate) fn promote(&self, role: Role) {
        // Held throughout: the sets do not change meanwhile.
        let _directory = self.origin.lock();
        let mut state = self.standing.lock();
        state.role = role;
        for listener in state.listeners.iter().filter_map(Weak::upgrade) {
            listener.move_to(self.set(&state.role, listener.prefix()));
        }
    }

    /// The set that tells a peer of the paths below a prefix.
    fn set(&self, role: &Role, prefix: &Path) -> &Arc<AnnounceSet> {
        match role {
            Role::Client => &self.origin.shared.public,
            Role::Node(_) | Role::Member if is_internal(prefix) => &self.origin.shared.nodes,
            Role::Node(_) | Role::Member => &self.origin.shared.local,
        }
    }

    /// Which routes may serve a request for this path.
    fn scope(&self, path: &Path) -> Result<Scope, Error> {
        match (self.standing.is_client(), is_internal(path)) {
            (true, true) => Err(Error::Unauthorized),
            (true, false) => Ok(Scope::Everything),
            (false, _) => Ok(Scope::Local),
        }
    }
}

impl Source for View {
    fn track(&self, path: &Path, subscription: Subscription) -> Result<TrackConsumer, Error> {
        self.origin.track_in(path, &subscription, self.scope(path)?)
    }

    fn announced(&self, prefix: &Path) -> Announced {
        let _directory = self.origin.lock();
        let mut state = self.standing.lock();
        let announced = match &state.role {
            Role::Client if is_internal(prefix) && state.may_rise => {
                Arc::new(AnnounceSet::default()).listen(prefix)
            }
            Role::Client if is_internal(prefix) => {
                return Announced::refused(Error::Unauthorized);
            }
            role @ (Role::Client | Role::Node(_) | Role::Member) => {
                self.set(role, prefix).listen(prefix)
            }
        };
        state
            .listeners
            .retain(|listener| listener.strong_count() > 0);
        state.listeners.push(Arc::downgrade(announced.listener()));
        announced
    }

    fn info<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<Latest, Error>> {
        async { self.origin.info_in(path, self.scope(path)?).await }.boxed()
    }

    fn fetch<'a>(
        &'a self,
        request: &'a FetchRequest,
    ) -> BoxFuture<'a, Result<GroupConsumer, Error>> {
        async {
            let scope = self.scope(&request.path)?;
            self.origin.fetch_in(request, scope).await
        }
        .boxed()
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("role", &self.standing.role())
            .finish_non_exhaustive()
    }
}
