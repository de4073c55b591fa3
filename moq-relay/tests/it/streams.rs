//! What a session's streams do, over QUIC itself and over WebTransport: the core relies on it to be
//! the same.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use moq_relay::session::{RecvStream, SendStream, Session};
use moq_relay::tls::trust::Trust;
use moq_relay::tls::{ALPN_H3, ALPN_RAW, dev, server_config};
use moq_relay::transport::{self, Congestion, client_config};
use quinn::{Connection, Endpoint, TransportConfig};
use tokio::task::JoinSet;
use url::Url;
use web_transport_quinn::Request;
use web_transport_trait::{Error as _, RecvStream as _, SendStream as _, Session as _, Stats as _};

use crate::client;
use crate::process::soon;

/// Larger than a stream's window, so that it cannot be written at once.
const LARGE: usize = 5 << 20;

/// A window that is soon full.
const NARROW: u32 = 20_000;

/// Two ends of a session, and what they need to last.
struct Pair {
    client: Session,
    server: Session,
    _endpoints: [Endpoint; 2],
}

impl Pair {
    async fn raw() -> Self {
        let ([client, server], endpoints) = connect(&ALPN_RAW[..1]).await;
        Self {
            client: Session::raw(client),
            server: Session::raw(server),
            _endpoints: endpoints,
        }
    }

    async fn web_transport() -> Self {
        let (conns, endpoints) = connect(&[ALPN_H3]).await;
        Self::web_transport_over(conns, endpoints).await
    }

    async fn web_transport_over(
        [client, server]: [Connection; 2],
        endpoints: [Endpoint; 2],
    ) -> Self {
        let url = Url::parse("https://localhost/").unwrap();
        let (client, server) = tokio::join!(
            soon(web_transport_quinn::Session::connect(client, url)),
            soon(async { Request::accept(server).await?.ok().await }),
        );
        Self {
            client: Session::web_transport(client.unwrap()),
            server: Session::web_transport(server.unwrap()),
            _endpoints: endpoints,
        }
    }

    /// As [`web_transport`](Self::web_transport), and the server's streams are taken from its client's
    /// QUIC connection, which takes few bytes that nobody reads.
    async fn narrow_web_transport() -> (Self, Connection) {
        let mut narrow = TransportConfig::default();
        narrow.receive_window(NARROW.into());
        let ([client, server], endpoints) = connect_with(&[ALPN_H3], Some(narrow)).await;
        let pair = Self::web_transport_over([client.clone(), server], endpoints).await;
        (pair, client)
    }

    async fn both() -> [Self; 2] {
        [Self::raw().await, Self::web_transport().await]
    }

    /// Opens a stream from the client, with a byte on it, so that the server hears of it.
    async fn stream(&self) -> (SendStream, RecvStream) {
        let mut send = soon(self.client.open_uni()).await.unwrap();
        send.write_chunk(Bytes::from_static(b"!")).await.unwrap();
        let mut recv = soon(self.server.accept_uni()).await.unwrap();
        let first = soon(recv.read_chunk(1)).await.unwrap().unwrap();
        assert_eq!(first, "!");
        (send, recv)
    }
}

async fn connect(alpns: &[&str]) -> ([Connection; 2], [Endpoint; 2]) {
    connect_with(alpns, None).await
}

async fn connect_with(
    alpns: &[&str],
    client_transport: Option<TransportConfig>,
) -> ([Connection; 2], [Endpoint; 2]) {
    let tls = server_config(vec![dev::self_signed(&[]).unwrap()]).unwrap();
    let config = transport::server_config(tls, Congestion::Cubic);
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let [server, client] = [
        Endpoint::server(config, listen).unwrap(),
        client::endpoint(),
    ];
    let tls = Trust::Anyone.client_config(alpns).unwrap();
    let mut config = client_config(tls, Congestion::Cubic);
    if let Some(transport) = client_transport {
        config.transport_config(Arc::new(transport));
    }
    let addr = server.local_addr().unwrap();
    let connecting = client.connect_with(config, addr, "localhost").unwrap();
    let (connected, accepted) = tokio::join!(
        soon(connecting),
        soon(async { server.accept().await.unwrap().await }),
    );
    let conns = [connected.unwrap(), accepted.unwrap()];
    (conns, [client, server])
}

