//! What is tried: who publishes through which relay to whom, over what.

use std::collections::BTreeSet;
use std::fmt;

use super::peers::{CLOCKS, Dialect, KARPS, LINKED, Peer, SEED};
use crate::client::Transport;

/// Both ways to reach a relay.
const TRANSPORTS: [Transport; 2] = [Transport::WebTransport, Transport::Quic];

/// One clock of each generation, for the cases that cross generations.
const GENERATIONS: [Peer; 3] = [CLOCKS[0], CLOCKS[3], CLOCKS[4]];

/// One row of the matrix.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// What is played.
    pub(super) scene: Scene,
    /// Who publishes, and over what.
    pub(super) publisher: Party,
    /// Who relays.
    pub(super) relay: Relay,
    /// Who subscribes, and over what.
    pub(super) subscriber: Party,
}

/// What is played in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    /// The time goes to a subscriber that is there from the start and one that joins late.
    Clock,
    /// Video and sound go to subscribers from the start and late ones.
    Media,
    /// The test client's conformance tests, in both roles.
    Conformance,
    /// Relays of both kinds form a cluster, and tracks flow from each to each.
    Cluster,
}

/// One end of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Party {
    pub(super) who: Who,
    pub(super) over: Transport,
}

/// A program at one end of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// One of the published programs.
    Theirs(Peer),
    /// Our test client, speaking a dialect.
    Ours(Dialect),
}

/// The relay of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relay {
    /// The one that is being tested.
    Tested,
    /// One of the published ones.
    Theirs(Peer),
}

impl Case {
    /// The peers it needs.
    pub(super) fn peers(&self) -> BTreeSet<Peer> {
        let mut peers = BTreeSet::new();
        for party in [self.publisher, self.subscriber] {
            if let Who::Theirs(peer) = party.who {
                peers.insert(peer);
            }
        }
        if let Relay::Theirs(peer) = self.relay {
            peers.insert(peer);
        }
        peers
    }

    /// Its cells in the table, as far as they are known before it ran.
    pub(super) fn cells(&self) -> [String; 6] {
        let (publisher, subscriber) = (self.publisher, self.subscriber);
        [
            self.scene.to_string(),
            publisher.who.to_string(),
            self.relay.to_string(),
            subscriber.who.to_string(),
            pair(publisher.over, subscriber.over),
            pair(
                publisher.who.dialect().name(),
                subscriber.who.dialect().name(),
            ),
        ]
    }

    /// Tells whether every word of a filter is in its row, and no word behind a `!` is.
    pub(super) fn matches(&self, filter: &str) -> bool {
        let row = self.cells().join(" ");
        filter
            .split_whitespace()
            .all(|word| match word.strip_prefix('!') {
                Some(unwanted) => !row.contains(unwanted),
                None => row.contains(word),
            })
    }
}

/// Every case, in the order of the table.
pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(alike());
    cases.extend(mixed_generations());
    cases.extend(with_ours());
    cases.extend(ours_alone());
    cases.extend(media());
    cases.extend(conformance());
    cases.extend(on_their_relay());
    cases.extend(clusters());
    cases
}

/// Each clock with itself.
fn alike() -> impl Iterator<Item = Case> {
    let each = CLOCKS
        .into_iter()
        .flat_map(|clock| TRANSPORTS.map(|over| (clock, over)));
    each.map(|(clock, over)| clock_case(theirs(clock, over), theirs(clock, over)))
}

/// Clocks of one generation with those of another, one over each transport.
fn mixed_generations() -> impl Iterator<Item = Case> {
    let pairs = GENERATIONS
        .into_iter()
        .flat_map(|a| GENERATIONS.map(|b| (a, b)));
    let pairs = pairs.filter(|(a, b)| a != b);
    let [web, quic] = TRANSPORTS;
    pairs.flat_map(move |(a, b)| {
        [(web, quic), (quic, web)].map(|(from, to)| clock_case(theirs(a, from), theirs(b, to)))
    })
}

/// Our publisher with each of their subscribers and the other way round.
fn with_ours() -> impl Iterator<Item = Case> {
    let each = CLOCKS
        .into_iter()
        .flat_map(|clock| TRANSPORTS.map(|over| (clock, over)));
    each.flat_map(|(clock, over)| {
        let (their, our) = (theirs(clock, over), ours(Dialect::Draft03, over));
        [clock_case(our, their), clock_case(their, our)]
    })
}

