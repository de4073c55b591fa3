//! Numbers and words that others depend on, each pinned.

use std::str::FromStr;
use std::time::Duration;

use moq_transfork::coding::{DecodeError, EncodeError, Message};
use moq_transfork::dialect::alpn;
use moq_transfork::message::{
    Announce, Fetch, FetchUpdate, GroupOrder, Info, InfoPlease, Priority, SessionUpdate,
    StreamType, Subscribe, SubscribeUpdate,
};
use moq_transfork::path::PathError;
use moq_transfork::stream::StreamError;
use moq_transfork::{Code, Dialect, Path};

use crate::path::path;

const FORKS: [Dialect; 3] = [Dialect::Fork02, Dialect::Fork04, Dialect::Fork04s];

#[test]
fn codes_have_their_numbers_and_names() {
    let codes = [
        (Code::CANCEL, 0, "cancel (0)"),
        (Code::REQUIRED_EXTENSION, 1, "required extension (1)"),
        (Code::EXPIRED, 2, "expired (2)"),
        (Code::TIMEOUT, 3, "timeout (3)"),
        (Code::TRANSPORT, 4, "transport (4)"),
        (Code::DECODE, 5, "decode (5)"),
        (Code::UNAUTHORIZED, 6, "unauthorized (6)"),
        (Code::TOO_MANY, 7, "too many requests (7)"),
        (Code::VERSION, 9, "version (9)"),
        (Code::UNEXPECTED_STREAM, 10, "unexpected stream (10)"),
        (Code::BOUNDS_EXCEEDED, 11, "bounds exceeded (11)"),
        (Code::DUPLICATE, 12, "duplicate (12)"),
        (Code::NOT_FOUND, 13, "not found (13)"),
        (Code::WRONG_SIZE, 14, "wrong size (14)"),
        (Code::PROTOCOL_VIOLATION, 15, "protocol violation (15)"),
        (Code::DROPPED, 24, "dropped (24)"),
        (Code::EVICTED, 31, "evicted (31)"),
        (Code(8), 8, "unknown (8)"),
        (Code::app(13), 77, "application 13 (77)"),
        (
            Code::app(u32::MAX),
            u32::MAX,
            "application 4294967231 (4294967295)",
        ),
    ];
    for (code, number, text) in codes {
        assert_eq!((code.0, code.to_string().as_str()), (number, text));
    }
}

#[test]
fn dialects_have_their_versions_and_names() {
    let dialects = [
        (Dialect::Draft03, 0xff0bad03, "draft03"),
        (Dialect::Fork02, 0xff0bad02, "fork02"),
        (Dialect::Fork04, 0xff0bad04, "fork04"),
        (Dialect::Fork04s, 0xff0bad04, "fork04s"),
    ];
    for (dialect, version, name) in dialects {
        assert_eq!(
            (dialect.version(), dialect.to_string().as_str()),
            (version, name)
        );
        assert_eq!(Dialect::from_str(name), Ok(dialect));
        assert!(Dialect::ALL.contains(&dialect));
    }
    assert!(Dialect::from_str("fork03").is_err());
    assert_eq!((alpn::DRAFT03, alpn::FORK), ("moq-transfork-03", "moqf-02"));
}

#[test]
fn dialects_have_their_abilities() {
    let abilities = |dialect: Dialect| {
        let updates = (dialect.has_session_update(), dialect.has_subscribe_update());
        (
            dialect.has_live(),
            dialect.has_expires(),
            dialect.has_fetch(),
            updates,
        )
    };
    assert_eq!(
        abilities(Dialect::Draft03),
        (true, true, true, (true, true))
    );
    assert_eq!(
        abilities(Dialect::Fork02),
        (false, true, false, (false, false))
    );
    assert_eq!(
        abilities(Dialect::Fork04),
        (true, false, false, (false, false))
    );
    assert_eq!(
        abilities(Dialect::Fork04s),
        (true, false, false, (false, false))
    );
    assert!(Dialect::ALL.iter().all(|dialect| dialect.has_gap()));
}

