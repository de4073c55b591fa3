//! One session of a relay: who the peer is, and what becomes of what it announces.

mod attach;

use std::fmt;
use std::sync::Arc;

use moq_transfork::dialect::Dialect;
use moq_transfork::message::Extensions;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::info;
use web_transport_trait as wt;

use self::attach::Attach;
use crate::error::Error;
use crate::origin::{Origin, Standing, View};
use crate::role::{NodeName, Role};
use crate::session::{self, Announces, Context, Driver, Peer, SetUp};
use crate::source::Source;
use crate::stats::Gauge;

/// Decides who a peer is by the extensions of its setup.
pub type Doorkeeper = Box<dyn FnOnce(&Extensions) -> Result<Admission, Error> + Send>;

/// Decides who a client is that announces the name of a node: [`Role::Client`] if it lies.
pub type Claims = Box<dyn Fn(&NodeName) -> Role + Send + Sync>;

/// Who a peer is.
#[derive(Debug, Clone)]
pub struct Admission {
    /// What it may see and do.
    pub role: Role,
    /// What is said to it in answer to its extensions; not used where we are the session's client.
    pub answer: Extensions,
}

/// How an accepted session is served.
#[non_exhaustive]
pub struct ServeOptions {
    /// Decides who the peer is. Default: a client.
    pub doorkeeper: Doorkeeper,
    /// Decides on clients of the forks' dialects that announce the name of a node. Default: none
    /// is one, and such announcements are passed over.
    pub claims: Option<Claims>,
}

/// How a session to another relay is opened.
#[non_exhaustive]
pub struct ConnectOptions {
    /// Dialects offered, best first. Default: draft-03 alone.
    pub dialects: Vec<Dialect>,
    /// What is said to the other relay. Default: nothing.
    pub extensions: Extensions,
    /// Decides who the other relay is, by what it answered.
    pub doorkeeper: Doorkeeper,
    /// Whether what is published here is announced there.
    pub publish: bool,
}

/// A session of a relay that is set up: [`run`](Self::run) serves it.
pub struct Visit<S: wt::Session> {
    peer: Peer,
    driver: Driver<S>,
    announces: Announces<S>,
    extensions: Extensions,
    // Boxed, since futures keep a copy of what is moved through them for as long as they live.
    attach: Box<Attach>,
    open: Open,
}

/// Counts a session for as long as it lives.
pub(crate) struct Open {
    pub(crate) _session: Gauge,
    pub(crate) _token: TaskTrackerToken,
}

impl<S: wt::Session> Visit<S> {
    pub(crate) fn begin(
        set_up: SetUp<S>,
        origin: &Origin,
        context: &Arc<Context>,
        role: Role,
        publish: bool,
        open: Open,
    ) -> Self {
        let extensions = set_up.established.extensions.clone();
        let standing = Standing::new(role);
        let view = View::new(origin.clone(), standing.clone());
        let publish = publish.then(|| Arc::new(view.clone()) as Arc<dyn Source>);
        let (peer, driver, announces) = session::start(set_up, publish, context.clone());
        let attach = Attach::new(
            origin.clone(),
            context.clone(),
            peer.clone(),
            standing,
            view,
        );
        Self {
            peer,
            driver,
            announces,
            extensions,
            attach: Box::new(attach),
            open,
        }
    }

    pub(crate) fn with(mut self, claims: Option<Claims>) -> Self {
        // Nodes that speak draft-03 say who they are in the setup.
        let claims = claims.filter(|_| self.peer.dialect() != Dialect::Draft03);
        self.attach.ask(claims);
        self
    }

    /// The handle to the peer.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Who the peer is by now.
    pub fn role(&self) -> Role {
        self.attach.role()
    }

    /// The extensions of the peer's setup.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Serves the session to its end.
    ///
    /// # Errors
    /// What ended it, unless the peer or a drain of this relay closed it.
    pub fn run(self) -> impl Future<Output = Result<(), Error>> + Send {
        info!(dialect = %self.peer.dialect(), role = ?self.role(), "session begins");
        let Self {
            driver,
            announces,
            attach,
            open,
            ..
        } = self;
        // Boxed, so that all that is around it holds a pointer.
        let mut driving = Box::pin(driver.run());
        async move {
            let ended = tokio::select! {
                biased;
                ended = &mut driving => ended,
                never = attach.run(announces) => match never {},
            };
            drop(open);
            match ended {
                Err(Error::Shutdown) => Ok(()),
                ended => ended,
            }
        }
    }
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            doorkeeper: Box::new(|_| {
                Ok(Admission {
                    role: Role::Client,
                    answer: Extensions::default(),
                })
            }),
            claims: None,
        }
    }
}

impl ConnectOptions {
    /// Opens a session to the relay of this name, and announces there what is published here.
    pub fn to(node: NodeName) -> Self {
        Self {
            dialects: vec![Dialect::Draft03],
            extensions: Extensions::default(),
            doorkeeper: Box::new(|_| {
                Ok(Admission {
                    role: Role::Node(node),
                    answer: Extensions::default(),
                })
            }),
            publish: true,
        }
    }
}

impl<S: wt::Session> fmt::Debug for Visit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit")
            .field("peer", &self.peer)
            .field("role", &self.role())
            .finish_non_exhaustive()
    }
}
