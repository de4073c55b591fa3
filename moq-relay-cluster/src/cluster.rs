//! A relay as one of many.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use moq_relay_core::error::Error;
use moq_relay_core::origin::{Locality, Route};
use moq_relay_core::relay::Relay;
use moq_relay_core::role::{NodeName, Role};
use moq_relay_core::session::Peer;
use moq_relay_core::visit::{Admission, ServeOptions, Visit};
use moq_transfork::message::Extensions;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{Instrument, Span, error, info, info_span, warn};
use web_transport_trait as wt;

use crate::auth::Exchange;
use crate::config::Config;
use crate::connect::Target;
use crate::dial::{Dial, Visitor};
use crate::hello::{Hello, Side};
use crate::link;
use crate::links::{Links, Other};
use crate::membership::{Membership, News};
use crate::pursuit;
use crate::snapshot::Snapshot;

/// News of nodes that wait to be acted on. When it is full the root is heard later.
const MAX_NEWS: usize = 256;

/// A relay as one of many. Clones are the same node.
///
/// It serves its clients whether or not it finds other nodes. Everything it does by itself is done
/// in the future that [`run`](Self::run) returns.
pub struct Cluster<D: Dial> {
    shared: Arc<Shared<D>>,
}

pub(crate) struct Shared<D> {
    pub(crate) relay: Relay,
    pub(crate) config: Config,
    pub(crate) dial: D,
    pub(crate) links: Arc<Links>,
    /// Tells this process from the one before it.
    pub(crate) instance: u64,
    random: Mutex<fastrand::Rng>,
    /// The announcement of this node's own name.
    own: Mutex<Option<Route>>,
    /// News of nodes, for the pursuits.
    news: mpsc::Sender<News>,
    heard: Mutex<Option<mpsc::Receiver<News>>>,
    /// True until this node leaves.
    wanted: watch::Sender<bool>,
}

/// Whose a session is.
enum Guest {
    /// A node's that has said so in its setup.
    Node(Other),
    /// Any other's, which may be a node by what it announces.
    Other(Arc<OnceLock<NodeName>>),
}

/// The pursuits of all nodes that the root has told of.
struct Pursuits<D: Dial> {
    shared: Arc<Shared<D>>,
    wanted: BTreeMap<NodeName, watch::Sender<bool>>,
    tasks: JoinSet<NodeName>,
}

