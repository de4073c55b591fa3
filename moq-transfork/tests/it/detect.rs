//! Telling apart the two dialects that share a version number.

use moq_transfork::detect::{Detected, MAX_PENDING, MAX_PENDING_BYTES, Probe};
use moq_transfork::message::Announce;
use moq_transfork::stream::{Request, StreamError};
use moq_transfork::wt::Session as _;
use moq_transfork::{Code, Dialect, Filter};

use crate::path::path;
use crate::pipe::{Pipe, Session, pair, poll, run};

/// A probe, the peer, and the stream on which the peer answers us.
fn start() -> (Probe<Session>, Session, Pipe) {
    let (peer, ours) = pair();
    let probe = run(Probe::start(&ours)).unwrap();
    let (replies, sent) = peer.take_pipes().unwrap();
    assert_eq!(sent.seen().written, [1, 0]);
    (probe, peer, replies)
}

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(' ', "")).unwrap()
}

/// What a peer's stream tells, which arrives byte by byte.
fn asked(hex: &str) -> Option<Dialect> {
    let (mut probe, peer, _replies) = start();
    let (sent, _) = peer.open_pipes();
    judged(&mut probe, &sent, hex)
}

fn answered(hex: &str) -> Option<Dialect> {
    let (mut probe, _peer, replies) = start();
    judged(&mut probe, &replies, hex)
}

fn judged(probe: &mut Probe<Session>, pipe: &Pipe, hex: &str) -> Option<Dialect> {
    let mut verdict = None;
    for byte in bytes(hex) {
        pipe.feed(&[byte]);
        (0..3).for_each(|_| verdict = poll(probe.dialect()).map(Result::unwrap));
    }
    verdict
}

#[test]
fn what_published_clients_send_tells_their_dialect() {
    let clock = "636c6f636b";
    assert_eq!(
        answered(&format!("01 01 05{clock} 02")),
        Some(Dialect::Fork04)
    );
    assert_eq!(
        answered(&format!("01 05{clock} 02")),
        Some(Dialect::Fork04s)
    );
    assert_eq!(
        asked(&format!("02 00 01 05{clock} 80 01 00 00")),
        Some(Dialect::Fork04)
    );
    assert_eq!(
        asked(&format!("02 00 05{clock} 80 01 00 00")),
        Some(Dialect::Fork04s)
    );
    assert_eq!(asked("04 01 01 74"), Some(Dialect::Fork04));
    assert_eq!(asked("03 07 2f64656d6f2f61"), Some(Dialect::Fork04s));
    assert_eq!(asked("01 02 0464656d6f 03626262"), Some(Dialect::Fork04));
    assert_eq!(asked("01 07 2f64656d6f2f2a"), Some(Dialect::Fork04s));
    assert_eq!(asked("01 06 2a2e6b617270"), Some(Dialect::Fork04s));
    assert_eq!(asked("01 09 2f64656d6f2f626262"), Some(Dialect::Fork04s));
}

#[test]
fn real_paths_tell_the_dialect_in_both_forms() {
    let tracks = [
        "0",
        "a",
        "a/b",
        "demo/bbb/1700000000000/video1",
        "internal/origins/host:443",
    ];
    for track in tracks {
        for dialect in [Dialect::Fork04, Dialect::Fork04s] {
            let announce = Announce::Active(path(track));
            let reply = moq_transfork::coding::Message::to_bytes(&announce, dialect).unwrap();
            assert_eq!(answered(&hex::encode(reply)), Some(dialect), "{track}");
        }
    }
}

#[test]
fn what_is_the_same_in_both_tells_nothing() {
    assert_eq!(answered("02"), None);
    assert_eq!(asked("01 00"), None);
    assert_eq!(asked(""), None);
}

#[test]
fn a_hint_may_come_after_streams_that_are_none() {
    let (mut probe, peer, replies) = start();
    let (first, _) = peer.open_pipes();
    first.feed(&[1, 0]);
    replies.feed(&[2]);
    (0..5).for_each(|_| assert!(poll(probe.dialect()).is_none()));
    let (second, _) = peer.open_pipes();
    second.feed(&bytes("02 00 05636c6f636b 80 01 00 00"));
    assert_eq!(run(probe.dialect()), Ok(Dialect::Fork04s));

    let Detected {
        dialect,
        announce: (_request, mut reader),
        pending,
    } = probe.finish(Dialect::Fork04s);
    assert_eq!(dialect, Dialect::Fork04s);
    assert_eq!(run(reader.next()), Ok(Some(Announce::Live)));
    let mut requests = pending
        .into_iter()
        .map(|pending| run(pending.accept()).unwrap());
    let Some(Request::Announce(please, ..)) = requests.next() else {
        panic!("no announce")
    };
    assert_eq!(please.filter, Filter::any());
    let Some(Request::Subscribe(subscribe, ..)) = requests.next() else {
        panic!("no subscribe")
    };
    assert_eq!(subscribe.path, path("clock"));
    assert!(requests.next().is_none());
}

#[test]
fn nothing_is_lost_when_time_runs_out() {
    let (mut probe, peer, replies) = start();
    let (sent, _) = peer.open_pipes();
    sent.feed(&[2, 0]);
    replies.feed(&[2, 1]);
    (0..5).for_each(|_| assert!(poll(probe.dialect()).is_none()));
    let Detected {
        announce: (_request, mut reader),
        mut pending,
        ..
    } = probe.finish(Dialect::Fork04);
    replies.feed(&bytes("01 05636c6f636b"));
    sent.feed(&bytes("01 05636c6f636b 80 01 00 00"));
    assert_eq!(run(reader.next()), Ok(Some(Announce::Live)));
    assert_eq!(
        run(reader.next()),
        Ok(Some(Announce::Active(path("clock"))))
    );
    let Request::Subscribe(subscribe, ..) = run(pending.remove(0).accept()).unwrap() else {
        panic!("no subscribe");
    };
    assert_eq!(subscribe.path, path("clock"));
}

#[test]
fn an_announce_stream_that_fails_meanwhile_fails_afterwards() {
    let (mut probe, _peer, replies) = start();
    replies.state().reset = Some(15);
    (0..5).for_each(|_| assert!(poll(probe.dialect()).is_none()));
    let (_request, mut reader) = probe.finish(Dialect::Fork04).announce;
    assert_eq!(
        run(reader.next()),
        Err(StreamError::Reset(Code::PROTOCOL_VIOLATION))
    );
}

#[test]
fn what_is_held_is_bounded() {
    let (mut probe, peer, _replies) = start();
    let pipes: Vec<_> = (0..MAX_PENDING + 5).map(|_| peer.open_pipes().0).collect();
    pipes[0].feed(&[1, 0]);
    (0..100).for_each(|_| assert!(poll(probe.dialect()).is_none()));
    assert_eq!(probe.finish(Dialect::Fork04).pending.len(), MAX_PENDING);
}

#[test]
fn what_is_held_of_one_stream_is_bounded() {
    let (mut probe, _peer, replies) = start();
    replies.state().chop = 3000;
    replies.feed(&[2; 2 * MAX_PENDING_BYTES]);
    (0..100).for_each(|_| assert!(poll(probe.dialect()).is_none()));
    assert_eq!(replies.seen().unread.len(), MAX_PENDING_BYTES);
}

#[test]
fn a_session_that_ends_meanwhile_is_an_error() {
    let (mut probe, peer, _replies) = start();
    peer.close(7, "bye");
    let error = run(probe.dialect()).unwrap_err();
    assert_eq!(
        error,
        StreamError::Session {
            code: Code(7),
            reason: "bye".into()
        }
    );
}