#[test]
fn what_peers_do_not_survive_is_never_written() {
    for dialect in FORKS {
        let update = SessionUpdate { bitrate: 1 }.to_bytes(dialect);
        assert!(matches!(update, Err(EncodeError::Unsupported { .. })));
        let update = FetchUpdate {
            priority: Priority::NEUTRAL,
        }
        .to_bytes(dialect);
        assert!(matches!(update, Err(EncodeError::Unsupported { .. })));
    }
    let live = Announce::Live.to_bytes(Dialect::Fork02);
    assert!(matches!(live, Err(EncodeError::Unsupported { .. })));
    let fetch = fetch().to_bytes(Dialect::Fork04s);
    assert!(matches!(fetch, Err(EncodeError::Unsupported { .. })));
}

fn fetch() -> Fetch {
    Fetch {
        path: path("a"),
        priority: Priority::NEUTRAL,
        group: 300,
        frame: 2,
    }
}

#[test]
fn the_draft_writes_what_no_published_crate_does() {
    let hex = |message: Result<bytes::Bytes, EncodeError>| hex::encode(message.unwrap());
    let draft = Dialect::Draft03;
    let path = path("demo/video");
    let info = Info {
        priority: Priority::new(300),
        order: GroupOrder::Descending,
        expires: Duration::from_millis(1500),
        latest: 70_000,
    };
    assert_eq!(
        hex(info.to_bytes(draft)),
        "412c80011170".to_owned() + "0245dc"
    );
    let subscribe = Subscribe {
        id: 7,
        path: path.clone(),
        priority: Priority::NEUTRAL,
        order: GroupOrder::Default,
        expires: Duration::ZERO,
        min: Some(4),
        max: None,
    };
    assert_eq!(
        hex(subscribe.to_bytes(draft)),
        "07020464656d6f05766964656f40800000".to_owned() + "0500"
    );
    assert_eq!(
        hex(InfoPlease { path }.to_bytes(draft)),
        "020464656d6f05766964656f"
    );
    assert_eq!(hex(fetch().to_bytes(draft)), "0101614080412c02");
    assert_eq!(
        hex(FetchUpdate {
            priority: Priority::new(1)
        }
        .to_bytes(draft)),
        "01"
    );
    assert_eq!(
        hex(SessionUpdate { bitrate: 1_000_000 }.to_bytes(draft)),
        "800f4240"
    );
    assert_eq!(hex(Announce::Live.to_bytes(draft)), "02");
}

#[test]
fn stream_types_differ_where_fetch_is_gone() {
    let read = |byte, dialect| StreamType::decode_slice(&[byte], dialect).unwrap().0;
    for dialect in [Dialect::Draft03, Dialect::Fork02, Dialect::Fork04] {
        assert_eq!(read(3, dialect), StreamType::Fetch);
        assert_eq!(read(4, dialect), StreamType::Info);
        assert_eq!(read(5, dialect), StreamType::Unknown(5));
    }
    assert_eq!(read(3, Dialect::Fork04s), StreamType::Info);
    assert_eq!(read(4, Dialect::Fork04s), StreamType::Unknown(4));
    assert_eq!(StreamType::Fetch.number(Dialect::Fork04s), None);
    assert_eq!(StreamType::Info.number(Dialect::Fork04s), Some(3));
}

#[test]
fn what_a_dialect_cannot_say_becomes_the_nearest_it_can() {
    let info = Info {
        priority: Priority::new(1000),
        order: GroupOrder::Default,
        expires: Duration::from_millis(5),
        latest: 1,
    };
    let nearest = Info {
        priority: Priority::new(255),
        order: GroupOrder::Descending,
        expires: Duration::ZERO,
        latest: 1,
    };
    let bytes = info.to_bytes(Dialect::Fork04).unwrap();
    assert_eq!(
        Info::decode_slice(&bytes, Dialect::Fork04).unwrap().0,
        nearest
    );
}

