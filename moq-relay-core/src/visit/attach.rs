//! Keeps the directory up to date with what one peer announces.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use moq_transfork::path::Path;
use tracing::{debug, info, warn};

use crate::announced::Announcement;
use crate::origin::{Locality, Origin, Route, Standing, View};
use crate::role::{NodeName, Role, is_internal};
use crate::session::{Context, Peer};
use crate::source::Source;
use crate::stats::Gauge;
use crate::visit::{Claims, OnPublisher};

/// Keeps a route for everything that one peer announces and may announce.
pub(super) struct Attach {
    origin: Origin,
    context: Arc<Context>,
    peer: Peer,
    standing: Arc<Standing>,
    view: View,
    claims: Claims,
    on_publisher: Option<OnPublisher>,
    /// `None` for a path that the peer only has from us.
    routes: BTreeMap<Path, Option<Route>>,
    /// Counts the peer among the nodes.
    node: Option<Gauge>,
}

impl Attach {
    pub(super) fn new(
        origin: Origin,
        context: Arc<Context>,
        peer: Peer,
        standing: Arc<Standing>,
        view: View,
    ) -> Self {
        let is_client = standing.role() == Role::Client;
        let node = (!is_client).then(|| context.stats.gauge(|stats| &stats.nodes));
        Self {
            origin,
            context,
            peer,
            standing,
            view,
            claims: Box::new(|_| false),
            on_publisher: None,
            routes: BTreeMap::new(),
            node,
        }
    }

    pub(super) fn ask(&mut self, claims: Claims, on_publisher: OnPublisher) {
        self.claims = claims;
        self.on_publisher = Some(on_publisher);
    }

    pub(super) fn role(&self) -> Role {
        self.standing.role()
    }

    /// Follows the peer until it is not wanted any more. When the future is dropped the routes go
    /// too.
    pub(super) async fn run(mut self) -> Infallible {
        if self.role() != Role::Member {
            let peer = self.peer.clone();
            tokio::select! {
                biased;
                () = peer.retired() => {}
                () = self.follow() => {}
            }
            for path in std::mem::take(&mut self.routes)
                .into_keys()
                .collect::<Vec<_>>()
            {
                self.ended(&path);
            }
        }
        pending().await
    }

    async fn follow(&mut self) {
        let mut announced = self.peer.announced(&Path::default());
        while let Some(announcement) = announced.next().await {
            debug!(?announcement, "peer announces");
            match announcement {
                Announcement::Active(path) => self.active(path),
                Announcement::Ended(path) => self.ended(&path),
                Announcement::Live => self.peer.set_live(),
            }
        }
    }

    fn active(&mut self, path: Path) {
        let role = self.role();
        let route = if is_internal(&path) {
            self.internal(&role, &path)
        } else {
            self.public(&role, &path)
        };
        self.routes.insert(path, route);
    }

    fn public(&mut self, role: &Role, path: &Path) -> Option<Route> {
        if let Some(on_publisher) = self.on_publisher.take() {
            on_publisher();
        }
        let locality = match role {
            Role::Client => Locality::Local,
            Role::Node(node) => Locality::Remote(node.clone()),
            Role::Member => return None,
        };
        let source = Arc::new(self.peer.clone());
        self.origin.attach(path.clone(), source, &locality).ok()
    }

    /// A path of the cluster: a node announces its own name, and clients nothing at all.
    fn internal(&mut self, role: &Role, path: &Path) -> Option<Route> {
        let name = NodeName::from_path(path);
        match (role, name) {
            (Role::Node(node), Some(name)) if *node == name => {
                let locality = Locality::Remote(name);
                Some(self.origin.attach_node(node, &locality))
            }
            (Role::Client, Some(name)) if (self.claims)(&name) => Some(self.promote(name)),
            (Role::Client, _) => {
                self.context.stats.announcements_refused.add(1);
                warn!(%path, "a client may not announce this");
                None
            }
            (Role::Node(_) | Role::Member, _) => None,
        }
    }

    /// The client turns out to be a node: what it has announced so far is published there.
    fn promote(&mut self, name: NodeName) -> Route {
        info!(node = %name, "the peer is a node");
        self.view.promote(Role::Node(name.clone()));
        self.node = Some(self.context.stats.gauge(|stats| &stats.nodes));
        let role = self.role();
        for path in self.routes.keys().cloned().collect::<Vec<_>>() {
            let route = self.public(&role, &path);
            self.routes.insert(path, route);
        }
        let locality = Locality::Remote(name.clone());
        self.origin.attach_node(&name, &locality)
    }

    fn ended(&mut self, path: &Path) {
        let ended = self.routes.remove(path);
        drop(ended);
        // Readers go where the path is still to be had.
        if self.origin.contains(path) {
            self.peer.supersede(path);
        }
    }
}
