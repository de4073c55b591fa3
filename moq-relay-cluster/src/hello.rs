//! What nodes say to each other in the setup of a session.

use bytes::Bytes;
use moq_relay_core::role::NodeName;
use moq_transfork::message::Extensions;

/// The extension of SESSION_CLIENT and SESSION_SERVER that carries a [`Hello`]: "moqclu".
///
/// Its bytes are a version, 1; the instance, 8 bytes; the nonce, 16 bytes; the length of the name,
/// 2 bytes, and the name; the proof, 32 bytes or none. Numbers are big-endian.
const EXTENSION: u64 = 0x6d6f_7163_6c75;

const VERSION: u8 = 1;
pub(crate) const NONCE_BYTES: usize = 16;
pub(crate) const PROOF_BYTES: usize = 32;

/// Who says a hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// What a node says of itself in the setup of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    /// Tells a process from the one that had the same name before.
    pub(crate) instance: u64,
    pub(crate) nonce: [u8; NONCE_BYTES],
    /// None if the node cannot be dialled.
    pub(crate) name: Option<NodeName>,
    /// That it knows the secret.
    pub(crate) proof: Option<[u8; PROOF_BYTES]>,
}

impl Hello {
    /// The part that a proof covers.
    pub(crate) fn unproven(&self) -> Vec<u8> {
        let name = self.name.as_ref().map_or("", NodeName::as_str);
        let length = u16::try_from(name.len()).unwrap_or_default();
        let mut bytes = vec![VERSION];
        bytes.extend(self.instance.to_be_bytes());
        bytes.extend(self.nonce);
        bytes.extend(length.to_be_bytes());
        bytes.extend(name.as_bytes());
        bytes
    }

    pub(crate) fn into_extensions(self) -> Extensions {
        let mut bytes = self.unproven();
        bytes.extend(self.proof.iter().flatten());
        let mut extensions = Extensions::default();
        extensions.0.insert(EXTENSION, bytes.into());
        extensions
    }

    /// Finds the hello of a peer; `None` if it is not a node or says hello in another way.
    pub(crate) fn find(extensions: &Extensions) -> Option<Self> {
        Self::parse(extensions.0.get(&EXTENSION)?)
    }

    fn parse(bytes: &Bytes) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (instance, rest) = rest.split_first_chunk()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (name, proof) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let name = str::from_utf8(name).ok()?;
        let name = match name {
            "" => None,
            name => Some(name.parse().ok()?),
        };
        let proof = match proof {
            [] => None,
            proof => Some(proof.try_into().ok()?),
        };
        (*version == VERSION).then_some(Self {
            instance: u64::from_be_bytes(*instance),
            nonce: *nonce,
            name,
            proof,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            instance: 0x0102_0304_0506_0708,
            nonce: [7; NONCE_BYTES],
            name: Some("a:1".parse().expect("a name")),
            proof: Some([9; PROOF_BYTES]),
        }
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let anonymous = Hello {
            name: None,
            proof: None,
            ..hello()
        };
        for hello in [hello(), anonymous] {
            let extensions = hello.clone().into_extensions();
            assert_eq!(Hello::find(&extensions), Some(hello));
        }
        assert_eq!(Hello::find(&Extensions::default()), None);
    }

    #[test]
    fn its_bytes_are_as_documented() {
        let extensions = hello().into_extensions();
        let expected = [
            &[1, 1, 2, 3, 4, 5, 6, 7, 8][..],
            &[7; 16],
            &[0, 3],
            b"a:1",
            &[9; 32],
        ];
        assert_eq!(extensions.0[&EXTENSION], expected.concat());
    }

    #[test]
    fn truncated_or_altered_bytes_are_no_hello_or_another_one() {
        let extensions = hello().into_extensions();
        let bytes = &extensions.0[&EXTENSION];
        let without_proof = bytes.len() - PROOF_BYTES;
        for end in (0..bytes.len()).filter(|end| *end != without_proof) {
            assert_eq!(Hello::parse(&bytes.slice(..end)), None, "{end}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.to_vec();
            altered[bit / 8] ^= 1 << (bit % 8);
            let upper_case = Hello::parse(&altered.into()).is_none_or(|altered| altered != hello());
            assert!(upper_case || bit / 8 == 27, "{bit}");
        }
    }
}
