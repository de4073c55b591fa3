//! Which certificate a client is shown.

use std::sync::Arc;

use rustls::pki_types::{DnsName, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::tls::identity::Identity;

/// Chooses the first identity that covers the name which a client asks for (SNI), and the last
/// one for clients that ask for none or for another.
#[derive(Debug)]
pub struct Resolver {
    identities: Vec<Identity>,
}

impl Resolver {
    /// Chooses among these, in this order.
    pub const fn new(identities: Vec<Identity>) -> Self {
        Self { identities }
    }

    fn choose(&self, name: Option<&str>) -> Option<&Identity> {
        let last = self.identities.last();
        let Some(name) = name.and_then(|name| DnsName::try_from(name).ok()) else {
            return last;
        };
        let name = ServerName::DnsName(name);
        self.identities
            .iter()
            .find(|identity| identity.covers(&name))
            .or(last)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name()).map(Identity::certified)
    }
}

#[cfg(test)]
mod tests {
    use crate::tls::dev;

    use super::*;

    #[test]
    fn the_first_that_covers_the_name_is_chosen_and_else_the_last() {
        let one = dev::self_signed(&["one.example".into()]).unwrap();
        let two = dev::self_signed(&["two.example".into()]).unwrap();
        let resolver = Resolver::new(vec![one.clone(), two.clone()]);
        let chosen = |name| resolver.choose(name).unwrap().fingerprint();

        assert_eq!(chosen(Some("one.example")), one.fingerprint());
        assert_eq!(chosen(Some("two.example")), two.fingerprint());
        assert_eq!(chosen(Some("localhost")), one.fingerprint());
        assert_eq!(chosen(Some("three.example")), two.fingerprint());
        assert_eq!(chosen(None), two.fingerprint());
    }
}
