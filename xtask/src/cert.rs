//! A certificate that old and new clients take as their own root.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use rcgen::{CertificateParams, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use time::OffsetDateTime;

/// How long it is valid; browsers refuse a pinned certificate of more than 14 days.
const VALID: Duration = Duration::from_hours(13 * 24);

/// How far back it is valid, for clocks that disagree.
const SKEW: Duration = Duration::from_hours(1);

/// The PEM files of a self-signed certificate for this machine.
pub(crate) struct Files {
    /// The certificate: a server's own, and its clients' root.
    pub(crate) cert: PathBuf,
    /// Its private key.
    pub(crate) key: PathBuf,
}

/// Makes a certificate for `localhost` and the loopback addresses in `folder`.
///
/// It is marked as no authority: rustls refuses one that is as a server's own.
///
/// # Errors
/// Where the files cannot be written.
pub(crate) fn write(folder: &Path) -> anyhow::Result<Files> {
    let loopback = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ];
    write_for(folder, vec!["localhost".to_owned()], loopback)
}

/// Makes a certificate for names and addresses in `folder`, marked likewise.
///
/// # Errors
/// Where the files cannot be written.
pub(crate) fn write_for(
    folder: &Path,
    names: Vec<String>,
    addresses: impl IntoIterator<Item = IpAddr>,
) -> anyhow::Result<Files> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("cannot make a key")?;
    let cert = params(names, addresses)?
        .self_signed(&key)
        .context("cannot sign a certificate")?;
    let files = Files {
        cert: folder.join("cert.pem"),
        key: folder.join("key.pem"),
    };
    fs::write(&files.cert, cert.pem()).context("cannot write the certificate")?;
    fs::write(&files.key, key.serialize_pem()).context("cannot write the key")?;
    Ok(files)
}

fn params(
    names: Vec<String>,
    addresses: impl IntoIterator<Item = IpAddr>,
) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(names)?;
    let addresses = addresses.into_iter().map(SanType::IpAddress);
    params.subject_alt_names.extend(addresses);
    params
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    params.is_ca = IsCa::ExplicitNoCa;
    params.not_before = OffsetDateTime::now_utc() - SKEW;
    params.not_after = params.not_before + VALID;
    Ok(params)
}
