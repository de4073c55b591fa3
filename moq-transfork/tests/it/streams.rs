//! Every kind of stream, from both ends.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join;
use moq_transfork::coding::{EncodeError, Message};
use moq_transfork::message::{
    Announce, Fetch, FetchUpdate, GroupOrder, Info, InfoPlease, Priority, Subscribe, SubscribeGap,
    SubscribeUpdate,
};
use moq_transfork::stream::{
    GroupReader, GroupWriter, Reader, Request, StreamError, Writer, announce, fetch, info,
    subscribe,
};
use moq_transfork::wt::Session as _;
use moq_transfork::{Code, Dialect, Filter, Path};

use crate::path::path;
use crate::pipe::{Pipe, Session, pair, poll, run};

const FORKS: [Dialect; 3] = [Dialect::Fork02, Dialect::Fork04, Dialect::Fork04s];

fn accept(session: &Session, dialect: Dialect) -> Result<Request<Session>, StreamError> {
    run(async {
        let (send, recv) = session.accept_bi().await.unwrap();
        Request::accept(send, recv, dialect).await
    })
}

fn subscription(dialect: Dialect) -> Subscribe {
    let expires = if dialect.has_expires() {
        Duration::from_secs(2)
    } else {
        Duration::ZERO
    };
    Subscribe {
        id: 7,
        path: path("demo/video"),
        priority: Priority::new(200),
        order: GroupOrder::Descending,
        expires,
        min: Some(3),
        max: None,
    }
}

#[test]
fn announcements_travel_relative_to_the_filter_and_arrive_in_full() {
    for dialect in Dialect::ALL {
        let (client, server) = pair();
        let filter = Filter::Prefix(path("demo"));
        let (mut request, mut reader) = run(announce(&client, dialect, filter)).unwrap();
        let Ok(Request::Announce(_, mut writer, mut end)) = accept(&server, dialect) else {
            panic!("no announce in {dialect}");
        };
        run(writer.active(&path("demo/a"))).unwrap();
        run(writer.active(&path("other/b"))).unwrap();
        run(writer.live()).unwrap();
        run(writer.ended(&path("demo/a"))).unwrap();
        let mut expected = vec![Announce::Active(path("demo/a"))];
        expected.extend(dialect.has_live().then_some(Announce::Live));
        expected.push(Announce::Ended(path("demo/a")));
        for announce in expected {
            assert_eq!(run(reader.next()), Ok(Some(announce)), "{dialect}");
        }
        assert!(poll(reader.next()).is_none());
        assert!(poll(end.closed()).is_none());
        request.finish().unwrap();
        assert_eq!(run(end.closed()), Ok(()));
        writer.finish().unwrap();
        assert_eq!(run(reader.next()), Ok(None));
    }
}

#[test]
fn queued_announcements_are_one_write() {
    let (client, server) = pair();
    let (_request, mut reader) = run(announce(&client, Dialect::Fork04s, Filter::any())).unwrap();
    let (send, recv) = server.take_pipes().unwrap();
    let request = run(Request::<Session>::accept(
        send.send(),
        recv.recv(),
        Dialect::Fork04s,
    ));
    let Ok(Request::Announce(_, mut writer, _end)) = request else {
        panic!("no announce")
    };
    (0..1000).for_each(|id: u64| writer.queue_active(&path(&format!("a/{id}"))));
    // One string cannot say these: they are left out, all of them and nothing else.
    writer.queue_active(&Path::new(["a/b"]).unwrap());
    writer.queue_active(&Path::new([""]).unwrap());
    writer.queue_live();
    assert!(writer.queued() > 5000);
    run(writer.flush()).unwrap();
    assert_eq!((send.seen().writes, writer.queued()), (1, 0));
    for id in 0..1000 {
        let expected = Announce::Active(path(&format!("a/{id}")));
        assert_eq!(run(reader.next()), Ok(Some(expected)));
    }
    assert_eq!(run(reader.next()), Ok(Some(Announce::Live)));
}

