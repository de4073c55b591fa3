//! What can be wrong with certificates and keys.

use std::io;
use std::path::PathBuf;

use quinn::crypto::rustls::NoInitialCipherSuite;
use rustls::server::VerifierBuilderError;

/// Tells what is wrong with a certificate, a key or a root, in a line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// There is nothing to serve with.
    #[error(
        "no certificate to serve with: give --tls-cert and --tls-key, or --dev to try things out"
    )]
    NoIdentity,
    /// Certificates and keys do not come in pairs.
    #[error(
        "{certs} --tls-cert but {keys} --tls-key: give one --tls-key for each --tls-cert, in the same order"
    )]
    Unpaired {
        /// Certificates given.
        certs: usize,
        /// Keys given.
        keys: usize,
    },
    /// A file cannot be read.
    #[error("cannot read {} given by {flag}: {source}; check the path and who may read it", path.display())]
    Read {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} given by {flag} {problem}", path.display())]
    Content {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with its content, and what is expected.
        problem: String,
    },
    /// A key belongs to another certificate.
    #[error(
        "the key {} does not belong to the certificate {}: give each --tls-key in the order of its --tls-cert",
        key.display(), cert.display()
    )]
    Mismatch {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The roots of the cluster's nodes cannot be used.
    #[error("the certificates given by --cluster-tls-root do not do for clients: {0}")]
    Nodes(#[from] VerifierBuilderError),
    /// The development certificate cannot be made for these names.
    #[error(
        "cannot make a certificate for the names given by --dev-name: {0}; use host names or addresses"
    )]
    Dev(#[from] rcgen::Error),
    /// The system has no usable root certificates.
    #[error(
        "no root certificates on this system{0}: install them (ca-certificates), or give --tls-root"
    )]
    NoSystemRoots(String),
    /// The TLS library refuses the configuration.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
    /// The cryptography does not do for QUIC.
    #[error("TLS: {0}")]
    Quic(#[from] NoInitialCipherSuite),
}
