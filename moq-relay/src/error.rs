//! Why the process ends.

use std::io;
use std::path::PathBuf;

use crate::log::LogError;
use crate::sockets::BindError;
use crate::tls::error::TlsError;

/// Tells why the process ends, in one line that says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be set up.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Certificates, keys or roots are not as they should be.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system refuses something else.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The UDP socket broke.
    #[error("the UDP socket failed; the log has the reason")]
    Endpoint,
    /// The relay is to be a node, and nothing tells who else is one.
    #[error(
        "a cluster needs --cluster-tls-root or --cluster-secret-file to tell who is a node, or \
         --cluster-open to take anyone for one"
    )]
    ClusterProof,
    /// The file of the cluster's secret is not as it should be.
    #[error("--cluster-secret-file {}: {problem}", path.display())]
    ClusterSecret {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The system has no random numbers.
    #[error("the system has no random numbers")]
    Random,
    /// A second signal came while groups were finishing.
    #[error("stopped by a second signal before every session was closed")]
    Interrupted,
}

impl Error {
    /// Returns the exit code: 2 for what was wrong from the start, 1 for what failed since.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Log(_) | Self::Tls(_) | Self::ClusterProof | Self::ClusterSecret { .. } => 2,
            Self::Random
            | Self::Bind(_)
            | Self::System { .. }
            | Self::Endpoint
            | Self::Interrupted => 1,
        }
    }

    /// Makes the error of something that the system refuses; `what` follows "cannot".
    pub fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
