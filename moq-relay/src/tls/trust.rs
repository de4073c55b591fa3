//! Whom we believe when dialling other relays.

use std::path::PathBuf;
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::args::TlsArgs;
use crate::tls::error::TlsError;
use crate::tls::identity::{Identity, content, read_certificates};
use crate::tls::{alpns, provider};

/// Whose certificates are believed when dialling other relays.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Those that the system's roots vouch for. They are looked up when a configuration is built.
    System,
    /// Those that these roots vouch for.
    Roots(Arc<RootCertStore>),
    /// All. Anyone on the way can read and change what passes.
    Anyone,
}

impl Trust {
    /// Loads what the command line names. Files of roots are looked at even where they will not
    /// be asked, so that a mistake in them shows.
    ///
    /// # Errors
    ///
    /// Fails when a file of roots cannot be read or holds none.
    pub fn load(args: &TlsArgs) -> Result<Self, TlsError> {
        let roots = read_roots("--tls-root", &args.tls_root)?;
        if args.tls_disable_verify {
            return Ok(Self::Anyone);
        }
        Ok(if roots.is_empty() {
            Self::System
        } else {
            Self::Roots(Arc::new(roots))
        })
    }

    /// Builds the TLS side of a client that offers these ALPNs, the preferred one first.
    ///
    /// # Errors
    ///
    /// Fails when the system's roots are asked for and there are none.
    pub fn client_config(&self, alpn: &[&str]) -> Result<QuicClientConfig, TlsError> {
        self.client_config_as(alpn, None)
    }

    /// As [`client_config`](Self::client_config), showing a certificate to servers that ask.
    ///
    /// # Errors
    ///
    /// As [`client_config`](Self::client_config).
    pub fn client_config_as(
        &self,
        alpn: &[&str],
        identity: Option<&Identity>,
    ) -> Result<QuicClientConfig, TlsError> {
        let builder = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?;
        let builder = match self {
            Self::System => builder.with_root_certificates(system_roots()?),
            Self::Roots(roots) => builder.with_root_certificates(Arc::clone(roots)),
            Self::Anyone => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate::new())),
        };
        let mut config = match identity {
            Some(identity) => {
                let one = Arc::new(SingleCertAndKey::from(identity.certified()));
                builder.with_client_cert_resolver(one)
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpns(alpn.iter().copied());
        Ok(config.try_into()?)
    }
}

/// Reads the root certificates that `flag` names.
///
/// # Errors
///
/// Fails when a file cannot be read or holds no certificate that can be used.
pub fn read_roots(flag: &'static str, paths: &[PathBuf]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for path in paths {
        for cert in read_certificates(flag, path)? {
            roots.add(cert).map_err(|error| {
                let problem = format!("holds a certificate that cannot be used: {error}");
                content(flag, path, problem)
            })?;
        }
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reason = found
            .errors
            .first()
            .map(|error| format!(" ({error})"))
            .unwrap_or_default();
        return Err(TlsError::NoSystemRoots(reason));
    }
    Ok(roots)
}

/// Believes any certificate, but still asks its holder to prove that the key is theirs.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl AnyCertificate {
    fn new() -> Self {
        Self(provider().signature_verification_algorithms)
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