#[test]
fn a_pattern_is_narrowed_here_where_the_peer_cannot() {
    let (client, server) = pair();
    let filter: Filter = "demo/*.karp".parse().unwrap();
    let (_request, mut reader) = run(announce(&client, Dialect::Fork04, filter)).unwrap();
    let Ok(Request::Announce(please, mut writer, _end)) = accept(&server, Dialect::Fork04) else {
        panic!("no announce");
    };
    assert_eq!(please.filter, Filter::Prefix(path("demo")));
    run(writer.active(&path("demo/a.mp4"))).unwrap();
    run(writer.active(&path("demo/b.karp"))).unwrap();
    assert_eq!(
        run(reader.next()),
        Ok(Some(Announce::Active(path("demo/b.karp"))))
    );
}

#[test]
fn an_announcement_of_no_track_is_refused() {
    let (client, server) = pair();
    let (_request, mut reader) = run(announce(&client, Dialect::Draft03, Filter::any())).unwrap();
    let (replies, _) = server.take_pipes().unwrap();
    replies.feed(&[1, 0]);
    assert_eq!(run(reader.next()).unwrap_err().code(), Code::DECODE);
}

#[test]
fn a_subscription_has_an_answer_gaps_and_an_end() {
    for dialect in Dialect::ALL {
        let (client, server) = pair();
        let wanted = subscription(dialect);
        let (mut request, mut replies) = run(subscribe(&client, dialect, &wanted)).unwrap();
        let Ok(Request::Subscribe(asked, mut writer, mut reader)) = accept(&server, dialect) else {
            panic!("no subscribe in {dialect}");
        };
        assert_eq!(asked, wanted);
        let answer = Info {
            order: GroupOrder::Ascending,
            latest: 9,
            ..Info::default()
        };
        run(writer.info(&answer)).unwrap();
        assert_eq!(run(replies.info()), Ok(answer));
        let gap = SubscribeGap {
            start: 4,
            count: 1,
            code: Code::EXPIRED,
        };
        run(writer.gap(&gap)).unwrap();
        assert_eq!(run(replies.gap()), Ok(Some(gap)));
        assert!(poll(reader.update()).is_none());
        request.finish().unwrap();
        assert_eq!(run(reader.update()), Ok(None));
        writer.finish().unwrap();
        assert_eq!(run(replies.gap()), Ok(None));
    }
}

#[test]
fn an_update_goes_to_those_who_act_on_it() {
    let update = SubscribeUpdate {
        min: Some(8),
        ..SubscribeUpdate::default()
    };
    for dialect in Dialect::ALL {
        let (client, server) = pair();
        let (mut request, _replies) =
            run(subscribe(&client, dialect, &subscription(dialect))).unwrap();
        let Ok(Request::Subscribe(_, _writer, mut reader)) = accept(&server, dialect) else {
            panic!("no subscribe");
        };
        run(request.update(&update)).unwrap();
        request.finish().unwrap();
        let expected = (dialect == Dialect::Draft03).then_some(update);
        assert_eq!(run(reader.update()), Ok(expected));
    }
}

#[test]
fn a_refused_subscription_is_a_reset() {
    let (client, server) = pair();
    let wanted = subscription(Dialect::Fork02);
    let (_request, mut replies) = run(subscribe(&client, Dialect::Fork02, &wanted)).unwrap();
    let Ok(Request::Subscribe(_, writer, _reader)) = accept(&server, Dialect::Fork02) else {
        panic!("no subscribe");
    };
    writer.abort(Code::NOT_FOUND);
    assert_eq!(
        run(replies.info()),
        Err(StreamError::Reset(Code::NOT_FOUND))
    );
}

