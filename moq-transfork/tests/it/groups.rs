//! Group streams, and how streams end.

use std::task::Poll;

use bytes::Bytes;
use moq_transfork::message::GroupHeader;
use moq_transfork::stream::{GroupReader, GroupWriter, Reader, Writer};
use moq_transfork::{Code, Dialect};

use crate::pipe::{Pipe, Session, pair, run};

fn group_writer(client: &Session) -> GroupWriter<Session> {
    let mut writer = run(GroupWriter::open(client, Dialect::Draft03)).unwrap();
    writer
        .header(&GroupHeader {
            subscribe: 7,
            sequence: 300,
        })
        .unwrap();
    writer
}

#[test]
fn a_group_is_its_header_and_frames_in_one_write() {
    let (client, server) = pair();
    let mut writer = group_writer(&client);
    writer.set_priority(-5);
    let pipe = server.take_uni().unwrap();
    assert!(
        pipe.seen().written.is_empty(),
        "the header goes with the first bytes"
    );
    run(writer.write(Bytes::from_static(b"\x05hello"))).unwrap();
    assert_eq!((pipe.seen().writes, pipe.seen().priority), (1, Some(-5)));
    assert_eq!(pipe.seen().written, b"\x00\x07\x41\x2c\x05hello");
    run(writer.write(Bytes::from_static(b"\x01!"))).unwrap();
    assert_eq!(pipe.seen().writes, 2);
    run(writer.finish()).unwrap();
    drop(writer);
    assert!(pipe.seen().finished && pipe.seen().reset.is_none());

    let accepted = run(GroupReader::<Session>::accept(
        pipe.recv(),
        Dialect::Draft03,
    ));
    let (header, mut reader) = accepted.unwrap();
    assert_eq!(
        header,
        GroupHeader {
            subscribe: 7,
            sequence: 300
        }
    );
    assert_eq!(
        run(reader.read(4)),
        Ok(Some(Bytes::from_static(b"\x05hel")))
    );
    assert_eq!(
        run(reader.read(100)),
        Ok(Some(Bytes::from_static(b"lo\x01!")))
    );
    assert_eq!(run(reader.read(100)), Ok(None));
    drop(reader);
    assert_eq!(pipe.seen().stopped, None);
}

#[test]
fn an_empty_group_still_has_its_header() {
    let (client, server) = pair();
    let mut writer = group_writer(&client);
    run(writer.finish()).unwrap();
    let pipe = server.take_uni().unwrap();
    assert_eq!(pipe.seen().written, b"\x00\x07\x41\x2c");
    assert!(pipe.seen().finished);
}

#[test]
fn a_large_first_write_is_not_copied() {
    let (client, server) = pair();
    let mut writer = group_writer(&client);
    run(writer.write(Bytes::from(vec![0; 100_000]))).unwrap();
    let pipe = server.take_uni().unwrap();
    assert_eq!(
        (pipe.seen().writes, pipe.seen().written.len()),
        (2, 100_004)
    );
}

#[test]
fn what_has_arrived_can_be_read_without_waiting() {
    let pipe = Pipe::default();
    pipe.feed(b"\x00\x07\x05");
    let accepted = run(GroupReader::<Session>::accept(
        pipe.recv(),
        Dialect::Draft03,
    ));
    let (_, mut reader) = accepted.unwrap();
    assert_eq!(reader.read_ready(10), Poll::Pending);
    pipe.feed(b"\x01!");
    assert_eq!(
        reader.read_ready(10),
        Poll::Ready(Ok(Some(Bytes::from_static(b"\x01!"))))
    );
    pipe.state().finished = true;
    assert_eq!(reader.read_ready(10), Poll::Ready(Ok(None)));
}

#[test]
fn a_dropped_writer_is_a_reset_and_never_an_end() {
    let (client, server) = pair();
    let mut writer = group_writer(&client);
    run(writer.write(Bytes::from_static(b"\x05he"))).unwrap();
    drop(writer);
    let pipe = server.take_uni().unwrap();
    assert_eq!(pipe.seen().reset, Some(Code::DROPPED.0));
    assert!(!pipe.seen().finished);
}

#[test]
fn an_aborted_writer_is_a_reset_with_its_code_even_after_a_finish() {
    let pipe = Pipe::default();
    let mut writer = Writer::new(pipe.send(), Dialect::Draft03);
    writer.finish().unwrap();
    writer.abort(Code::EXPIRED);
    assert_eq!(pipe.seen().reset, Some(Code::EXPIRED.0));
}

#[test]
fn a_dropped_reader_is_a_stop() {
    let pipe = Pipe::default();
    drop(Reader::new(pipe.recv(), Dialect::Draft03));
    assert_eq!(pipe.seen().stopped, Some(Code::CANCEL.0));
    let pipe = Pipe::default();
    Reader::new(pipe.recv(), Dialect::Draft03).stop(Code::EVICTED);
    assert_eq!(pipe.seen().stopped, Some(Code::EVICTED.0));
}