#[test]
fn a_short_expiry_does_not_become_none() {
    let info = Info {
        expires: Duration::from_nanos(1),
        ..Info::default()
    };
    let bytes = info.to_bytes(Dialect::Fork02).unwrap();
    let decoded = Info::decode_slice(&bytes, Dialect::Fork02).unwrap().0;
    assert_eq!(decoded.expires, Duration::from_millis(1));
    assert!(
        Info {
            expires: Duration::MAX,
            ..info
        }
        .to_bytes(Dialect::Fork02)
        .is_ok()
    );
}

#[test]
fn priorities_keep_their_order_in_one_byte() {
    let on_wire = |value| {
        Info {
            priority: Priority::new(value),
            ..Info::default()
        }
        .to_bytes(Dialect::Fork02)
        .unwrap()[0]
    };
    assert_eq!(
        [0, 128, 255, 256, u64::MAX].map(on_wire),
        [0, 128, 255, 255, 255]
    );
    assert_eq!(Priority::default(), Priority::from(128));
    assert_eq!(Priority::new(u64::MAX), Priority::MAX);
}

#[test]
fn numbers_that_do_not_fit_are_errors_not_panics() {
    let update = SessionUpdate { bitrate: 1 << 62 };
    assert_eq!(
        update.to_bytes(Dialect::Draft03),
        Err(EncodeError::Number(1 << 62))
    );
    let update = SubscribeUpdate {
        max: Some(u64::MAX),
        ..SubscribeUpdate::default()
    };
    assert!(matches!(
        update.to_bytes(Dialect::Draft03),
        Err(EncodeError::Number(_))
    ));
    let empty = InfoPlease {
        path: Path::default(),
    };
    let error = empty.to_bytes(Dialect::Draft03).unwrap_err();
    assert_eq!(
        (&error, error.code()),
        (&EncodeError::Path(PathError::Empty), Code::NOT_FOUND)
    );
}

#[test]
fn errors_have_their_codes() {
    let limit = DecodeError::Limit {
        name: "path",
        max: 1,
    };
    let invalid = DecodeError::Invalid {
        name: "order",
        value: 7,
    };
    let decode = [
        (DecodeError::Incomplete, Code::WRONG_SIZE),
        (limit, Code::BOUNDS_EXCEEDED),
        (invalid, Code::DECODE),
        (DecodeError::Utf8, Code::DECODE),
        (
            DecodeError::Path(PathError::TooManyParts),
            Code::BOUNDS_EXCEEDED,
        ),
        (DecodeError::Path(PathError::TooLong), Code::BOUNDS_EXCEEDED),
        (DecodeError::Path(PathError::Empty), Code::DECODE),
        (DecodeError::Path(PathError::Text), Code::DECODE),
        (
            DecodeError::Duplicate { name: "extension" },
            Code::DUPLICATE,
        ),
    ];
    for (error, code) in decode {
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(StreamError::Decode(error).code(), code);
    }
    let session = StreamError::Session {
        code: Code(77),
        reason: "bye".into(),
    };
    let stream = [
        (StreamError::Truncated, Code::WRONG_SIZE),
        (StreamError::Trailing, Code::PROTOCOL_VIOLATION),
        (StreamError::UnexpectedStream(9), Code::UNEXPECTED_STREAM),
        (StreamError::Reset(Code(31)), Code::EVICTED),
        (session, Code(77)),
        (StreamError::Transport("lost".into()), Code::TRANSPORT),
        (
            StreamError::Encode(EncodeError::Number(1 << 62)),
            Code::BOUNDS_EXCEEDED,
        ),
    ];
    for (error, code) in stream {
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(
            error.closes_session(),
            matches!(error, StreamError::UnexpectedStream(_))
        );
    }
}
