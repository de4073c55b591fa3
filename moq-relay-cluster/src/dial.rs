//! The seam to the network: how sessions to other nodes come about.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use moq_relay_core::role::NodeName;
use web_transport_trait as wt;

use crate::auth::Binding;

/// Opens sessions to other nodes.
pub trait Dial: Send + Sync + 'static {
    /// What it opens.
    type Session: wt::Session;

    /// Opens a session to a node; it may take its time, and is dropped when it took too long.
    fn dial(
        &self,
        node: &NodeName,
    ) -> impl Future<Output = Result<Dialled<Self::Session>, DialError>> + Send;
}

/// A session that was dialled.
#[derive(Debug)]
pub struct Dialled<S> {
    /// The session, before its setup.
    pub session: S,
    /// What only the two ends of this session know, if its transport can tell.
    pub binding: Option<Binding>,
    /// True if the transport has proven that this is the node that was dialled.
    pub proven: bool,
}

/// Tells whether a certificate is for a host.
pub type Certificate = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Somebody who dialled this node.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Visitor {
    /// What only the two ends of this session know, if its transport can tell.
    pub binding: Option<Binding>,
    /// Tells whether the peer's certificate, which is one of the cluster's, is for this host.
    pub certificate: Option<Certificate>,
}

/// Why there is no session to a node.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DialError(#[from] pub Box<dyn Error + Send + Sync>);

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor")
            .field("is_bound", &self.binding.is_some())
            .field("has_certificate", &self.certificate.is_some())
            .finish()
    }
}
