//! Which certificates a relay may show, and the TLS configuration that says so.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256};

/// Which certificate of a relay is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// One that chains up to the operating system's roots.
    #[default]
    System,
    /// One that chains up to the roots in these PEM files, and no others.
    Roots(Vec<PathBuf>),
    /// One whose DER has one of these hashes; name and dates do not matter.
    Fingerprints(Vec<Fingerprint>),
    /// Any at all. For tests on one's own machine.
    Anything,
}

/// The SHA-256 hash of a certificate's DER encoding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// Why no TLS configuration could be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A root file could not be read or holds something else.
    #[error("cannot use {} as a root certificate: {reason}", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system offers no root certificate.
    #[error("no root certificate found on this system")]
    NoSystemRoots,
    /// rustls refused the configuration.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
}

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is 64 hexadecimal digits (SHA-256 of the certificate's DER)")]
pub struct FingerprintError;

impl Trust {
    /// Makes the client's TLS configuration: TLS 1.3 only, offering `alpn` and nothing else.
    ///
    /// # Errors
    ///
    /// When a root file is unreadable, or the system has no roots to offer.
    pub fn client_config(&self, alpn: &str) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?;
        let builder = match self {
            Self::System => builder.with_root_certificates(system_roots()?),
            Self::Roots(files) => builder.with_root_certificates(file_roots(files)?),
            Self::Fingerprints(pins) => {
                let verifier = Verifier {
                    provider,
                    pins: Some(pins.clone()),
                };
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
            }
            Self::Anything => {
                let verifier = Verifier {
                    provider,
                    pins: None,
                };
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        Ok(config)
    }
}

impl Fingerprint {
    /// Hashes a certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate.as_ref()).into())
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        // `openssl x509 -fingerprint` prints colons.
        let digits: String = text.chars().filter(|&c| c != ':').collect();
        let mut hash = [0; 32];
        hex::decode_to_slice(digits, &mut hash).map_err(|_| FingerprintError)?;
        Ok(Self(hash))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let native = rustls_native_certs::load_native_certs();
    for error in native.errors {
        tracing::debug!(%error, "a system root certificate could not be loaded");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(native.certs);
    if roots.is_empty() {
        Err(TlsError::NoSystemRoots)
    } else {
        Ok(roots)
    }
}

fn file_roots(files: &[PathBuf]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for path in files {
        for certificate in read_pem(path)? {
            roots
                .add(certificate)
                .map_err(|error| root_error(path, error))?;
        }
    }
    Ok(roots)
}

fn read_pem(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|error| root_error(path, error))?
        .collect::<Result<_, _>>()
        .map_err(|error| root_error(path, error))?;
    if certificates.is_empty() {
        return Err(root_error(path, "it holds no PEM certificate"));
    }
    Ok(certificates)
}

fn root_error(path: &Path, reason: impl ToString) -> TlsError {
    TlsError::Root {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// Compares the certificate's hash instead of its chain. Signatures are always verified, so that
/// the relay must own the key it shows.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// `None` believes every certificate.
    pins: Option<Vec<Fingerprint>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let believed = self
            .pins
            .as_ref()
            .is_none_or(|pins| pins.contains(&Fingerprint::of(end_entity)));
        if believed {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify(pins: Option<Vec<Fingerprint>>) -> bool {
        let verifier = Verifier {
            provider: Arc::new(aws_lc_rs::default_provider()),
            pins,
        };
        let name = ServerName::try_from("localhost").unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
        verifier
            .verify_server_cert(&CertificateDer::from(&b"leaf"[..]), &[], &name, &[], now)
            .is_ok()
    }

    #[test]
    fn only_a_pinned_certificate_passes_a_pinning_verifier() {
        let leaf = Fingerprint::of(&CertificateDer::from(&b"leaf"[..]));
        let other = Fingerprint::of(&CertificateDer::from(&b"other"[..]));
        assert!(verify(Some(vec![other, leaf])));
        assert!(!verify(Some(vec![other])));
        assert!(!verify(Some(vec![])));
        assert!(verify(None));
    }

    #[test]
    fn fingerprints_read_as_plain_hex_and_as_openssl_prints_them() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        assert_eq!(plain.parse::<Fingerprint>(), colons.parse());
        assert_eq!(plain.parse::<Fingerprint>().unwrap().to_string(), plain);
        assert!("abcd".parse::<Fingerprint>().is_err());
        assert!("zz".repeat(32).parse::<Fingerprint>().is_err());
    }

    #[test]
    fn a_missing_or_empty_root_file_is_named_in_the_error() {
        let missing = Trust::Roots(vec!["/no/such/root.pem".into()]);
        let error = missing.client_config("h3").unwrap_err().to_string();
        assert!(error.contains("/no/such/root.pem"), "{error}");

        let empty = tempfile::NamedTempFile::new().unwrap();
        let error = Trust::Roots(vec![empty.path().into()])
            .client_config("h3")
            .unwrap_err();
        assert!(error.to_string().contains("no PEM certificate"), "{error}");
    }
}