#[test]
fn a_track_can_be_asked_about() {
    for dialect in Dialect::ALL {
        let (client, server) = pair();
        let please = InfoPlease {
            path: path("demo/video"),
        };
        let answer = Info {
            order: GroupOrder::Ascending,
            latest: 300,
            ..Info::default()
        };
        let serve = async {
            let (send, recv) = server.accept_bi().await.unwrap();
            let Ok(Request::Info(asked, writer)) =
                Request::<Session>::accept(send, recv, dialect).await
            else {
                panic!("no info");
            };
            assert_eq!(asked, please);
            writer.reply(&answer).await.unwrap();
        };
        let (answered, ()) = run(join(info(&client, dialect, &please), serve));
        assert_eq!(answered, Ok(answer), "{dialect}");
    }
}

#[test]
fn a_group_can_be_fetched() {
    let (client, server) = pair();
    let wanted = Fetch {
        path: path("a"),
        priority: Priority::NEUTRAL,
        group: 5,
        frame: 2,
    };
    let (mut request, mut group) = run(fetch(&client, Dialect::Draft03, &wanted)).unwrap();
    let Ok(Request::Fetch(asked, mut writer, mut reader)) = accept(&server, Dialect::Draft03)
    else {
        panic!("no fetch");
    };
    assert_eq!(asked, wanted);
    let update = FetchUpdate {
        priority: Priority::MAX,
    };
    run(request.update(&update)).unwrap();
    assert_eq!(run(reader.update()), Ok(Some(update)));
    run(writer.write(Bytes::from_static(b"\x05hello"))).unwrap();
    writer.finish().unwrap();
    assert_eq!(
        run(group.read(100)),
        Ok(Some(Bytes::from_static(b"\x05hello")))
    );
    assert_eq!(run(group.read(100)), Ok(None));
    request.finish().unwrap();
    assert_eq!(run(reader.update()), Ok(None));
}

#[test]
fn no_fork_is_sent_a_fetch() {
    let wanted = Fetch {
        path: path("a"),
        priority: Priority::NEUTRAL,
        group: 5,
        frame: 2,
    };
    for dialect in FORKS {
        let (client, server) = pair();
        let error = run(fetch(&client, dialect, &wanted)).err().unwrap();
        assert!(matches!(
            error,
            StreamError::Encode(EncodeError::Unsupported { .. })
        ));
        assert!(server.take_pipes().is_none(), "a stream was opened");
    }
}

#[test]
fn what_cannot_be_said_opens_no_stream() {
    let (client, server) = pair();
    let please = InfoPlease {
        path: Path::new(["a/b"]).unwrap(),
    };
    let error = run(info(&client, Dialect::Fork04s, &please)).unwrap_err();
    assert_eq!(error.code(), Code::NOT_FOUND);
    assert!(server.take_pipes().is_none(), "a stream was opened");
}

#[test]
fn a_stop_reaches_the_writer() {
    let pipe = Pipe::default();
    let mut writer = Writer::new(pipe.send(), Dialect::Draft03);
    assert!(poll(writer.closed()).is_none());
    pipe.state().stopped = Some(13);
    assert_eq!(
        run(writer.closed()),
        Err(StreamError::Reset(Code::NOT_FOUND))
    );
    let written = run(writer.write(Bytes::from_static(b"x")));
    assert_eq!(written, Err(StreamError::Reset(Code::NOT_FOUND)));
}

#[test]
fn a_message_that_is_none_stops_the_stream_and_is_told_again() {
    let pipe = Pipe::default();
    pipe.feed(&[1, 7, 0, 0]);
    let mut reader = Reader::new(pipe.recv(), Dialect::Draft03);
    let first = run(reader.decode_maybe::<SubscribeUpdate>());
    assert_eq!(first.clone().unwrap_err().code(), Code::DECODE);
    assert_eq!(pipe.seen().stopped, Some(Code::DECODE.0));
    assert_eq!(run(reader.decode_maybe::<SubscribeUpdate>()), first);
}

#[test]
fn data_after_a_complete_request_is_refused() {
    let (client, server) = pair();
    let (sent, _) = client.open_pipes();
    sent.feed(&[1, 0, 9]);
    let Ok(Request::Announce(_, _writer, mut end)) = accept(&server, Dialect::Draft03) else {
        panic!("no announce");
    };
    assert_eq!(run(end.closed()), Err(StreamError::Trailing));
    assert_eq!(sent.seen().stopped, Some(Code::PROTOCOL_VIOLATION.0));
}

