//! Who a peer is to the relay: one of its users, or another relay.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::sync::Arc;

use moq_transfork::path::Path;

/// The most bytes a node name may have: a DNS name, a colon and a port.
pub const MAX_NODE_NAME: usize = 253 + 1 + 5;

/// The first part of the paths that belong to the cluster.
const INTERNAL: &str = "internal";

/// Below it each node announces its own name.
const ORIGINS: &str = "origins";

/// The name of a node: the host by which others reach it, with a port if it is not the default.
///
/// Names are compared without regard to case and are kept in lower case. Clones are cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(Arc<str>);

/// Why a text is not a node's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a host with an optional port")]
pub struct NodeNameError;

/// Who a peer is, which decides what it is shown and what becomes of what it announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// A user. It is shown everything but `internal/`, and what it announces is published here.
    Client,
    /// Another relay, by its name. It is shown what is published here, and what it announces is
    /// published there.
    Node(NodeName),
    /// Another relay that uses the cluster and publishes nothing to it: shown what a node is, and
    /// not listened to.
    Member,
}

impl NodeName {
    /// The host, as it is in certificates: a DNS name or an address without brackets.
    pub fn host(&self) -> &str {
        let (host, _port) = split(&self.0);
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The port, if the name has one.
    pub fn port(&self) -> Option<u16> {
        split(&self.0).1?.parse().ok()
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path that the node announces to be found.
    pub fn path(&self) -> Path {
        let parts = [INTERNAL, ORIGINS, self.as_str()];
        Path::new(parts).expect("a node's name fits in a path")
    }

    /// The node that announces itself with this path.
    pub fn from_path(path: &Path) -> Option<Self> {
        let mut parts = path.parts();
        let (Some(INTERNAL), Some(ORIGINS), Some(name), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        name.parse().ok()
    }

    /// The prefix of the paths of all nodes.
    pub fn origins() -> Path {
        Path::new([INTERNAL, ORIGINS]).expect("the prefix is a path")
    }
}

/// True if a path belongs to the cluster, and is none of its users' business.
pub(crate) fn is_internal(path: &Path) -> bool {
    path.parts().next() == Some(INTERNAL)
}

impl FromStr for NodeName {
    type Err = NodeNameError;

    fn from_str(text: &str) -> Result<Self, NodeNameError> {
        let (host, port) = split(text);
        let is_host = match host.strip_prefix('[') {
            Some(host) => host
                .strip_suffix(']')
                .is_some_and(|host| host.parse::<Ipv6Addr>().is_ok()),
            None => {
                let is_label =
                    |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
                !host.is_empty() && host.bytes().all(is_label)
            }
        };
        let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0));
        if !is_host || !is_port || text.len() > MAX_NODE_NAME {
            return Err(NodeNameError);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parts a host from its port.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        // The last colon of a bracketed address may be inside.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_and_without_a_port_are_names() {
        for (text, host, port) in [
            ("relay.example", "relay.example", None),
            ("Relay.Example:4443", "relay.example", Some(4443)),
            ("127.0.0.1:1", "127.0.0.1", Some(1)),
            ("[::1]", "::1", None),
            ("[::1]:65535", "::1", Some(65_535)),
        ] {
            let name: NodeName = text.parse().expect(text);
            assert_eq!((name.host(), name.port()), (host, port), "{text}");
        }
    }

    #[test]
    fn other_texts_are_not_names() {
        let long = "a".repeat(MAX_NODE_NAME + 1);
        for text in [
            "", ":1", "a:", "a:0", "a:65536", "a:b", "a b", "a/b", "::1", "[::1", "[a]", "a\n",
            "ä", &long,
        ] {
            assert_eq!(text.parse::<NodeName>(), Err(NodeNameError), "{text:?}");
        }
    }

    #[test]
    fn a_name_has_a_path_and_the_path_gives_it_back() {
        let name: NodeName = "a.example:1".parse().expect("a name");
        assert_eq!(name.path().to_string(), "internal/origins/a.example:1");
        assert_eq!(NodeName::from_path(&name.path()), Some(name));
        for other in [
            "internal/origins",
            "internal/origins/a/b",
            "origins/a",
            "x/origins/a",
        ] {
            let path = other.parse().expect("a path");
            assert_eq!(NodeName::from_path(&path), None, "{other}");
        }
    }

    #[test]
    fn the_cluster_owns_one_first_part_and_nothing_else() {
        let is_internal = |text: &str| is_internal(&text.parse().expect("a path"));
        assert!(is_internal("internal") && is_internal("internal/x"));
        assert!(!is_internal("") && !is_internal("internals/x") && !is_internal("a/internal"));
    }
}
