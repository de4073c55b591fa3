//! A certificate and its key.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use web_transport_quinn::crypto::sha256;

use crate::args::TlsArgs;
use crate::tls::dev;
use crate::tls::error::TlsError;
use crate::tls::provider;

/// A certificate chain and the private key of its first certificate, which belong together.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl Identity {
    /// Loads what the command line names, in its order; with `--dev` and no certificate, makes one.
    ///
    /// The result is never empty.
    ///
    /// # Errors
    ///
    /// Fails when there is nothing to serve with, when a file cannot be read or does not hold
    /// what it should, and when a key is not its certificate's.
    pub fn load_all(args: &TlsArgs) -> Result<Vec<Self>, TlsError> {
        let (certs, keys) = (args.tls_cert.len(), args.tls_key.len());
        if certs != keys {
            return Err(TlsError::Unpaired { certs, keys });
        }
        if certs > 0 {
            let pairs = args.tls_cert.iter().zip(&args.tls_key);
            return pairs.map(|(cert, key)| Self::load(cert, key)).collect();
        }
        if args.dev {
            return Ok(vec![dev::self_signed(&args.dev_name)?]);
        }
        Err(TlsError::NoIdentity)
    }

    /// Loads a PEM certificate chain and the PEM private key of its first certificate.
    ///
    /// # Errors
    ///
    /// Fails when a file cannot be read or does not hold what it should, and when the key is not
    /// the certificate's.
    pub fn load(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = read_certificates("--tls-cert", cert)?;
        let private = PrivateKeyDer::from_pem_slice(&read("--tls-key", key)?)
            .map_err(|error| content("--tls-key", key, pem_problem(&error, "PRIVATE KEY")))?;
        Self::new(chain, private).map_err(|error| refused(&error, cert, key))
    }

    /// Puts a certificate chain and the key of its first certificate together.
    ///
    /// # Errors
    ///
    /// Fails when the key or the first certificate cannot be used, or do not belong together.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, Error> {
        let certified = CertifiedKey::from_der(chain, key, &provider())?;
        ParsedCertificate::try_from(certified.end_entity_cert()?)?;
        Ok(Self(Arc::new(certified)))
    }

    /// Returns whether the certificate covers this name.
    pub fn covers(&self, name: &ServerName<'_>) -> bool {
        let der = self.0.end_entity_cert();
        der.is_ok_and(|der| certificate_covers(der, name))
    }

    /// Returns the SHA-256 of the first certificate's DER in hexadecimal: 64 digits, by which
    /// clients pin it.
    pub fn fingerprint(&self) -> String {
        let der = self.0.end_entity_cert();
        der.map(|der| hex::encode(sha256(&provider(), der)))
            .unwrap_or_default()
    }

    /// Returns the form that the TLS library takes.
    pub fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity")
            .field(&self.fingerprint())
            .finish()
    }
}

/// Tells whether a certificate covers this name.
pub fn certificate_covers(der: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    ParsedCertificate::try_from(der)
        .is_ok_and(|cert| rustls::client::verify_server_name(&cert, name).is_ok())
}

/// Reads all certificates of a PEM file; there is at least one.
///
/// # Errors
///
/// Fails when the file cannot be read, is not PEM, or holds none.
pub fn read_certificates(
    flag: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(flag, path)?;
    let certs = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    match certs {
        Ok(certs) if !certs.is_empty() => Ok(certs),
        Ok(_) => Err(content(
            flag,
            path,
            pem_problem(&pem::Error::NoItemsFound, "CERTIFICATE"),
        )),
        Err(error) => Err(content(flag, path, pem_problem(&error, "CERTIFICATE"))),
    }
}

/// Builds the error for a file that does not hold what it should.
pub fn content(flag: &'static str, path: &Path, problem: String) -> TlsError {
    let path = path.to_owned();
    TlsError::Content {
        flag,
        path,
        problem,
    }
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| {
        let path = path.to_owned();
        TlsError::Read { flag, path, source }
    })
}

fn pem_problem(error: &pem::Error, label: &str) -> String {
    if matches!(error, pem::Error::NoItemsFound) {
        return format!(
            "holds no {label}: PEM is expected, unencrypted, with a line -----BEGIN {label}-----"
        );
    }
    format!("is not PEM that can be read: {error}")
}

fn refused(error: &Error, cert: &Path, key: &Path) -> TlsError {
    if matches!(
        error,
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch)
    ) {
        return TlsError::Mismatch {
            cert: cert.to_owned(),
            key: key.to_owned(),
        };
    }
    if let Error::InvalidCertificate(reason) = error {
        let problem = format!("begins with a certificate that cannot be used: {reason}");
        return content("--tls-cert", cert, problem);
    }
    content(
        "--tls-key",
        key,
        format!("holds a key that cannot be used: {error}"),
    )
}
