//! The relay as one of many: what the command line says of it, and links over QUIC.

pub mod args;

use std::fs;
use std::sync::Arc;

use moq_relay_cluster::auth::Secret;
use moq_relay_cluster::config::Config;
use moq_relay_cluster::dial::{Dial, DialError, Dialled, Visitor};
use moq_relay_core::role::NodeName;
use quinn::Endpoint;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;

use crate::args::Args;
use crate::cluster::args::ClusterArgs;
use crate::dial::Dialer;
use crate::error::Error;
use crate::session::Session;
use crate::tls::ALPN_RAW;
use crate::tls::identity::{Identity, certificate_covers};
use crate::tls::trust::{Trust, read_roots};

/// The port of a node that names none, which is that of HTTPS.
const DEFAULT_PORT: u16 = 443;

/// Dials other nodes over raw QUIC.
#[derive(Debug, Clone, Default)]
pub struct QuicDial {
    /// None if this relay dials nobody.
    dialer: Option<Dialer>,
    /// True if a certificate that is believed is one of the cluster's.
    proven: bool,
}

/// Makes what dials other nodes as the command line says, or nobody if it names none.
///
/// # Errors
///
/// Fails when files of certificates cannot be read or do not hold what they should.
pub fn dialer(args: &Args, endpoint: Endpoint, identities: &[Identity]) -> Result<QuicDial, Error> {
    if args.cluster.is_used() || args.cluster.cluster_open {
        return dial(args, endpoint, identities);
    }
    Ok(QuicDial::default())
}

/// Reads the roots whose certificates are those of nodes; none if there are none.
///
/// # Errors
///
/// Fails when a file cannot be read or holds no certificate.
pub fn roots(flags: &ClusterArgs) -> Result<Option<Arc<RootCertStore>>, Error> {
    let roots = read_roots("--cluster-tls-root", &flags.cluster_tls_root)?;
    Ok((!roots.is_empty()).then(|| Arc::new(roots)))
}

/// What is known of whoever opened a session, before its setup.
pub fn visitor(session: &Session, has_roots: bool) -> Visitor {
    let mut visitor = Visitor::default();
    visitor.binding = session.binding();
    // Only a certificate that the cluster's roots vouch for gets this far.
    let certificate = session.certificate().filter(|_| has_roots);
    if let Some(certificate) = certificate {
        visitor.certificate = Some(Arc::new(move |host| {
            ServerName::try_from(host).is_ok_and(|name| certificate_covers(&certificate, &name))
        }));
    }
    visitor
}

/// Reads what the command line says of the cluster.
///
/// # Errors
///
/// Fails when nothing tells who is a node, or the secret cannot be read or is none.
pub fn config(flags: &ClusterArgs) -> Result<Config, Error> {
    if flags.is_used() && !flags.has_proof() {
        return Err(Error::ClusterProof);
    }
    let mut config = Config::default();
    config.root.clone_from(&flags.cluster_root);
    config.node.clone_from(&flags.cluster_node);
    config.auth.open = flags.cluster_open;
    if let Some(path) = &flags.cluster_secret_file {
        let wrong = |problem: String| Error::ClusterSecret {
            path: path.clone(),
            problem,
        };
        let bytes = fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let secret = Secret::new(&bytes).map_err(|error| wrong(error.to_string()))?;
        config.auth.secret = Some(secret);
    }
    config.seed = seed()?;
    Ok(config)
}

fn dial(args: &Args, endpoint: Endpoint, identities: &[Identity]) -> Result<QuicDial, Error> {
    let roots = roots(&args.cluster)?;
    let proven = roots.is_some() && !args.tls.tls_disable_verify;
    let (trust, identity) = match roots {
        Some(roots) if proven => (Trust::Roots(roots), identities.first()),
        Some(_) => (Trust::Anyone, identities.first()),
        None => (Trust::load(&args.tls)?, None),
    };
    let tls = trust.client_config_as(&ALPN_RAW, identity)?;
    let dialer = Dialer::for_links(endpoint, tls, args.limits.congestion);
    Ok(QuicDial {
        dialer: Some(dialer),
        proven,
    })
}

/// Something that differs from process to process.
fn seed() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    let random = crate::tls::provider().secure_random;
    random.fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(u64::from_ne_bytes(bytes))
}

impl QuicDial {
    /// Dials with the certificates of `other` from now on, and so do all clones of this.
    pub fn renew(&self, other: &Self) {
        if let (Some(dialer), Some(other)) = (&self.dialer, &other.dialer) {
            dialer.renew(other);
        }
    }
}

impl Dial for QuicDial {
    type Session = Session;

    async fn dial(&self, node: &NodeName) -> Result<Dialled<Session>, DialError> {
        let Some(dialer) = &self.dialer else {
            return Err(DialError("this relay is in no cluster".into()));
        };
        let port = node.port().unwrap_or(DEFAULT_PORT);
        let session = dialer.dial(node.host(), port).await;
        let session = session.map_err(|error| DialError(Box::new(error)))?;
        Ok(Dialled {
            binding: session.binding(),
            session,
            proven: self.proven,
        })
    }
}
