//! Agreeing on a dialect.

use futures_util::future::join;
use moq_transfork::setup::{Established, SetupError, accept, connect};
use moq_transfork::stream::StreamError;
use moq_transfork::{Code, Dialect};

use crate::pipe::{Session, pair, poll, run};

type Sides = (
    Result<Established<Session>, SetupError>,
    Result<Established<Session>, SetupError>,
);

fn meet(client: &Session, offer: &[Dialect], server: &Session, support: &[Dialect]) -> Sides {
    run(join(connect(client, offer), accept(server, support)))
}

fn agreed(offer: &[Dialect], support: &[Dialect]) -> Dialect {
    let (client, server) = pair();
    let (ours, theirs) = meet(&client, offer, &server, support);
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(ours.dialect.version(), theirs.dialect.version());
    theirs.dialect
}

#[test]
fn the_server_takes_the_first_of_its_own_that_the_client_offers() {
    for dialect in [Dialect::Draft03, Dialect::Fork02, Dialect::Fork04] {
        assert_eq!(agreed(&[dialect], &Dialect::ALL), dialect);
    }
    assert_eq!(agreed(&Dialect::ALL, &Dialect::ALL), Dialect::Draft03);
    let forks = [Dialect::Fork02, Dialect::Fork04];
    assert_eq!(agreed(&forks, &Dialect::ALL), Dialect::Fork04);
    assert_eq!(agreed(&Dialect::ALL, &forks), Dialect::Fork02);
    assert_eq!(agreed(&[Dialect::Fork04s], &Dialect::ALL), Dialect::Fork04);
    assert_eq!(
        agreed(&[Dialect::Fork04s], &[Dialect::Fork04s]),
        Dialect::Fork04s
    );
}

#[test]
fn a_client_writes_what_published_clients_do() {
    for (dialect, hex) in [
        (Dialect::Fork02, "0001c0000000ff0bad0200"),
        (Dialect::Fork04, "0001c0000000ff0bad0400"),
        (Dialect::Fork04s, "0001c0000000ff0bad0400"),
        (Dialect::Draft03, "0001c0000000ff0bad0300"),
    ] {
        let (client, server) = pair();
        assert!(poll(connect(&client, &[dialect])).is_none());
        let (_, sent) = server.take_pipes().unwrap();
        assert_eq!(hex::encode(&sent.seen().written), hex);
        assert_eq!(sent.seen().writes, 1);
    }
}

#[test]
fn a_version_is_offered_once() {
    let (client, server) = pair();
    assert!(poll(connect(&client, &[Dialect::Fork04, Dialect::Fork04s])).is_none());
    let (_, sent) = server.take_pipes().unwrap();
    assert_eq!(hex::encode(&sent.seen().written), "0001c0000000ff0bad0400");
}

#[test]
fn without_a_shared_version_the_session_is_closed() {
    let (client, server) = pair();
    let (ours, theirs) = meet(&client, &[Dialect::Fork02], &server, &[Dialect::Draft03]);
    let theirs = theirs.err().unwrap();
    assert_eq!(
        theirs,
        SetupError::Version {
            theirs: vec![0xff0bad02]
        }
    );
    assert_eq!(theirs.to_string(), "no shared version among [ff0bad02]");
    assert_eq!(server.close_code(), Some(Code::VERSION.0));
    assert!(ours.is_err());
}

#[test]
fn a_version_that_was_not_offered_is_refused() {
    let (client, server) = pair();
    let answer = async {
        let (reply, _) = server.take_pipes().unwrap();
        reply.feed(&hex::decode("c0000000ff0bad0200").unwrap());
    };
    let (connected, ()) = run(join(connect(&client, &[Dialect::Draft03]), answer));
    assert_eq!(connected.err().unwrap().code(), Code::VERSION);
    assert_eq!(client.close_code(), Some(Code::VERSION.0));
}

#[test]
fn garbage_closes_the_session_with_its_code() {
    for (hex, code) in [
        ("01", Code::UNEXPECTED_STREAM),
        ("3f", Code::UNEXPECTED_STREAM),
        ("00ffffffffffffffff", Code::BOUNDS_EXCEEDED),
        ("000000", Code::VERSION),
    ] {
        let (client, server) = pair();
        let (sent, _) = client.open_pipes();
        sent.feed(&hex::decode(hex).unwrap());
        let error = run(accept(&server, &Dialect::ALL)).err().unwrap();
        assert_eq!(error.code(), code, "{hex}");
        assert_eq!(server.close_code(), Some(code.0));
    }
}

#[test]
fn a_client_that_hangs_up_is_an_error() {
    let (client, server) = pair();
    let (sent, _) = client.open_pipes();
    sent.feed(&[0, 1]);
    sent.state().finished = true;
    let error = run(accept(&server, &Dialect::ALL)).err().unwrap();
    assert_eq!(error, SetupError::Stream(StreamError::Truncated));
}

#[test]
fn the_bitrate_is_told_to_those_who_survive_it() {
    for dialect in [Dialect::Draft03, Dialect::Fork02, Dialect::Fork04] {
        let (client, server) = pair();
        let (ours, theirs) = meet(&client, &[dialect], &server, &Dialect::ALL);
        let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
        run(theirs.control.update(1_000_000)).unwrap();
        theirs.control.finish().unwrap();
        let update = run(ours.updates.update()).unwrap();
        let expected = (dialect == Dialect::Draft03).then_some(1_000_000);
        assert_eq!(update.map(|update| update.bitrate), expected);
    }
}

#[test]
fn the_end_of_the_session_stream_is_seen() {
    let (client, server) = pair();
    let (ours, theirs) = meet(&client, &[Dialect::Draft03], &server, &Dialect::ALL);
    let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
    assert!(poll(theirs.updates.update()).is_none());
    ours.control.finish().unwrap();
    assert_eq!(run(theirs.updates.update()), Ok(None));
    theirs.control.abort(Code::TIMEOUT);
    assert_eq!(
        run(ours.updates.update()),
        Err(StreamError::Reset(Code::TIMEOUT))
    );
}
