//! Nothing a peer sends panics, is believed before it has arrived, or grows without bound.

use std::fmt::Debug;

use bytes::{BufMut, Bytes, BytesMut};
use moq_transfork::coding::{
    DecodeError, EncodeError, MAX_MESSAGE_BYTES, Message, Scanner, varint,
};
use moq_transfork::message::{
    Announce, AnnouncePlease, Extensions, Fetch, FetchUpdate, GroupHeader, Info, InfoPlease,
    MAX_EXTENSION_BYTES, MAX_EXTENSIONS, MAX_VERSIONS, SessionClient, SessionServer, SessionUpdate,
    StreamType, Subscribe, SubscribeGap, SubscribeUpdate, UniType,
};
use moq_transfork::path::{MAX_BYTES, MAX_PARTS, MAX_TEXT_BYTES, PathError};
use moq_transfork::{Code, Dialect};
use proptest::prelude::*;

/// Numbers, one after another.
fn wire(numbers: &[u64]) -> BytesMut {
    let mut bytes = BytesMut::new();
    numbers
        .iter()
        .for_each(|number| varint::encode(*number, &mut bytes).unwrap());
    bytes
}

fn refusal<M: Message + Debug>(bytes: &[u8], dialect: Dialect) -> Code {
    match M::decode_slice(bytes, dialect) {
        Err(DecodeError::Incomplete) => panic!("waits for more"),
        Err(error) => error.code(),
        Ok((message, _)) => panic!("accepts {message:?}"),
    }
}

fn accepts<M: Message + Debug>(bytes: &[u8], dialect: Dialect) {
    M::decode_slice(bytes, dialect).unwrap();
}

/// Whether more bytes are waited for, which is right as long as the limits allow them.
fn waits<M: Message + Debug>(bytes: &[u8], dialect: Dialect) {
    assert_eq!(
        M::decode_slice(bytes, dialect).unwrap_err(),
        DecodeError::Incomplete
    );
}

#[test]
fn huge_counts_and_lengths_are_refused_at_once() {
    let huge = varint::MAX;
    for dialect in Dialect::ALL {
        assert_eq!(
            refusal::<SessionClient>(&wire(&[huge]), dialect),
            Code::BOUNDS_EXCEEDED
        );
        assert_eq!(
            refusal::<SessionClient>(&wire(&[0, huge]), dialect),
            Code::BOUNDS_EXCEEDED
        );
        assert_eq!(
            refusal::<SessionServer>(&wire(&[1, huge]), dialect),
            Code::BOUNDS_EXCEEDED
        );
        let extension = wire(&[1, 1, 9, huge]);
        assert_eq!(
            refusal::<SessionServer>(&extension, dialect),
            Code::BOUNDS_EXCEEDED
        );
        assert_eq!(
            refusal::<AnnouncePlease>(&wire(&[huge]), dialect),
            Code::BOUNDS_EXCEEDED
        );
        assert_eq!(
            refusal::<Announce>(&wire(&[1, huge]), dialect),
            Code::BOUNDS_EXCEEDED
        );
        assert_eq!(
            refusal::<Subscribe>(&wire(&[1, huge]), dialect),
            Code::BOUNDS_EXCEEDED
        );
        assert_eq!(
            refusal::<Fetch>(&wire(&[huge]), dialect),
            Code::BOUNDS_EXCEEDED
        );
        assert_eq!(
            refusal::<InfoPlease>(&wire(&[huge]), dialect),
            Code::BOUNDS_EXCEEDED
        );
        if !dialect.has_text_paths() {
            assert_eq!(
                refusal::<InfoPlease>(&wire(&[1, huge]), dialect),
                Code::BOUNDS_EXCEEDED
            );
        }
        assert_eq!(
            refusal::<SubscribeGap>(&wire(&[0, 0, 1 << 32]), dialect),
            Code::BOUNDS_EXCEEDED
        );
    }
}

