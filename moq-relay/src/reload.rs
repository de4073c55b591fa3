//! What is read from files at the start, and again on SIGHUP: certificates, keys and roots.

use std::convert::Infallible;

use quinn::{Endpoint, ServerConfig};
use tokio::sync::watch;
use tracing::{error, info};

use crate::args::Args;
use crate::cluster::{self, QuicDial};
use crate::error::Error;
use crate::signals::Requests;
use crate::tls::identity::Identity;
use crate::tls::trust::Trust;
use crate::{tls, transport};

/// What the files held.
#[derive(Debug)]
pub struct Files {
    /// Whom we are, at least one.
    pub identities: Vec<Identity>,
    /// How connections are accepted.
    pub server: ServerConfig,
    /// Whether clients are asked for certificates of nodes.
    pub has_roots: bool,
}

impl Files {
    /// Reads what the command line names.
    ///
    /// # Errors
    ///
    /// Fails when a file cannot be read or does not hold what it should.
    pub fn read(args: &Args) -> Result<Self, Error> {
        let identities = Identity::load_all(&args.tls)?;
        // Looked at now, so that a mistake in it does not wait for the first relay to be dialled.
        Trust::load(&args.tls)?;
        let nodes = cluster::roots(&args.cluster)?;
        let has_roots = nodes.is_some();
        let tls = tls::server_config_with(identities.clone(), nodes)?;
        Ok(Self {
            identities,
            server: transport::server_config(tls, args.limits.congestion),
            has_roots,
        })
    }

    /// Returns the fingerprint by which clients pin the first certificate.
    pub fn fingerprint(&self) -> String {
        let first = self.identities.first();
        first.map(Identity::fingerprint).unwrap_or_default()
    }
}

/// Where the contents of the files are in use.
#[derive(Debug)]
pub struct Users<'a> {
    /// What names the files.
    pub args: &'a Args,
    /// Accepts connections.
    pub endpoint: Endpoint,
    /// Dials other nodes.
    pub dial: QuicDial,
    /// What development clients ask for.
    pub fingerprint: watch::Sender<String>,
}

impl Users<'_> {
    /// Reads the files again whenever it is asked to. Connections that are open stay as they are;
    /// so does everything, if a file is not as it should be.
    pub async fn follow(&self, mut requests: Requests) -> Infallible {
        loop {
            requests.next().await;
            if self.args.tls.tls_cert.is_empty() {
                info!("SIGHUP: the certificate was made at the start, and stays");
                continue;
            }
            match self.renew() {
                Ok(()) => info!("SIGHUP: new connections get the certificates of now"),
                Err(error) => error!(%error, "SIGHUP: the certificates stay as they were"),
            }
        }
    }

    fn renew(&self) -> Result<(), Error> {
        let files = Files::read(self.args)?;
        let dial = cluster::dialer(self.args, self.endpoint.clone(), &files.identities)?;
        self.fingerprint.send_replace(files.fingerprint());
        self.dial.renew(&dial);
        self.endpoint.set_server_config(Some(files.server));
        Ok(())
    }
}