#[test]
fn an_unknown_stream_ends_the_session() {
    for (dialect, kind) in [
        (Dialect::Draft03, 5),
        (Dialect::Fork04s, 4),
        (Dialect::Fork02, 0),
    ] {
        let (client, server) = pair();
        let (sent, replies) = client.open_pipes();
        sent.feed(&[kind, 0]);
        let error = accept(&server, dialect).err().unwrap();
        assert_eq!(error, StreamError::UnexpectedStream(kind.into()));
        assert!(error.closes_session());
        assert_eq!(sent.seen().stopped, Some(Code::UNEXPECTED_STREAM.0));
        assert_eq!(replies.seen().reset, Some(Code::UNEXPECTED_STREAM.0));
    }
    let pipe = Pipe::default();
    pipe.feed(&[1]);
    let error = run(GroupReader::<Session>::accept(
        pipe.recv(),
        Dialect::Draft03,
    ))
    .err()
    .unwrap();
    assert_eq!(error, StreamError::UnexpectedStream(1));
    assert_eq!(pipe.seen().stopped, Some(Code::UNEXPECTED_STREAM.0));
}

#[test]
fn a_request_that_is_refused_ends_its_stream_with_the_reason() {
    let (client, server) = pair();
    let (sent, replies) = client.open_pipes();
    sent.feed(&[2, 0, 33]);
    let error = accept(&server, Dialect::Draft03).err().unwrap();
    assert!(!error.closes_session());
    assert_eq!(sent.seen().stopped, Some(Code::BOUNDS_EXCEEDED.0));
    assert_eq!(replies.seen().reset, Some(Code::BOUNDS_EXCEEDED.0));
}

#[test]
fn requests_are_one_write_and_may_arrive_in_any_pieces() {
    let (client, server) = pair();
    let wanted = subscription(Dialect::Fork02);
    let (_request, _replies) = run(subscribe(&client, Dialect::Fork02, &wanted)).unwrap();
    let (replies, sent) = server.take_pipes().unwrap();
    assert_eq!(sent.seen().writes, 1);
    sent.state().chop = 1;
    let accepted = Request::<Session>::accept(replies.send(), sent.recv(), Dialect::Fork02);
    let Ok(Request::Subscribe(asked, ..)) = run(accepted) else {
        panic!("no subscribe")
    };
    assert_eq!(asked, wanted);
}

#[test]
fn a_closed_session_tells_its_code() {
    let (client, server) = pair();
    server.close(77, "over");
    let error = run(GroupWriter::open(&client, Dialect::Draft03)).map(|_| ());
    assert_eq!(error, Ok(()), "the pipe still opens streams");
    let error = StreamError::from_transport(run(client.closed()));
    assert_eq!(
        error,
        StreamError::Session {
            code: Code(77),
            reason: "over".into()
        }
    );
    assert_eq!(
        error.to_string(),
        "session closed: application 13 (77), \"over\""
    );
}

#[test]
fn a_message_and_what_follows_it_in_the_same_packet_are_told_apart() {
    let pipe = Pipe::default();
    let gap = SubscribeGap {
        start: 1,
        count: 2,
        code: Code(3),
    };
    let info = Info {
        priority: Priority::new(9),
        latest: 4,
        ..Info::default()
    };
    pipe.feed(&info.to_bytes(Dialect::Draft03).unwrap());
    pipe.feed(&gap.to_bytes(Dialect::Draft03).unwrap());
    let mut reader = Reader::new(pipe.recv(), Dialect::Draft03);
    assert_eq!(run(reader.decode::<Info>()), Ok(info));
    assert_eq!(run(reader.decode::<SubscribeGap>()), Ok(gap));
    assert!(poll(reader.decode_maybe::<SubscribeGap>()).is_none());
}
