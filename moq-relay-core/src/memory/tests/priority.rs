use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

use super::*;

/// A link on which a packet of 1200 bytes takes 12 ms.
fn slow() -> Config {
    Config {
        rate: Some(100_000),
        ..Config::default()
    }
}

/// The order in which the server gets the packets of streams that say their number all along.
async fn arrivals(server: &Session, count: usize) -> Vec<u8> {
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let mut recv = server.accept_uni().await.unwrap();
        let order = order.clone();
        tasks.spawn(async move {
            while let Some(packet) = recv.read_chunk(usize::MAX).await.unwrap() {
                order.lock().unwrap().push(packet[0]);
            }
        });
    }
    tasks.join_all().await;
    Arc::into_inner(order).unwrap().into_inner().unwrap()
}

/// Writes a finished stream of whole packets.
async fn send(client: &Session, number: u8, priority: i32, packets: usize) -> SendStream {
    let mut send = client.open_uni().await.unwrap();
    send.set_priority(priority);
    send.write_chunk(vec![number; packets * 1200].into())
        .await
        .unwrap();
    send.finish().unwrap();
    send
}

#[tokio::test(start_paused = true)]
async fn the_higher_priority_goes_first() {
    let (client, server) = pair(slow());
    let _streams = [
        send(&client, 0, i32::MAX, 1).await,
        send(&client, 1, -5, 2).await,
        send(&client, 2, 0, 2).await,
        send(&client, 3, 5, 2).await,
    ];
    assert_eq!(arrivals(&server, 4).await, [0, 3, 3, 2, 2, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn equal_priorities_take_turns_in_the_order_they_came() {
    let (client, server) = pair(slow());
    let _streams = [
        send(&client, 0, 1, 1).await,
        send(&client, 1, 0, 2).await,
        send(&client, 2, 0, 2).await,
        send(&client, 3, 0, 1).await,
    ];
    assert_eq!(arrivals(&server, 4).await, [0, 1, 2, 3, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_packet_that_is_being_sent_is_not_interrupted() {
    let (client, server) = pair(slow());
    let _low = send(&client, 1, 0, 3).await;
    tokio::time::advance(Duration::from_millis(13)).await;
    let _high = send(&client, 2, 9, 1).await;
    assert_eq!(arrivals(&server, 2).await, [1, 1, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_priority_counts_from_the_packet_after_the_next() {
    let (client, server) = pair(slow());
    let _first = send(&client, 0, 9, 1).await;
    let mut raised = send(&client, 1, -1, 2).await;
    let _other = send(&client, 2, 0, 2).await;
    raised.set_priority(1);
    assert_eq!(arrivals(&server, 3).await, [0, 2, 2, 1, 1]);

    let _first = send(&client, 0, 9, 1).await;
    let mut lowered = send(&client, 1, 1, 2).await;
    let _other = send(&client, 2, 0, 2).await;
    lowered.set_priority(-1);
    assert_eq!(arrivals(&server, 3).await, [0, 1, 2, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_session_window_is_served_by_priority() {
    let (client, server) = pair(Config {
        session_window: 1000,
        ..Config::default()
    });
    let (mut filler, mut unread) = uni(&client, &server).await;
    filler.write_all(&payload(1000)).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for (number, priority) in [(1, 0), (2, 5), (3, 0), (4, 9)] {
        let mut send = client.open_uni().await.unwrap();
        send.set_priority(priority);
        let order = order.clone();
        tasks.spawn(async move {
            send.write_chunk(payload(500)).await.unwrap();
            order.lock().unwrap().push(number);
            send
        });
    }
    settle().await;
    assert!(order.lock().unwrap().is_empty());
    unread.read_chunk(500).await.unwrap();
    settle().await;
    assert_eq!(*order.lock().unwrap(), [4]);
    unread.read_chunk(500).await.unwrap();
    settle().await;
    assert_eq!(*order.lock().unwrap(), [4, 2]);
    server
        .accept_uni()
        .await
        .unwrap()
        .read_chunk(500)
        .await
        .unwrap();
    server
        .accept_uni()
        .await
        .unwrap()
        .read_chunk(500)
        .await
        .unwrap();
    settle().await;
    assert_eq!(*order.lock().unwrap(), [4, 2, 1, 3]);
}
