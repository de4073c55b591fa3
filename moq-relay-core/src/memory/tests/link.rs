use web_transport_trait::Stats as _;

use super::*;

const DELAY: Duration = Duration::from_millis(50);

fn delayed() -> Config {
    Config {
        delay: DELAY,
        ..Config::default()
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_take_the_delay_to_arrive() {
    let (client, server) = pair(delayed());
    let mut send = client.open_uni().await.unwrap();
    send.write_all(b"1").await.unwrap();
    let (recv, elapsed) = took(server.accept_uni()).await;
    assert_eq!(elapsed, DELAY);
    send.write_all(b"2").await.unwrap();
    let mut recv = recv.unwrap();
    assert_eq!(recv.read_chunk(1).await.unwrap().unwrap(), "1");
    let (chunk, elapsed) = took(recv.read_chunk(1)).await;
    assert_eq!(
        (chunk.unwrap().unwrap(), elapsed),
        (Bytes::from_static(b"2"), DELAY)
    );
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_arrives_in_time_too() {
    let (client, server) = pair(delayed());
    let mut send = client.open_uni().await.unwrap();
    send.write_all(b"1").await.unwrap();
    tokio::time::advance(DELAY - Duration::from_millis(1)).await;
    assert!(now(server.accept_uni()).is_none());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(now(server.accept_uni()).is_some());
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_takes_a_round_trip() {
    let (client, server) = pair(delayed());
    let (mut send, mut recv) = uni(&client, &server).await;
    send.finish().unwrap();
    let ((closed, read), elapsed) =
        took(async { tokio::join!(send.closed(), recv.read_chunk(1)) }).await;
    assert_eq!((closed, read, elapsed), (Ok(()), Ok(None), 2 * DELAY));
    assert_eq!(client.stats().rtt(), Some(2 * DELAY));
}

#[tokio::test(start_paused = true)]
async fn a_reset_a_stop_and_a_close_take_the_delay() {
    let (client, server) = pair(delayed());
    let (mut send, mut recv) = uni(&client, &server).await;
    send.reset(1);
    assert_eq!(
        took(recv.read_chunk(1)).await,
        (Err(Error::Reset(1)), DELAY)
    );

    let (mut send, mut recv) = uni(&client, &server).await;
    recv.stop(2);
    assert_eq!(took(send.closed()).await, (Err(Error::Stopped(2)), DELAY));

    client.close(3, "bye");
    let error = Error::Closed {
        code: 3,
        reason: "bye".into(),
    };
    assert_eq!(took(server.closed()).await, (error, DELAY));
}

#[tokio::test(start_paused = true)]
async fn room_in_a_window_takes_the_delay_to_come_back() {
    let (client, server) = pair(Config {
        stream_window: 100,
        ..delayed()
    });
    let (mut send, mut recv) = uni(&client, &server).await;
    tokio::time::advance(DELAY).await;
    send.write_all(&payload(100)).await.unwrap();
    let (write, elapsed) =
        took(async { tokio::join!(send.write(b"1"), recv.read_chunk(100)).0 }).await;
    assert_eq!((write, elapsed), (Ok(1), 2 * DELAY));
}

#[tokio::test(start_paused = true)]
async fn bytes_take_their_time_on_a_limited_link() {
    let (client, server) = pair(Config {
        rate: Some(10_000),
        ..delayed()
    });
    let mut send = client.open_uni().await.unwrap();
    let read = async { server.accept_uni().await.unwrap().read_all().await.unwrap() };
    send.write_all(&payload(20_000)).await.unwrap();
    send.finish().unwrap();
    let (data, elapsed) = took(read).await;
    assert_eq!(
        (data.len(), elapsed),
        (20_000, Duration::from_secs(2) + DELAY)
    );
}

#[tokio::test(start_paused = true)]
async fn the_directions_do_not_share_the_rate() {
    let (client, server) = pair(Config {
        rate: Some(10_000),
        ..Config::default()
    });
    let exchange = async |from: &Session, to: &Session| {
        let mut send = from.open_uni().await.unwrap();
        send.write_all(&payload(10_000)).await.unwrap();
        drop(send);
        to.accept_uni()
            .await
            .unwrap()
            .read_all()
            .await
            .unwrap()
            .len()
    };
    let both = async { tokio::join!(exchange(&client, &server), exchange(&server, &client)) };
    assert_eq!(took(both).await, ((10_000, 10_000), Duration::from_secs(1)));
}

#[tokio::test(start_paused = true)]
async fn a_reset_takes_back_what_has_not_left() {
    let (client, server) = pair(Config {
        rate: Some(12_000),
        ..Config::default()
    });
    let mut busy = client.open_uni().await.unwrap();
    busy.write_all(&payload(1200)).await.unwrap();
    let mut unseen = client.open_uni().await.unwrap();
    unseen.write_all(&payload(50_000)).await.unwrap();
    unseen.reset(1);
    let mut last = client.open_uni().await.unwrap();
    last.write_all(b"last").await.unwrap();
    server.accept_uni().await.unwrap();
    let (recv, elapsed) = took(server.accept_uni()).await;
    assert_eq!(recv.unwrap().read_chunk(10).await.unwrap().unwrap(), "last");
    assert!(elapsed <= Duration::from_millis(1), "{elapsed:?}");
    assert_eq!(client.stats().bytes_sent(), Some(1204));
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_call_back_what_a_dropped_stream_has_written() {
    let (client, server) = pair(Config {
        rate: Some(12_000),
        ..Config::default()
    });
    let (mut held, held_recv) = uni(&client, &server).await;
    let (mut dropped, dropped_recv) = uni(&client, &server).await;
    let sent = || client.stats().bytes_sent().unwrap();
    let before = sent();
    held.write_all(&payload(6000)).await.unwrap();
    drop(held_recv);
    drop(held);
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(sent() - before, 1200);

    dropped.write_all(&payload(6000)).await.unwrap();
    drop(dropped);
    drop(dropped_recv);
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(sent() - before, 7200);
    assert!(client.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rate_can_be_changed_while_packets_wait() {
    let (client, server) = pair(Config::default());
    client.set_rate(Some(1000));
    assert_eq!(client.stats().estimated_send_rate(), Some(8000));
    assert_eq!(server.stats().estimated_send_rate(), None);
    let mut send = client.open_uni().await.unwrap();
    send.write_all(&payload(12_000)).await.unwrap();
    drop(send);
    let mut recv = server.accept_uni().await.unwrap();
    assert_eq!(recv.read_chunk(5000).await.unwrap().unwrap().len(), 1200);
    client.set_rate(Some(100_000));
    let (rest, elapsed) = took(recv.read_all()).await;
    assert_eq!(rest.unwrap().len(), 10_800);
    // One packet had left at the old rate, nine follow at the new one.
    assert_eq!(elapsed, Duration::from_millis(1200 + 9 * 12 - 12));
}

#[tokio::test(start_paused = true)]
async fn the_same_calls_take_the_same_time() {
    let run = async || {
        let (client, server) = pair(Config {
            rate: Some(1_000_003),
            ..delayed()
        });
        let start = Instant::now();
        let mut times = Vec::new();
        for round in 1..20 {
            let mut send = client.open_uni().await.unwrap();
            send.set_priority(round % 3);
            send.write_all(&payload(997 * round as usize))
                .await
                .unwrap();
        }
        while times.len() < 19 {
            let mut recv = server.accept_uni().await.unwrap();
            times.push((recv.read_all().await.unwrap().len(), start.elapsed()));
        }
        times
    };
    assert_eq!(run().await, run().await);
}
