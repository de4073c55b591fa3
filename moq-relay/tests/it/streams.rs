//! What a session's streams do, over QUIC itself and over WebTransport: the core relies on it to be
//! the same.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use moq_relay::session::{RecvStream, SendStream, Session};
use moq_relay::tls::trust::Trust;
use moq_relay::tls::{ALPN_H3, ALPN_RAW, dev, server_config};
use moq_relay::transport::{self, Congestion, client_config};
use quinn::{Connection, Endpoint};
use url::Url;
use web_transport_quinn::Request;
use web_transport_trait::{Error as _, RecvStream as _, SendStream as _, Session as _, Stats as _};

use crate::client;
use crate::process::soon;

/// Larger than a stream's window, so that it cannot be written at once.
const LARGE: usize = 5 << 20;

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
        let ([client, server], endpoints) = connect(&[ALPN_H3]).await;
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
    let tls = server_config(vec![dev::self_signed(&[]).unwrap()]).unwrap();
    let config = transport::server_config(tls, Congestion::Cubic);
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let [server, client] = [
        Endpoint::server(config, listen).unwrap(),
        client::endpoint(),
    ];
    let tls = Trust::Anyone.client_config(alpns).unwrap();
    let config = client_config(tls, Congestion::Cubic);
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
