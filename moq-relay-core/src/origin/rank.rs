//! Which publisher of a path goes first.

use moq_transfork::path::Path;

use crate::origin::Locality;
use crate::role::NodeName;

/// The place of a route among those of its path; the least goes first.
///
/// Among other relays the order is by a hash of node and path: every relay finds the same one
/// first, and the paths that several nodes publish are spread over all of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Local,
    Remote(u64, NodeName),
    Hearsay(NodeName),
}

impl Rank {
    pub(super) fn new(path: &Path, locality: &Locality) -> Self {
        match locality {
            Locality::Local => Self::Local,
            Locality::Remote(node) => Self::Remote(hash(path, node), node.clone()),
            Locality::Hearsay(node) => Self::Hearsay(node.clone()),
        }
    }
}

/// FNV-1a of 64 bits: all relays of a cluster have to agree on it, whatever their version.
fn hash(path: &Path, node: &NodeName) -> u64 {
    let parts = path.parts().chain([node.as_str()]);
    // No part has this byte in it: it is not part of any text in UTF-8.
    let bytes = parts.flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(path: &str, node: &str) -> Rank {
        let locality = Locality::Remote(node.parse().expect("a name"));
        Rank::new(&path.parse().expect("a path"), &locality)
    }

    #[test]
    fn the_choice_is_the_same_in_every_version() {
        assert_eq!(
            rank("demo/clock", "a:1"),
            Rank::Remote(8_831_492_131_505_662_131, "a:1".parse().expect("a name"))
        );
    }

    #[test]
    fn local_goes_first_and_paths_are_spread_over_nodes() {
        let first = |path: &str| rank(path, "a") < rank(path, "b");
        let paths = (0..1000).map(|number| format!("demo/{number}"));
        let share = paths.filter(|path| first(path)).count();
        assert!((400..600).contains(&share), "{share} of 1000");
        assert!(Rank::Local < rank("demo", "a"));
    }
}