impl<D: Dial> Cluster<D> {
    /// Makes a relay a node.
    pub fn new(relay: Relay, config: Config, dial: D) -> Self {
        let mut random = fastrand::Rng::with_seed(config.seed);
        let own = config.node.as_ref();
        let route = own.and_then(|own| relay.origin().attach_node(own, &Locality::Local));
        let (news, heard) = mpsc::channel(MAX_NEWS);
        let shared = Shared {
            news,
            heard: Mutex::new(Some(heard)),
            links: Links::new(config.node.clone()),
            instance: random.u64(..),
            random: Mutex::new(random),
            own: Mutex::new(route),
            wanted: watch::Sender::new(true),
            relay,
            config,
            dial,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Finds the other nodes and keeps links to them. It never ends, and is run once; dropping it
    /// closes the links that were dialled here.
    pub async fn run(&self) {
        let shared = &self.shared;
        let Config {
            root, node, auth, ..
        } = &shared.config;
        if auth.open {
            warn!("anyone may act as a node of this cluster");
        }
        let Some(mut news) = shared.heard().take() else {
            // It runs already.
            return std::future::pending().await;
        };
        let membership = Membership::new(node.clone(), shared.news.clone());
        let membership = Arc::new(membership);
        let follow = |peer: Peer| {
            let membership = membership.clone();
            async move { membership.follow(&peer).await }
        };
        let wanted = shared.wanted.subscribe();
        let rooted = async {
            if let Some(root) = root {
                let name = node.as_ref().map(NodeName::as_str);
                info!(%root, node = name, "joins the cluster");
                pursuit::run(shared, root, Target::Root, wanted, follow).await;
            }
            // This node leaves; its other links stay until it is gone.
            std::future::pending().await
        };
        let mut pursuits = Pursuits {
            shared: shared.clone(),
            wanted: BTreeMap::new(),
            tasks: JoinSet::new(),
        };
        let act = async {
            loop {
                tokio::select! {
                    biased;
                    Some(ended) = pursuits.tasks.join_next() => match ended {
                        Ok(name) => pursuits.ended(&name),
                        Err(error) => error!(%error, "a pursuit failed by a bug"),
                    },
                    Some(news) = news.recv() => pursuits.hear(news),
                }
            }
        };
        let span = info_span!("root");
        tokio::select! {
            biased;
            () = rooted.instrument(span) => {}
            () = act => {}
        }
    }

    /// Serves an accepted session, of a client or of another node, to its end.
    ///
    /// # Errors
    /// What ended it, unless the peer or a drain of the relay closed it.
    pub fn serve<S: wt::Session>(
        &self,
        session: S,
        visitor: Visitor,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        // Boxed: the room of the setup is free again once a session is served.
        let accepting = Box::pin(self.shared.accept(session, visitor));
        async move {
            let (visit, guest) = accepting.await?;
            let claim = match guest {
                Guest::Other(claim) => claim,
                // Boxed: most sessions are clients', and shall not have the size of a link.
                Guest::Node(other) => return Box::pin(self.shared.link(visit, other)).await,
            };
            let ended = visit.run().await;
            if let Some(name) = claim.get().cloned() {
                let _shut_down = self.shared.news.send(News::Gone(name)).await;
            }
            ended
        }
    }

    /// Leaves the cluster: tells the other nodes that nothing is published here any more, then
    /// waits for up to `grace` until their subscribers have moved. Links stay open until the
    /// relay is drained.
    pub async fn leave(&self, grace: Duration) {
        let shared = &self.shared;
        if shared.config.root.is_some() {
            info!("leaves the cluster");
        }
        shared.relay.origin().withdraw();
        drop(shared.own().take());
        shared.wanted.send_replace(false);
        let peers = shared.links.peers();
        let moved = join_all(peers.iter().map(Peer::unsubscribed));
        if timeout(grace, moved).await.is_err() {
            info!("some subscribers had nowhere to go");
        }
    }

    /// What is known of the cluster now.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.links.snapshot()
    }

    /// The relay that is a node.
    pub fn relay(&self) -> &Relay {
        &self.shared.relay
    }
}

impl<D: Dial> Shared<D> {
    /// Sets an accepted session up, and says whose it is.
    async fn accept<S: wt::Session>(
        self: &Arc<Self>,
        session: S,
        visitor: Visitor,
    ) -> Result<(Visit<S>, Guest), Error> {
        let met = Arc::new(OnceLock::new());
        let claim = Arc::new(OnceLock::new());
        let mut options = ServeOptions::default();
        options.doorkeeper = {
            let (shared, met) = (self.clone(), met.clone());
            Box::new(move |extensions| shared.admit(extensions, &visitor, &met))
        };
        if self.config.auth.open {
            let (shared, claim) = (self.clone(), claim.clone());
            options.claims = Some(Box::new(move |name| shared.believe(name, &claim)));
        }
        let visit = self.relay.accept(session, options).await?;
        let guest = match met.get() {
            Some(other) => Guest::Node(other.clone()),
            None => Guest::Other(claim),
        };
        Ok((visit, guest))
    }

    /// Serves the session of a node.
    async fn link<S: wt::Session>(&self, visit: Visit<S>, other: Other) -> Result<(), Error> {
        link::run(&self.links, visit, &other, &self.config.timing).await
    }