#[test]
fn a_path_in_parts_is_accepted_up_to_its_limits() {
    let dialect = Dialect::Draft03;
    let parts = |count: usize, len: usize| {
        let mut bytes = wire(&[count as u64]);
        for _ in 0..count {
            varint::encode(len as u64, &mut bytes).unwrap();
            bytes.put_bytes(b'x', len);
        }
        bytes
    };
    accepts::<InfoPlease>(&parts(MAX_PARTS, MAX_BYTES / MAX_PARTS), dialect);
    accepts::<InfoPlease>(&parts(1, MAX_BYTES), dialect);
    assert_eq!(
        refusal::<InfoPlease>(&parts(MAX_PARTS + 1, 0), dialect),
        Code::BOUNDS_EXCEEDED
    );
    assert_eq!(
        refusal::<InfoPlease>(&parts(1, MAX_BYTES + 1), dialect),
        Code::BOUNDS_EXCEEDED
    );
    assert_eq!(
        refusal::<InfoPlease>(&parts(2, MAX_BYTES / 2 + 1), dialect),
        Code::BOUNDS_EXCEEDED
    );
    // Together too long is known before the last part has arrived.
    let mut cut = parts(2, MAX_BYTES / 2 + 1);
    cut.truncate(cut.len() - MAX_BYTES / 2 - 1);
    assert_eq!(refusal::<InfoPlease>(&cut, dialect), Code::BOUNDS_EXCEEDED);
}

#[test]
fn a_path_as_one_string_is_accepted_up_to_its_limits() {
    let dialect = Dialect::Fork04s;
    let text = |text: &str| {
        let mut bytes = wire(&[text.len() as u64]);
        bytes.put_slice(text.as_bytes());
        bytes
    };
    let longest = [
        ["x"; MAX_PARTS - 1].join("/"),
        "x".repeat(MAX_BYTES - MAX_PARTS + 1),
    ]
    .join("/");
    assert_eq!(longest.len(), MAX_TEXT_BYTES);
    accepts::<InfoPlease>(&text(&longest), dialect);
    let longer = "x".repeat(MAX_TEXT_BYTES + 1);
    assert_eq!(
        refusal::<InfoPlease>(&text(&longer), dialect),
        Code::BOUNDS_EXCEEDED
    );
    let one_part = "x".repeat(MAX_BYTES + 1);
    assert_eq!(
        refusal::<InfoPlease>(&text(&one_part), dialect),
        Code::BOUNDS_EXCEEDED
    );
    let slashes = "/".repeat(MAX_PARTS);
    assert_eq!(
        refusal::<InfoPlease>(&text(&slashes), dialect),
        Code::BOUNDS_EXCEEDED
    );
    assert_eq!(
        refusal::<AnnouncePlease>(&wire(&[2000]), dialect),
        Code::BOUNDS_EXCEEDED
    );
}

#[test]
fn setup_is_accepted_up_to_its_limits() {
    let dialect = Dialect::Draft03;
    let client = |versions, extensions, bytes| SessionClient {
        versions: vec![1; versions],
        extensions: Extensions(
            (0..extensions)
                .map(|id| (id as u64, zeros(bytes)))
                .collect(),
        ),
    };
    let limits = [
        client(MAX_VERSIONS, 0, 0),
        client(0, MAX_EXTENSIONS, MAX_EXTENSION_BYTES / MAX_EXTENSIONS),
        client(0, 1, MAX_EXTENSION_BYTES),
    ];
    for client in limits {
        accepts::<SessionClient>(&client.to_bytes(dialect).unwrap(), dialect);
    }
    let beyond = [
        client(MAX_VERSIONS + 1, 0, 0),
        client(0, MAX_EXTENSIONS + 1, 0),
        client(0, 1, MAX_EXTENSION_BYTES + 1),
        client(0, 2, MAX_EXTENSION_BYTES / 2 + 1),
    ];
    for client in beyond {
        assert!(matches!(
            client.to_bytes(dialect),
            Err(EncodeError::Limit { .. })
        ));
    }
    let versions = wire(&[MAX_VERSIONS as u64 + 1]);
    assert_eq!(
        refusal::<SessionClient>(&versions, dialect),
        Code::BOUNDS_EXCEEDED
    );
    let extensions = wire(&[0, MAX_EXTENSIONS as u64 + 1]);
    assert_eq!(
        refusal::<SessionClient>(&extensions, dialect),
        Code::BOUNDS_EXCEEDED
    );
    let longest = wire(&[0, 1, 9, MAX_EXTENSION_BYTES as u64]);
    waits::<SessionClient>(&longest, dialect);
    let longer = wire(&[0, 1, 9, MAX_EXTENSION_BYTES as u64 + 1]);
    assert_eq!(
        refusal::<SessionClient>(&longer, dialect),
        Code::BOUNDS_EXCEEDED
    );
}

