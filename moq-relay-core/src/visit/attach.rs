//! Keeps the directory up to date with what one peer announces.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use moq_transfork::dialect::Dialect;
use moq_transfork::message::Announce;
use moq_transfork::path::Path;
use tracing::{debug, info, warn};
use web_transport_trait as wt;

use crate::origin::{Locality, Origin, Route, Standing, View};
use crate::role::{NodeName, Role, is_internal};
use crate::session::{Announces, Context, Peer};
use crate::stats::Gauge;
use crate::visit::Claims;

/// Keeps a route for everything that one peer announces and may announce.
pub(super) struct Attach {
    origin: Origin,
    context: Arc<Context>,
    peer: Peer,
    standing: Arc<Standing>,
    view: View,
    claims: Option<Claims>,
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
            claims: None,
            routes: BTreeMap::new(),
            node,
        }
    }

    pub(super) fn ask(&mut self, claims: Option<Claims>) {
        if claims.is_some() {
            self.standing.let_rise();
        }
        self.claims = claims;
    }

    pub(super) fn role(&self) -> Role {
        self.standing.role()
    }

    /// Follows the peer until it is not wanted any more. When the future is dropped the routes go
    /// too.
    pub(super) fn run<S: wt::Session>(
        mut self: Box<Self>,
        announces: Announces<S>,
    ) -> impl Future<Output = Infallible> + Send {
        let peer = self.peer.clone();
        // Not an async function, which would hold its arguments twice.
        async move {
            if self.role() != Role::Member {
                tokio::select! {
                    biased;
                    retired = peer.retired() => if !retired {
                        // The routes go with the session, and nothing is news to it any more.
                        return pending().await;
                    },
                    () = announces.each(|announce| self.hear(announce)) => {}
                }
                self.end_all();
            }
            pending().await
        }
    }

    /// Takes an announcement in. Returns false if it makes no sense.
    fn hear(&mut self, announce: &Announce) -> bool {
        let sensible = match announce {
            Announce::Active(path) => self.active(path),
            Announce::Ended(path) => self.ended(path),
            Announce::Live => {
                self.peer.set_live();
                true
            }
        };
        debug!(?announce, sensible, "peer announces");
        sensible
    }

    fn active(&mut self, path: &Path) -> bool {
        if self.routes.contains_key(path) {
            return false;
        }
        let role = self.role();
        let route = if is_internal(path) {
            self.internal(&role, path)
        } else {
            self.public(&role, path)
        };
        self.routes.insert(path.clone(), route);
        true
    }

    fn public(&self, role: &Role, path: &Path) -> Option<Route> {
        let locality = match role {
            Role::Client => Locality::Local,
            Role::Node(node) if self.peer.dialect() == Dialect::Draft03 => {
                Locality::Remote(node.clone())
            }
            Role::Node(node) => Locality::Hearsay(node.clone()),
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
                self.origin.attach_node(node, &locality)
            }
            (Role::Client, name) => {
                let claims = self.claims.as_ref().zip(name);
                let role = claims.map_or(Role::Client, |(claims, name)| claims(&name));
                if role == Role::Client {
                    self.context.stats.announcements_refused.add(1);
                    warn!(%path, "a client may not announce this");
                    return None;
                }
                self.promote(role)
            }
            (Role::Node(_) | Role::Member, _) => None,
        }
    }

    /// The client turns out to be a node: what it has announced so far is published there.
    fn promote(&mut self, role: Role) -> Option<Route> {
        info!(?role, "the peer is another relay");
        self.view.promote(role.clone());
        self.node = Some(self.context.stats.gauge(|stats| &stats.nodes));
        for path in std::mem::take(&mut self.routes).into_keys() {
            let route = self.public(&role, &path);
            self.routes.insert(path, route);
        }
        match role {
            Role::Node(name) => {
                let locality = Locality::Remote(name.clone());
                self.origin.attach_node(&name, &locality)
            }
            Role::Client | Role::Member => None,
        }
    }

    fn end_all(&mut self) {
        let paths: Vec<_> = self.routes.keys().cloned().collect();
        for path in &paths {
            self.ended(path);
        }
    }

    fn ended(&mut self, path: &Path) -> bool {
        let Some(ended) = self.routes.remove(path) else {
            return false;
        };
        drop(ended);
        // Readers go where the path is still to be had.
        if self.origin.contains(path) {
            self.peer.supersede(path);
        }
        true
    }
}