    /// Decides who a visitor is, and keeps in `met` who the node is if it is one.
    fn admit(
        &self,
        extensions: &Extensions,
        visitor: &Visitor,
        met: &OnceLock<Other>,
    ) -> Result<Admission, Error> {
        let Some(hello) = Hello::find(extensions) else {
            return Ok(Admission {
                role: Role::Client,
                answer: Extensions::default(),
            });
        };
        let name = hello.name.as_ref().map(NodeName::as_str);
        if !self.config.auth.admits(&hello, visitor) {
            warn!(
                node = name,
                "refused: not proven to be a node of this cluster"
            );
            return Err(Error::Unauthorized);
        }
        if hello.name.is_some() && hello.name == self.config.node && hello.instance != self.instance
        {
            warn!(node = name, "refused: it has the name of this node");
            return Err(Error::Duplicate);
        }
        let answer = self.hello(Exchange {
            side: Side::Server,
            challenge: Some(&hello.nonce),
            binding: visitor.binding.as_ref(),
        });
        let role = match &hello.name {
            // A node that has dialled itself finds out by the instance.
            Some(name) if hello.instance != self.instance => {
                let _once = met.set(Other {
                    name: name.clone(),
                    instance: Some(hello.instance),
                    dialled: false,
                });
                Role::Node(name.clone())
            }
            Some(_) | None => Role::Member,
        };
        Ok(Admission {
            role,
            answer: answer.into_extensions(),
        })
    }

    /// Decides on a client of the forks that announces the name of a node.
    ///
    /// They announce their own name to the root alone, and nothing else on that session; to others
    /// they repeat the names that they were told. Either way they are relays, and what they publish
    /// is heard on a link that is dialled to them from here.
    fn believe(&self, name: &NodeName, claim: &OnceLock<NodeName>) -> Role {
        if self.config.root.is_some() || self.config.node.as_ref() == Some(name) {
            return Role::Member;
        }
        if self.news.try_send(News::Found(name.clone())).is_err() {
            return Role::Client;
        }
        let _once = claim.set(name.clone());
        Role::Node(name.clone())
    }

    /// What this node says of itself.
    pub(crate) fn hello(&self, exchange: Exchange<'_>) -> Hello {
        let mut nonce = [0; 16];
        self.rng().fill(&mut nonce);
        let mut hello = Hello {
            instance: self.instance,
            nonce,
            name: self.config.node.clone(),
            proof: None,
        };
        let secret = self.config.auth.secret.as_ref();
        hello.proof = secret.map(|secret| secret.prove(&hello, &exchange));
        hello
    }

    pub(crate) fn random(&self) -> u64 {
        self.rng().u64(..)
    }

    fn rng(&self) -> MutexGuard<'_, fastrand::Rng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) -> MutexGuard<'_, Option<mpsc::Receiver<News>>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn own(&self) -> MutexGuard<'_, Option<Route>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Dial> Pursuits<D> {
    fn hear(&mut self, news: News) {
        match news {
            News::Found(name) => match self.wanted.get(&name) {
                Some(wanted) => drop(wanted.send_replace(true)),
                None => self.begin(name),
            },
            News::Gone(name) => {
                if let Some(wanted) = self.wanted.get(&name) {
                    wanted.send_replace(false);
                }
            }
        }
    }

    fn begin(&mut self, name: NodeName) {
        if !*self.shared.wanted.borrow() {
            return;
        }
        let (wanted, want) = watch::channel(true);
        self.wanted.insert(name.clone(), wanted);
        let shared = self.shared.clone();
        let pursuit = async move {
            let nothing = |_peer| std::future::pending();
            pursuit::run(&shared, &name, Target::Node, want, nothing).await;
            name
        };
        self.tasks.spawn(pursuit.instrument(Span::current()));
    }

    /// A pursuit has ended because the node was not wanted, which may have changed since.
    fn ended(&mut self, name: &NodeName) {
        let wanted = self.wanted.remove(name);
        if wanted.is_some_and(|wanted| *wanted.borrow()) {
            self.begin(name.clone());
        }
    }
}

impl<D: Dial> Clone for Cluster<D> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<D: Dial> fmt::Debug for Cluster<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}
