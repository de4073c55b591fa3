//! The self-signed certificate of `--dev`.

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

use crate::tls::error::TlsError;
use crate::tls::identity::Identity;

/// Names and addresses that are always covered.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// How long the certificate lasts. Browsers that are given a certificate's hash accept 14 days at
/// most.
const VALIDITY: Duration = Duration::days(13);

/// How long before now the certificate begins, for clients whose clock is behind.
const CLOCK_SKEW: Duration = Duration::hours(1);

/// Makes a key and a certificate for the local host and for these names and addresses.
///
/// # Errors
///
/// Fails when a name is not one that a certificate can hold.
pub fn self_signed(names: &[String]) -> Result<Identity, TlsError> {
    // Browsers want ECDSA on P-256 from a certificate that is believed by its hash.
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let cert = params(names, OffsetDateTime::now_utc())?.self_signed(&key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(Identity::new(vec![cert.der().clone()], key)?)
}

fn params(names: &[String], now: OffsetDateTime) -> Result<CertificateParams, rcgen::Error> {
    let names = NAMES.into_iter().chain(names.iter().map(String::as_str));
    let mut params = CertificateParams::new(names.map(String::from).collect::<Vec<_>>())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "moq-relay --dev");
    params.not_before = now - CLOCK_SKEW;
    params.not_after = params.not_before + VALIDITY;
    // The published clients refuse a server's certificate that could sign others.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;

    use super::*;

    #[test]
    fn the_certificate_covers_the_local_host_and_the_names_given() {
        let names = ["relay.example".into(), "10.1.2.3".into()];
        let identity = self_signed(&names).unwrap();
        for name in ["localhost", "127.0.0.1", "::1", "relay.example", "10.1.2.3"] {
            assert!(
                identity.covers(&ServerName::try_from(name).unwrap()),
                "{name}"
            );
        }
        assert!(!identity.covers(&ServerName::try_from("other.example").unwrap()));
    }

    #[test]
    fn the_certificate_is_one_that_browsers_accept_by_its_hash() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        let params = params(&[], now).unwrap();
        assert!(params.not_before < now);
        assert!(params.not_after > now + Duration::days(12));
        assert!(params.not_after - params.not_before <= Duration::days(14));
        assert_eq!(params.is_ca, IsCa::ExplicitNoCa);
    }

    #[test]
    fn a_name_that_no_certificate_can_hold_is_refused() {
        let error = self_signed(&["müller.example".into()]).unwrap_err();
        assert!(error.to_string().contains("--dev-name"), "{error}");
    }

    #[test]
    fn every_certificate_is_another() {
        let fingerprints = [(); 2].map(|()| self_signed(&[]).unwrap().fingerprint());
        assert_ne!(fingerprints[0], fingerprints[1]);
    }
}
