//! From the name of a node to a link with it.

use std::fmt;

use moq_relay_core::error::Error;
use moq_relay_core::role::{NodeName, Role};
use moq_relay_core::visit::{Admission, ConnectOptions, Doorkeeper, Visit};
use moq_transfork::dialect::Dialect;
use moq_transfork::message::Extensions;
use tokio::time::timeout;

use crate::auth::{Auth, Binding, Exchange};
use crate::cluster::Shared;
use crate::dial::{Dial, DialError, Dialled};
use crate::hello::{Hello, NONCE_BYTES, Side};
use crate::links::Other;

/// Whom a pursuit is after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// A node, which has to answer by the name it is dialled by.
    Node,
    /// The root, which may have another name than the one it is dialled by, or none.
    Root,
}

/// Why a node could not be linked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("cannot dial: {0}")]
    Dial(#[from] DialError),
    #[error("no agreement: {0}")]
    Setup(#[from] Error),
    #[error("no answer in time")]
    Timeout,
    #[error("it has not proven to be a node of this cluster")]
    Unproven,
    #[error("it is this node itself")]
    Itself,
    #[error("another node answered: {}", Name(.0))]
    Another(Option<NodeName>),
}

pub(crate) struct Name<'a>(&'a Option<NodeName>);

/// Dials a node and agrees with it.
pub(crate) async fn connect<D: Dial>(
    shared: &Shared<D>,
    name: &NodeName,
    target: Target,
) -> Result<(Visit<D::Session>, Other), LinkError> {
    let time = shared.config.timing.handshake;
    let visit = timeout(time, agree(shared, name)).await;
    let visit = visit.map_err(|_elapsed| LinkError::Timeout)??;
    let other = identify(shared, name, target, &visit)?;
    Ok((visit, other))
}

async fn agree<D: Dial>(
    shared: &Shared<D>,
    name: &NodeName,
) -> Result<Visit<D::Session>, LinkError> {
    let Dialled {
        session,
        binding,
        proven,
    } = shared.dial.dial(name).await?;
    let hello = shared.hello(Exchange {
        side: Side::Client,
        challenge: None,
        binding: binding.as_ref(),
    });
    let auth = shared.config.auth.clone();
    let mut options = ConnectOptions::to(name.clone());
    // A member without a name keeps its own to itself; a root need not have one.
    options.publish = shared.config.node.is_some() || shared.config.root.is_none();
    if auth.open {
        options.dialects.extend([Dialect::Fork02, Dialect::Fork04]);
    }
    options.doorkeeper = doorkeeper(name.clone(), auth, hello.nonce, binding, proven);
    options.extensions = hello.into_extensions();
    let visit = shared.relay.connect(session, options).await;
    visit.map_err(|error| {
        if error == Error::Unauthorized {
            LinkError::Unproven
        } else {
            error.into()
        }
    })
}

/// Decides whether the one who answers is a node of this cluster.
fn doorkeeper(
    dialled: NodeName,
    auth: Auth,
    nonce: [u8; NONCE_BYTES],
    binding: Option<Binding>,
    proven: bool,
) -> Doorkeeper {
    Box::new(move |extensions| {
        let exchange = Exchange {
            side: Side::Server,
            challenge: Some(&nonce),
            binding: binding.as_ref(),
        };
        let name = match Hello::find(extensions) {
            Some(hello) if auth.believes(&hello, &exchange, proven) => hello.name,
            None if auth.open => None,
            Some(_) | None => return Err(Error::Unauthorized),
        };
        Ok(Admission {
            role: Role::Node(name.unwrap_or(dialled)),
            answer: Extensions::default(),
        })
    })
}

/// Tells who answered.
fn identify<D: Dial>(
    shared: &Shared<D>,
    name: &NodeName,
    target: Target,
    visit: &Visit<D::Session>,
) -> Result<Other, LinkError> {
    let hello = Hello::find(visit.extensions());
    let instance = hello.as_ref().map(|hello| hello.instance);
    if instance == Some(shared.instance) {
        return Err(LinkError::Itself);
    }
    let answered = hello.map(|hello| hello.name);
    let name = match (target, answered) {
        // A relay of the forks says nothing.
        (_, None) | (Target::Root, Some(None)) => name.clone(),
        (Target::Root, Some(Some(other))) => other,
        (Target::Node, Some(Some(other))) if other == *name => other,
        (Target::Node, Some(other)) => return Err(LinkError::Another(other)),
    };
    Ok(Other {
        name,
        instance,
        dialled: true,
    })
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, "{name}"),
            None => f.write_str("one without a name"),
        }
    }
}
