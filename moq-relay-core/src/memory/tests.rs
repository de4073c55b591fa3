use bytes::Bytes;
use web_transport_trait::{RecvStream as _, SendStream as _, Session as _};

use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_written_is_read() {
    let (client, server) = pair(Config::default());
    let mut send = client.open_uni().await.unwrap();
    send.write_chunk(Bytes::from_static(b"hello"))
        .await
        .unwrap();
    drop(send);
    let mut recv = server.accept_uni().await.unwrap();
    assert_eq!(recv.read_chunk(100).await.unwrap().unwrap(), "hello");
    assert_eq!(recv.read_chunk(100).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn both_directions_of_a_bidirectional_stream_work() {
    let (client, server) = pair(Config::default());
    let (mut send, mut recv) = client.open_bi().await.unwrap();
    send.write(b"ping").await.unwrap();
    send.finish().unwrap();
    let (mut answer, mut question) = server.accept_bi().await.unwrap();
    assert_eq!(question.read_all().await.unwrap(), "ping");
    answer.write(b"pong").await.unwrap();
    answer.finish().unwrap();
    assert_eq!(recv.read_all().await.unwrap(), "pong");
    answer.closed().await.unwrap();
}