fn zeros(len: usize) -> Bytes {
    Bytes::from(vec![0; len])
}

#[test]
fn extensions_are_unique() {
    let twice = wire(&[0, 2, 9, 0, 9, 0]);
    assert_eq!(
        refusal::<SessionClient>(&twice, Dialect::Fork02),
        Code::DUPLICATE
    );
}

#[test]
fn a_whole_message_has_a_limit_of_its_own() {
    use moq_transfork::coding::{Field, Limit};

    const ENDLESS: &[Field] = &[Field::List {
        items: Limit {
            name: "items",
            max: usize::MAX,
        },
        bytes: Limit {
            name: "bytes",
            max: usize::MAX,
        },
        of: &[Field::Varint],
    }];
    let mut scanner = Scanner::new(ENDLESS);
    assert_eq!(scanner.scan(&wire(&[varint::MAX])), Ok(None));
    let chunk = [0; 1000];
    let refused = (0..100)
        .position(|_| scanner.scan(&chunk).is_err())
        .unwrap();
    assert_eq!(refused, MAX_MESSAGE_BYTES / 1000);
}

#[test]
fn a_track_has_a_name() {
    for dialect in Dialect::ALL {
        assert_eq!(
            InfoPlease::decode_slice(&[0], dialect).unwrap_err(),
            DecodeError::Path(PathError::Empty)
        );
    }
}

#[test]
fn meaningless_numbers_are_refused() {
    for dialect in Dialect::ALL {
        assert_eq!(refusal::<Announce>(&[3, 0], dialect), Code::DECODE);
        let orders = if dialect == Dialect::Draft03 { 3 } else { 2 };
        let update = wire(&[1, orders, 0, 0, 0]);
        assert_eq!(refusal::<SubscribeUpdate>(&update, dialect), Code::DECODE);
    }
}

#[test]
fn strings_are_utf8() {
    assert_eq!(
        refusal::<InfoPlease>(&[1, 1, 0xff], Dialect::Draft03),
        Code::DECODE
    );
    assert_eq!(
        refusal::<InfoPlease>(&[1, 0xff], Dialect::Fork04s),
        Code::DECODE
    );
    assert_eq!(
        refusal::<AnnouncePlease>(&[1, 0xff], Dialect::Fork04s),
        Code::DECODE
    );
}

/// The scan of any split finds the same end, and decoding takes exactly that.
fn never_panics<M: Message + Debug>(bytes: &[u8], cut: usize) {
    for dialect in Dialect::ALL {
        let whole = Scanner::new(M::fields(dialect)).scan(bytes);
        let cut = cut.min(bytes.len());
        let mut scanner = Scanner::new(M::fields(dialect));
        let split = match scanner.scan(&bytes[..cut]) {
            Ok(None) => scanner
                .scan(&bytes[cut..])
                .map(|end| end.map(|end| cut + end)),
            done => done,
        };
        assert_eq!(whole, split);
        match (whole, M::decode_slice(bytes, dialect)) {
            (Ok(None), Err(DecodeError::Incomplete)) => {}
            (Ok(Some(end)), Ok((_, len))) => assert_eq!(end, len),
            (Ok(Some(_)), Err(error)) => assert_ne!(error, DecodeError::Incomplete),
            (Err(expected), Err(error)) => assert_eq!(expected, error),
            (scanned, decoded) => panic!("scanned {scanned:?}, decoded {decoded:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_never_panic(
        bytes in proptest::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..60),
        cut in 0usize..60,
    ) {
        never_panics::<SessionClient>(&bytes, cut);
        never_panics::<SessionServer>(&bytes, cut);
        never_panics::<SessionUpdate>(&bytes, cut);
        never_panics::<StreamType>(&bytes, cut);
        never_panics::<UniType>(&bytes, cut);
        never_panics::<AnnouncePlease>(&bytes, cut);
        never_panics::<Announce>(&bytes, cut);
        never_panics::<Subscribe>(&bytes, cut);
        never_panics::<SubscribeUpdate>(&bytes, cut);
        never_panics::<SubscribeGap>(&bytes, cut);
        never_panics::<Info>(&bytes, cut);
        never_panics::<InfoPlease>(&bytes, cut);
        never_panics::<Fetch>(&bytes, cut);
        never_panics::<FetchUpdate>(&bytes, cut);
        never_panics::<GroupHeader>(&bytes, cut);
    }
}
