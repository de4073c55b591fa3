//! Certificates: what we serve with, and whom we believe when dialling.

pub mod dev;
pub mod error;
pub mod identity;
pub mod resolver;
pub mod trust;

use std::sync::Arc;

use moq_transfork::dialect::alpn;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;

use crate::tls::error::TlsError;
use crate::tls::identity::Identity;
use crate::tls::resolver::Resolver;

/// ALPN of WebTransport, which is HTTP/3.
pub const ALPN_H3: &str = web_transport_quinn::ALPN;

/// ALPNs of raw QUIC, the draft's first. The dialect is settled by the setup, whatever the ALPN.
pub const ALPN_RAW: [&str; 2] = [alpn::DRAFT03, alpn::FORK];

/// Returns the cryptography that everything here uses.
///
/// It is always given explicitly: rustls's process-wide default is for whoever owns the process.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Builds the TLS side of a server that has these identities and speaks both WebTransport and raw
/// QUIC.
///
/// # Errors
///
/// Fails when the cryptography does not do for QUIC.
pub fn server_config(identities: Vec<Identity>) -> Result<QuicServerConfig, TlsError> {
    server_config_with(identities, None)
}

/// As [`server_config`]; with roots of `nodes`, clients may show a certificate that these vouch
/// for.
///
/// # Errors
///
/// Fails when the cryptography does not do for QUIC, or the roots do not for clients.
pub fn server_config_with(
    identities: Vec<Identity>,
    nodes: Option<Arc<RootCertStore>>,
) -> Result<QuicServerConfig, TlsError> {
    let verifier = match nodes {
        Some(roots) => WebPkiClientVerifier::builder_with_provider(roots, provider())
            .allow_unauthenticated()
            .build()?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(Resolver::new(identities)));
    config.alpn_protocols = alpns(ALPN_RAW.into_iter().chain([ALPN_H3]));
    Ok(config.try_into()?)
}

fn alpns<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Vec<u8>> {
    names
        .into_iter()
        .map(|name| name.as_bytes().to_vec())
        .collect()
}