#[tokio::test]
async fn a_chunk_larger_than_the_window_arrives_whole_and_its_end_is_acknowledged() {
    for pair in Pair::both().await {
        let (mut send, mut recv) = pair.stream().await;
        let chunk: Bytes = (0..LARGE).map(|i| (i / 7) as u8).collect();
        let (expected, mut read) = (chunk.clone(), Vec::new());
        let writes = async {
            send.write_chunk(chunk).await.unwrap();
            send.finish().unwrap();
            send.closed().await.unwrap();
        };
        let reads = async {
            while let Some(more) = recv.read_chunk(usize::MAX).await.unwrap() {
                read.extend_from_slice(&more);
            }
        };
        soon(async { tokio::join!(writes, reads) }).await;
        assert!(read == expected, "{} of {LARGE} bytes", read.len());
    }
}

#[tokio::test]
async fn a_reset_and_a_stop_carry_their_codes() {
    for pair in Pair::both().await {
        let (mut send, mut recv) = pair.stream().await;
        send.reset(41);
        let error = soon(recv.read_chunk(1)).await.unwrap_err();
        assert_eq!(
            (error.stream_error(), error.session_error()),
            (Some(41), None)
        );

        let (mut send, mut recv) = pair.stream().await;
        recv.stop(42);
        let error = soon(send.closed()).await.unwrap_err();
        assert_eq!(
            (error.stream_error(), error.session_error()),
            (Some(42), None)
        );
        let error = soon(send.write_chunk(Bytes::from_static(b"?")))
            .await
            .unwrap_err();
        assert_eq!(error.stream_error(), Some(42));
    }
}

#[tokio::test]
async fn both_ends_and_their_streams_hear_why_a_session_was_closed() {
    for pair in Pair::both().await {
        let (mut send, mut recv) = pair.stream().await;
        pair.client.close(7, "enough");
        let told = Some((7, "enough".into()));
        assert_eq!(soon(pair.server.closed()).await.session_error(), told);
        // A close that follows says nothing new.
        pair.server.close(8, "me too");
        assert_eq!(soon(pair.server.closed()).await.session_error(), told);
        let error = soon(recv.read_chunk(1)).await.unwrap_err();
        assert_eq!(error.session_error(), told);
        assert_eq!(
            soon(pair.server.open_uni())
                .await
                .unwrap_err()
                .session_error(),
            told
        );
        let error = soon(send.closed()).await.unwrap_err();
        assert_eq!((error.session_error(), error.stream_error()), (None, None));
    }
}

#[tokio::test]
async fn a_stream_that_nobody_waits_for_any_more_is_opened_for_the_next() {
    let (pair, conn) = Pair::narrow_web_transport().await;
    let mut first = soon(pair.server.open_uni()).await.unwrap();
    let full = first.write_chunk(vec![1; 2 * NARROW as usize].into());
    let mut full = pin!(full);
    assert!(full.as_mut().now_or_never().is_none(), "nobody reads");
    for _ in 0..3 {
        let opening = pair.server.open_uni();
        assert!(opening.now_or_never().is_none(), "its header has to wait");
    }
    let reads = async {
        let (mut headers, mut rest) = (Vec::new(), JoinSet::new());
        while headers.len() < 2 {
            let mut recv = conn.accept_uni().await.unwrap();
            headers.push(recv.read_chunk(1, true).await.unwrap().is_some());
            rest.spawn(async move { recv.read_to_end(usize::MAX).await });
        }
        headers
    };
    let opens = async {
        full.await.unwrap();
        let mut next = pair.server.open_uni().await.unwrap();
        next.finish().unwrap();
        next
    };
    let (headers, _next) = soon(async { tokio::join!(reads, opens) }).await;
    assert_eq!(headers, [true; 2], "the first and the next");
    assert!(
        conn.accept_uni().now_or_never().is_none(),
        "there is none in vain"
    );
}

#[tokio::test]
async fn the_protocol_and_the_path_are_known() {
    let raw = Pair::raw().await;
    assert_eq!(raw.server.protocol(), Some(ALPN_RAW[0]));
    assert_eq!(Pair::web_transport().await.server.protocol(), None);
    let stats = raw.server.stats();
    assert!(stats.rtt().is_some_and(|rtt| !rtt.is_zero()));
    assert!(stats.bytes_sent().is_some_and(|bytes| bytes > 0));
    let rate = stats.estimated_send_rate();
    assert!(rate.is_some_and(|rate| rate > 1_000_000), "{rate:?} bit/s");
}