/// Our publisher with our subscriber, in each dialect.
fn ours_alone() -> impl Iterator<Item = Case> {
    let each = Dialect::ALL
        .into_iter()
        .flat_map(|dialect| TRANSPORTS.map(|over| (dialect, over)));
    each.map(|(dialect, over)| clock_case(ours(dialect, over), ours(dialect, over)))
}

/// Each media publisher with our subscriber.
fn media() -> impl Iterator<Item = Case> {
    let each = KARPS
        .into_iter()
        .flat_map(|karp| TRANSPORTS.map(|over| (karp, over)));
    each.map(|(karp, over)| Case {
        scene: Scene::Media,
        publisher: theirs(karp, over),
        relay: Relay::Tested,
        subscriber: ours(Dialect::Draft03, over),
    })
}

/// The conformance tests in each dialect.
fn conformance() -> impl Iterator<Item = Case> {
    let each = Dialect::ALL
        .into_iter()
        .flat_map(|dialect| TRANSPORTS.map(|over| (dialect, over)));
    each.map(|(dialect, over)| Case {
        scene: Scene::Conformance,
        publisher: ours(dialect, over),
        relay: Relay::Tested,
        subscriber: ours(dialect, over),
    })
}

/// Our client in both roles, and in the conformance tests, with the seed's relay.
fn on_their_relay() -> impl Iterator<Item = Case> {
    let scenes = [Scene::Clock, Scene::Conformance];
    let each = scenes
        .into_iter()
        .flat_map(|scene| TRANSPORTS.map(|over| (scene, over)));
    each.map(|(scene, over)| Case {
        scene,
        publisher: ours(SEED.dialect, over),
        relay: Relay::Theirs(SEED),
        subscriber: ours(SEED.dialect, over),
    })
}

/// A relay of theirs as a node of ours, and ours as nodes of theirs; the users are ours.
fn clusters() -> impl Iterator<Item = Case> {
    let ours = ours(LINKED.dialect, Transport::Quic);
    let case = |node, root| Case {
        scene: Scene::Cluster,
        publisher: node,
        relay: root,
        subscriber: ours,
    };
    let node = case(theirs(LINKED, Transport::Quic), Relay::Tested);
    [node, case(ours, Relay::Theirs(LINKED))].into_iter()
}

fn clock_case(publisher: Party, subscriber: Party) -> Case {
    Case {
        scene: Scene::Clock,
        publisher,
        relay: Relay::Tested,
        subscriber,
    }
}

fn theirs(peer: Peer, over: Transport) -> Party {
    Party {
        who: Who::Theirs(peer),
        over,
    }
}

fn ours(dialect: Dialect, over: Transport) -> Party {
    Party {
        who: Who::Ours(dialect),
        over,
    }
}

/// Writes one word where both ends are alike, else both.
fn pair<T: fmt::Display>(from: T, to: T) -> String {
    let (from, to) = (from.to_string(), to.to_string());
    if from == to {
        from
    } else {
        format!("{from}>{to}")
    }
}

impl Who {
    /// What it speaks.
    pub(super) fn dialect(self) -> Dialect {
        match self {
            Self::Theirs(peer) => peer.dialect,
            Self::Ours(dialect) => dialect,
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Theirs(peer) => peer.fmt(f),
            Self::Ours(_) => f.write_str("moq-test-client"),
        }
    }
}

impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tested => f.write_str("tested"),
            Self::Theirs(peer) => peer.fmt(f),
        }
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clock => "clock",
            Self::Media => "media",
            Self::Conformance => "conformance",
            Self::Cluster => "cluster",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_case_is_there_twice() {
        let rows: Vec<_> = all().iter().map(|case| case.cells()).collect();
        let unique: BTreeSet<_> = rows.iter().collect();

        assert_eq!(unique.len(), rows.len());
    }

    #[test]
    fn a_filter_wants_all_its_words_in_the_row() {
        let cases = all();
        let chosen = |filter| cases.iter().filter(|case| case.matches(filter)).count();

        assert_eq!(chosen(""), cases.len());
        assert_eq!(chosen("media 0.11.1 quic"), 1);
        assert_eq!(chosen("media 9.9.9"), 0);
        assert_eq!(chosen("media") + chosen("!media"), cases.len());
    }
}
