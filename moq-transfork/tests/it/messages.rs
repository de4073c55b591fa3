//! Strategies for every message, as a dialect can say it.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use moq_transfork::coding::{Message, varint};
use moq_transfork::message::{
    Announce, AnnouncePlease, Extensions, Fetch, FetchUpdate, GroupHeader, GroupOrder, Info,
    InfoPlease, Priority, SessionClient, SessionServer, SessionUpdate, StreamType, Subscribe,
    SubscribeGap, SubscribeUpdate, UniType,
};
use moq_transfork::{Code, Dialect, Filter, Path};
use proptest::prelude::*;
use proptest::sample::select;

use crate::path::any_path;

/// Something to try with a message of each type, in each dialect that has it.
pub(crate) trait Trial {
    fn run<M: Message + PartialEq + Debug>(&mut self, message: &M, dialect: Dialect);
}

/// One of each message, fit for a dialect.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    dialect: Dialect,
    client: SessionClient,
    server: SessionServer,
    update: SessionUpdate,
    kind: StreamType,
    please: AnnouncePlease,
    announce: Announce,
    subscribe: Subscribe,
    subscribe_update: SubscribeUpdate,
    gap: SubscribeGap,
    info: Info,
    fetch: Fetch,
    fetch_update: FetchUpdate,
    group: GroupHeader,
}

impl Sample {
    pub(crate) fn try_each(&self, trial: &mut impl Trial) {
        let dialect = self.dialect;
        trial.run(&self.client, dialect);
        trial.run(&self.server, dialect);
        trial.run(&self.kind, dialect);
        trial.run(&UniType::Group, dialect);
        trial.run(&self.please, dialect);
        trial.run(&self.announce, dialect);
        trial.run(&self.subscribe, dialect);
        trial.run(&self.subscribe_update, dialect);
        trial.run(&self.gap, dialect);
        trial.run(&self.info, dialect);
        trial.run(
            &InfoPlease {
                path: self.subscribe.path.clone(),
            },
            dialect,
        );
        trial.run(&self.group, dialect);
        if dialect != Dialect::Fork04s {
            trial.run(&self.fetch, dialect);
        }
        if dialect == Dialect::Draft03 {
            trial.run(&self.update, dialect);
            trial.run(&self.fetch_update, dialect);
        }
    }
}

pub(crate) fn sample() -> impl Strategy<Value = Sample> {
    select(&Dialect::ALL[..]).prop_flat_map(sample_in)
}

#[expect(clippy::too_many_lines, reason = "one line per field")]
fn sample_in(dialect: Dialect) -> impl Strategy<Value = Sample> {
    let setup = (
        proptest::collection::vec(number(), 0..5),
        extensions(),
        number(),
    );
    let names = (track_in(dialect), announce_in(dialect), please_in(dialect));
    let choices = (
        priority_in(dialect),
        order_in(dialect),
        expires_in(dialect),
        range(),
    );
    let rest = (number(), number(), any::<u32>(), kind_in(dialect));
    (setup, names, choices, rest).prop_map(move |(setup, names, choices, rest)| {
        let (versions, extensions, version) = setup;
        let (path, announce, please) = names;
        let (priority, order, expires, (min, max)) = choices;
        let (id, number, code, kind) = rest;
        Sample {
            dialect,
            client: SessionClient {
                versions,
                extensions: extensions.clone(),
            },
            server: SessionServer {
                version,
                extensions,
            },
            update: SessionUpdate { bitrate: number },
            kind,
            please,
            announce,
            subscribe: Subscribe {
                id,
                path: path.clone(),
                priority,
                order,
                expires,
                min,
                max,
            },
            subscribe_update: SubscribeUpdate {
                priority,
                order,
                expires,
                min,
                max,
            },
            gap: SubscribeGap {
                start: id,
                count: number,
                code: Code(code),
            },
            info: Info {
                priority,
                order,
                expires,
                latest: number,
            },
            fetch: Fetch {
                path,
                priority,
                group: id,
                frame: number,
            },
            fetch_update: FetchUpdate { priority },
            group: GroupHeader {
                subscribe: id,
                sequence: number,
            },
        }
    })
}

pub(crate) fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..100u64, 0..=varint::MAX, Just(varint::MAX)]
}

fn range() -> impl Strategy<Value = (Option<u64>, Option<u64>)> {
    let number = || proptest::option::of(number().prop_map(|number| number.min(varint::MAX - 1)));
    (number(), number())
}

fn extensions() -> impl Strategy<Value = Extensions> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from);
    proptest::collection::btree_map(number(), bytes, 0..4).prop_map(Extensions)
}

fn path_in(dialect: Dialect) -> impl Strategy<Value = Path> {
    any_path().prop_filter("one string", move |path| {
        !dialect.has_text_paths() || path.to_text().is_some()
    })
}

fn track_in(dialect: Dialect) -> impl Strategy<Value = Path> {
    path_in(dialect).prop_filter("a track", |path| !path.is_empty())
}

fn announce_in(dialect: Dialect) -> impl Strategy<Value = Announce> {
    let live = if dialect.has_live() {
        Announce::Live
    } else {
        Announce::Ended(Path::default())
    };
    prop_oneof![
        path_in(dialect).prop_map(Announce::Active),
        path_in(dialect).prop_map(Announce::Ended),
        Just(live),
    ]
}

fn please_in(dialect: Dialect) -> impl Strategy<Value = AnnouncePlease> {
    (path_in(dialect), "[a-c/*]{0,8}").prop_map(move |(path, text)| {
        let filter = match dialect {
            Dialect::Fork04s => text.parse().unwrap(),
            Dialect::Draft03 | Dialect::Fork02 | Dialect::Fork04 => Filter::Prefix(path),
        };
        AnnouncePlease { filter }
    })
}

fn priority_in(dialect: Dialect) -> impl Strategy<Value = Priority> {
    let max = if dialect == Dialect::Draft03 {
        Priority::MAX.get()
    } else {
        255
    };
    number().prop_map(move |value| Priority::new(value.min(max)))
}

fn order_in(dialect: Dialect) -> impl Strategy<Value = GroupOrder> {
    let orders = [
        GroupOrder::Ascending,
        GroupOrder::Descending,
        GroupOrder::Default,
    ];
    select(if dialect == Dialect::Draft03 {
        orders.to_vec()
    } else {
        orders[..2].to_vec()
    })
}

fn expires_in(dialect: Dialect) -> impl Strategy<Value = Duration> {
    let millis = number().prop_map(Duration::from_millis);
    millis.prop_map(move |time| {
        if dialect.has_expires() {
            time
        } else {
            Duration::ZERO
        }
    })
}

fn kind_in(dialect: Dialect) -> impl Strategy<Value = StreamType> {
    let mut kinds = vec![
        StreamType::Session,
        StreamType::Announce,
        StreamType::Subscribe,
    ];
    kinds.extend([StreamType::Info, StreamType::Unknown(300)]);
    kinds.extend((dialect != Dialect::Fork04s).then_some(StreamType::Fetch));
    select(kinds)
}
