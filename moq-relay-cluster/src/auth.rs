//! Who may act as a node, and how it is proven.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use moq_relay_core::role::NodeName;
use sha2::Sha256;

use crate::dial::Visitor;
use crate::hello::{Hello, PROOF_BYTES, Side};

/// The fewest bytes a shared secret may have.
pub const MIN_SECRET: usize = 16;

/// What only the two ends of one session know, such as a value exported from its TLS handshake.
pub type Binding = [u8; 32];

/// Who may act as a node. One proof is enough.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Auth {
    /// Those who know it.
    pub secret: Option<Secret>,
    /// Anyone who says so. Anyone at all can then make every node dial any host. It is what links
    /// to relays of the forks need, which can prove nothing.
    pub open: bool,
}

/// A secret that the nodes of a cluster share. It is never sent and never printed.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

/// Why something is not a secret to rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cluster's secret has at least {MIN_SECRET} bytes")]
pub struct SecretError;

impl Secret {
    /// Takes a secret, without white space at its end.
    ///
    /// # Errors
    /// If it is too short.
    pub fn new(bytes: &[u8]) -> Result<Self, SecretError> {
        let bytes = bytes.trim_ascii_end();
        if bytes.len() < MIN_SECRET {
            return Err(SecretError);
        }
        // HMAC takes keys of any length.
        let mac = Hmac::new_from_slice(bytes).map_err(|_| SecretError)?;
        Ok(Self(mac))
    }

    /// Proves that whoever sent this hello on this session knows the secret.
    ///
    /// The proof covers the sender's name and side and both nonces, and the session itself where
    /// its transport can tell it from others: it is of no use anywhere else.
    pub(crate) fn prove(&self, hello: &Hello, exchange: &Exchange<'_>) -> [u8; PROOF_BYTES] {
        self.mac(hello, exchange).finalize().into_bytes().into()
    }

    /// Tells, in constant time, whether the proof of a hello is right.
    fn verify(&self, hello: &Hello, exchange: &Exchange<'_>) -> bool {
        let Some(proof) = &hello.proof else {
            return false;
        };
        self.mac(hello, exchange).verify_slice(proof).is_ok()
    }

    fn mac(&self, hello: &Hello, exchange: &Exchange<'_>) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        let label: &[u8] = match exchange.side {
            Side::Client => b"moq-relay-cluster 1 client\0",
            Side::Server => b"moq-relay-cluster 1 server\0",
        };
        mac.update(label);
        mac.update(&hello.unproven());
        mac.update(&[u8::from(exchange.challenge.is_some())]);
        mac.update(exchange.challenge.unwrap_or_default());
        mac.update(&[u8::from(exchange.binding.is_some())]);
        mac.update(exchange.binding.map_or(&[], |binding| &binding[..]));
        mac
    }
}

/// In which exchange a hello is said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange<'a> {
    /// Who says it.
    pub(crate) side: Side,
    /// The nonce that it answers to.
    pub(crate) challenge: Option<&'a [u8]>,
    /// The session that it is said on.
    pub(crate) binding: Option<&'a Binding>,
}

impl Auth {
    /// Tells whether a visitor that says hello is a node, or a member if it says no name.
    pub(crate) fn admits(&self, hello: &Hello, visitor: &Visitor) -> bool {
        let exchange = Exchange {
            side: Side::Client,
            challenge: None,
            binding: visitor.binding.as_ref(),
        };
        let certified = visitor.certificate.as_ref().is_some_and(|is_for| {
            hello
                .name
                .as_ref()
                .is_none_or(|name: &NodeName| is_for(name.host()))
        });
        certified || self.open || self.knows(hello, &exchange)
    }

    /// Tells whether a node that was dialled and answers with this hello is one.
    pub(crate) fn believes(&self, hello: &Hello, exchange: &Exchange<'_>, proven: bool) -> bool {
        proven || self.open || self.knows(hello, exchange)
    }

    fn knows(&self, hello: &Hello, exchange: &Exchange<'_>) -> bool {
        self.secret
            .as_ref()
            .is_some_and(|secret| secret.verify(hello, exchange))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests;
