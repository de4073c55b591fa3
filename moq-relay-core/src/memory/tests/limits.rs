use tokio::task::JoinSet;
use web_transport_trait::Stats as _;

use super::*;

fn two_streams() -> Config {
    Config {
        max_uni_streams: 2,
        max_bi_streams: 2,
        ..Config::default()
    }
}

#[tokio::test(start_paused = true)]
async fn the_peer_grants_a_hundred_streams_unless_told_otherwise() {
    let (client, _server) = pair(Config::default());
    let mut open = Vec::new();
    for _ in 0..100 {
        open.push(client.open_uni().await.unwrap());
    }
    assert!(now(client.open_uni()).is_none());
    assert!(now(client.open_bi()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_finished_stream_counts_until_its_end_was_read() {
    let (client, server) = pair(two_streams());
    let (mut send, mut recv) = uni(&client, &server).await;
    let _other = client.open_uni().await.unwrap();
    send.finish().unwrap();
    drop(send);
    assert!(now(client.open_uni()).is_none());
    assert_eq!(recv.read_chunk(1).await, Ok(None));
    assert!(now(client.open_uni()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_reset_stream_counts_until_the_reset_was_read() {
    let (client, server) = pair(two_streams());
    let (mut send, mut recv) = uni(&client, &server).await;
    let _other = client.open_uni().await.unwrap();
    send.reset(1);
    assert!(now(client.open_uni()).is_none());
    assert_eq!(recv.read_chunk(1).await, Err(Error::Reset(1)));
    assert!(now(client.open_uni()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_stopped_stream_counts_until_its_writer_lets_go() {
    let (client, server) = pair(two_streams());
    let (send, recv) = uni(&client, &server).await;
    let _other = client.open_uni().await.unwrap();
    drop(recv);
    assert!(now(client.open_uni()).is_none());
    drop(send);
    assert!(now(client.open_uni()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_never_seen_does_not_count() {
    let (client, _server) = pair(two_streams());
    for _ in 0..10 {
        client.open_uni().await.unwrap().reset(1);
        client.open_bi().await.unwrap().0.reset(1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bidirectional_stream_counts_until_both_directions_are_done() {
    let (client, server) = pair(two_streams());
    let _other = client.open_bi().await.unwrap();
    let (mut send, mut recv) = client.open_bi().await.unwrap();
    send.finish().unwrap();
    let (mut answer, mut question) = server.accept_bi().await.unwrap();
    assert_eq!(question.read_chunk(1).await, Ok(None));
    assert!(now(client.open_bi()).is_none());
    answer.finish().unwrap();
    assert!(now(client.open_bi()).is_none());
    assert_eq!(recv.read_chunk(1).await, Ok(None));
    assert!(now(client.open_bi()).is_some());
}

#[tokio::test(start_paused = true)]
async fn each_end_has_its_own_limit() {
    let (client, server) = pair(two_streams());
    let _open = (
        client.open_uni().await.unwrap(),
        client.open_uni().await.unwrap(),
    );
    assert!(now(client.open_uni()).is_none());
    assert!(now(server.open_uni()).is_some());
}

#[tokio::test(start_paused = true)]
async fn streams_are_granted_in_the_order_they_were_asked_for() {
    let (client, server) = pair(two_streams());
    let held = [uni(&client, &server).await, uni(&client, &server).await];
    let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for number in 0..4 {
        let (client, order) = (client.clone(), order.clone());
        tasks.spawn(async move {
            let stream = client.open_uni().await.unwrap();
            order.lock().unwrap().push(number);
            stream
        });
    }
    settle().await;
    assert!(order.lock().unwrap().is_empty());
    let [first, second] = held;
    drop(first);
    settle().await;
    assert_eq!(*order.lock().unwrap(), [0]);
    assert!(now(client.open_uni()).is_none());
    drop(second);
    settle().await;
    assert_eq!(*order.lock().unwrap(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn statistics_tell_how_many_streams_are_open() {
    let (client, server) = pair(two_streams());
    let held = uni(&client, &server).await;
    let streams = client.stats().streams().unwrap();
    assert_eq!((streams.uni.open, streams.uni.available), (1, 1));
    assert_eq!((streams.bidi.open, streams.bidi.available), (0, 2));
    drop(held);
    assert_eq!(client.stats().streams().unwrap().uni.open, 0);
}
