//! What WebTransport makes of codes that HTTP/3 has no number for, which the old peers send: a reset
//! or a stop arrives without its code, and a stream that was stopped looks acknowledged.

use std::time::Duration;

use bytes::Bytes;
use moq_relay_core::memory::{self, Config};
use moq_transfork::Code;
use moq_transfork::dialect::Dialect;
use moq_transfork::stream::StreamError;
use moq_transfork::wt::{self, RecvStream as _, SendStream as _, Session as _};
use tokio::time::{sleep, timeout};

use crate::raw::{Raw, subscribe};
use crate::world::{INSTANT, World, published, settle, soon, wire, write_groups};

/// The relay's end of a session over HTTP/3, where the code 0 of a stream has no number.
#[derive(Clone)]
struct Http3(memory::Session);

struct Http3Send(memory::SendStream);

struct Http3Recv(memory::RecvStream);

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Http3Error(#[from] memory::Error);

impl wt::Error for Http3Error {
    fn session_error(&self) -> Option<(u32, String)> {
        self.0.session_error()
    }

    fn stream_error(&self) -> Option<u32> {
        self.0.stream_error().filter(|code| *code != 0)
    }
}

impl wt::Session for Http3 {
    type SendStream = Http3Send;
    type RecvStream = Http3Recv;
    type Error = Http3Error;

    async fn accept_uni(&self) -> Result<Http3Recv, Http3Error> {
        Ok(Http3Recv(self.0.accept_uni().await?))
    }

    async fn accept_bi(&self) -> Result<(Http3Send, Http3Recv), Http3Error> {
        let (send, recv) = self.0.accept_bi().await?;
        Ok((Http3Send(send), Http3Recv(recv)))
    }

    async fn open_bi(&self) -> Result<(Http3Send, Http3Recv), Http3Error> {
        let (send, recv) = self.0.open_bi().await?;
        Ok((Http3Send(send), Http3Recv(recv)))
    }

    async fn open_uni(&self) -> Result<Http3Send, Http3Error> {
        Ok(Http3Send(self.0.open_uni().await?))
    }

    fn send_datagram(&self, payload: Bytes) -> Result<(), Http3Error> {
        Ok(self.0.send_datagram(payload)?)
    }

    async fn recv_datagram(&self) -> Result<Bytes, Http3Error> {
        Ok(self.0.recv_datagram().await?)
    }

    fn max_datagram_size(&self) -> usize {
        self.0.max_datagram_size()
    }

    fn close(&self, code: u32, reason: &str) {
        self.0.close(code, reason);
    }

    async fn closed(&self) -> Http3Error {
        self.0.closed().await.into()
    }
}

impl wt::SendStream for Http3Send {
    type Error = Http3Error;

    async fn write(&mut self, buf: &[u8]) -> Result<usize, Http3Error> {
        Ok(self.0.write(buf).await?)
    }

    fn set_priority(&mut self, order: i32) {
        self.0.set_priority(order);
    }

    fn finish(&mut self) -> Result<(), Http3Error> {
        Ok(self.0.finish()?)
    }

    fn reset(&mut self, code: u32) {
        self.0.reset(code);
    }

    async fn closed(&mut self) -> Result<(), Http3Error> {
        match self.0.closed().await {
            Ok(()) | Err(memory::Error::Stopped(0)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl wt::RecvStream for Http3Recv {
    type Error = Http3Error;

    async fn read(&mut self, dst: &mut [u8]) -> Result<Option<usize>, Http3Error> {
        Ok(self.0.read(dst).await?)
    }

    fn stop(&mut self, code: u32) {
        self.0.stop(code);
    }

    async fn closed(&mut self) -> Result<(), Http3Error> {
        Ok(self.0.closed().await?)
    }
}

/// Connects a bare peer to a relay that has it on HTTP/3.
async fn connect(world: &mut World, dialect: Dialect) -> Raw {
    let (near, far) = memory::pair(Config::default());
    let relay = world.relay.clone();
    world
        .served
        .spawn(async move { relay.serve(Http3(far)).await });
    Raw::set_up(near, dialect).await
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_resets_without_a_code_is_not_asked_again_and_again() {
    for dialect in Dialect::ALL {
        for answer_first in [false, true] {
            let mut world = World::new();
            let publisher = connect(&mut world, dialect).await;
            let mut told = publisher.asked_for_announcements().await;
            told.active("clock").await;
            settle().await;
            let raw = Raw::connect(&mut world, Dialect::Draft03).await;
            let mut downstream = raw.subscribe(&subscribe(0, "clock")).await;
            let mut upstream = publisher.subscribed().await;
            if answer_first {
                upstream.accept(0).await;
                downstream.info().await;
            }
            upstream.writer.abort(Code(0));
            let ended = if answer_first {
                downstream.gap().await.err()
            } else {
                soon(downstream.replies.info()).await.err()
            };
            assert!(
                matches!(ended, Some(StreamError::Reset(_))),
                "{dialect}: {ended:?}"
            );
            assert!(
                !publisher.has_request().await,
                "{dialect}: it is asked again"
            );
            assert_eq!(world.stats().await.upstreams_total, 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_publisher_whose_session_ends_is_lost_on_http3_too() {
    let mut world = World::new();
    let (second, _told) = Raw::publisher(&mut world, Dialect::Draft03, &["clock"]).await;
    let first = connect(&mut world, Dialect::Fork02).await;
    let mut told = first.asked_for_announcements().await;
    told.active("clock").await;
    settle().await;
    let raw = Raw::connect(&mut world, Dialect::Draft03).await;
    let mut downstream = raw.subscribe(&subscribe(0, "clock")).await;
    let mut upstream = first.subscribed().await;
    upstream.accept(0).await;
    downstream.info().await;
    first.transport.close(0, "");
    let mut upstream = second.subscribed().await;
    upstream.accept(3).await;
    second.send(upstream.subscribe.id, 3).await;
    assert_eq!(raw.whole_group().await, (3, Ok(wire(&["3"]))));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_reset_without_a_code_is_cut() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let publisher = connect(&mut world, dialect).await;
        let mut told = publisher.asked_for_announcements().await;
        told.active("clock").await;
        settle().await;
        let raw = Raw::connect(&mut world, Dialect::Draft03).await;
        let mut downstream = raw.subscribe(&subscribe(0, "clock")).await;
        let mut upstream = publisher.subscribed().await;
        upstream.accept(0).await;
        downstream.info().await;
        let id = upstream.subscribe.id;
        let mut stream = publisher.begin_group(id, 0, &wire(&["whole"])).await;
        settle().await;
        stream.reset(0);
        let (_, end) = raw.whole_group().await;
        assert!(
            matches!(end, Err(StreamError::Reset(_))),
            "{dialect}: {end:?}"
        );
        publisher.send(id, 1).await;
        assert_eq!(raw.whole_group().await, (1, Ok(wire(&["1"]))), "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_leaves_as_the_old_ones_do_has_left() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let publisher = world.client(Dialect::Draft03).await;
        let track = publisher.publish("clock");
        published(&world, "clock").await;
        let raw = connect(&mut world, dialect).await;
        std::mem::forget(raw.asked_for_announcements().await);
        let mut downstream = raw.subscribe(&subscribe(0, "clock")).await;
        downstream.info().await;
        let mut open = track.append_group().expect("live");
        open.write_frame("begun").expect("room");
        let mut group = soon(raw.transport.accept_uni()).await.expect("open");
        // FIN on the subscribe stream, and STOP_SENDING with plain 0 on everything.
        downstream.request.finish().expect("open");
        downstream.replies.stop(Code(0));
        group.stop(0);
        assert_eq!(world.stats().await.subscriptions, 0, "{dialect}");
        open.write_frame("more").expect("room");
        sleep(Duration::from_secs(3)).await;
        assert_eq!(world.stats().await.upstreams, 0, "{dialect}");
        assert_eq!(world.stats().await.sessions, 2, "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_stops_a_group_goes_on_with_the_next() {
    for dialect in Dialect::ALL {
        let mut world = World::new();
        let publisher = world.client(Dialect::Draft03).await;
        let track = publisher.publish("clock");
        published(&world, "clock").await;
        let raw = connect(&mut world, dialect).await;
        std::mem::forget(raw.asked_for_announcements().await);
        let mut downstream = raw.subscribe(&subscribe(0, "clock")).await;
        downstream.info().await;
        for sequence in 0..5 {
            let mut open = track.create_group(2 * sequence).expect("live");
            open.write_frame("begun").expect("room");
            let mut stopped = soon(raw.transport.accept_uni()).await.expect("open");
            stopped.stop(0);
            settle().await;
            open.write_frame("more").expect("room");
            open.finish().expect("whole");
            settle().await;
            write_groups(&track, [2 * sequence + 1]);
            let (header, reader) = raw.group().await;
            assert_eq!(header.sequence, 2 * sequence + 1, "{dialect}");
            assert!(crate::raw::read_stream(reader).await.is_ok());
        }
        let over = timeout(INSTANT, raw.transport.closed()).await;
        assert!(over.is_err(), "{dialect}: {over:?}");
    }
}
