use tokio::task::JoinSet;
use web_transport_trait::{Error as _, Stats as _};

use super::*;

fn closed(code: u32, reason: &str) -> Error {
    Error::Closed {
        code,
        reason: reason.into(),
    }
}

#[tokio::test(start_paused = true)]
async fn closing_tells_the_peer_code_and_reason() {
    let (client, server) = pair(Config::default());
    client.close(7, "enough");
    let error = server.closed().await;
    assert_eq!(error.session_error(), Some((7, "enough".to_owned())));
    assert_eq!(error.stream_error(), None);
}

#[tokio::test(start_paused = true)]
async fn the_end_that_closes_sees_no_code() {
    let (client, _server) = pair(Config::default());
    let (error, ()) = tokio::join!(client.closed(), async { client.close(7, "enough") });
    assert_eq!(error, Error::LocallyClosed);
    assert_eq!(error.session_error(), None);
    assert_eq!(client.open_uni().await.unwrap_err(), Error::LocallyClosed);
}

#[tokio::test(start_paused = true)]
async fn closing_fails_what_waits_at_the_other_end() {
    let config = Config {
        max_uni_streams: 2,
        stream_window: 4,
        ..Config::default()
    };
    let (client, server) = pair(config);
    let (mut full, _unread) = uni(&server, &client).await;
    let (mut open, _unread) = uni(&server, &client).await;
    let (_silent, mut recv) = uni(&client, &server).await;
    full.write_all(&payload(4)).await.unwrap();

    // Each in its own task, so that none is woken by what another waits for.
    let mut waiting = JoinSet::new();
    let [a, b, c, d, e] = [(); 5].map(|()| server.clone());
    waiting.spawn(async move { a.open_uni().await.unwrap_err() });
    waiting.spawn(async move { b.accept_uni().await.unwrap_err() });
    waiting.spawn(async move { c.accept_bi().await.unwrap_err() });
    waiting.spawn(async move { d.recv_datagram().await.unwrap_err() });
    waiting.spawn(async move { e.closed().await });
    waiting.spawn(async move { full.write(b"1").await.unwrap_err() });
    waiting.spawn(async move { open.closed().await.unwrap_err() });
    waiting.spawn(async move { recv.read_chunk(1).await.unwrap_err() });
    settle().await;
    assert!(waiting.try_join_next().is_none());
    client.close(7, "enough");
    assert_eq!(waiting.join_all().await, vec![closed(7, "enough"); 8]);
}

#[tokio::test(start_paused = true)]
async fn closing_fails_what_comes_later_at_the_other_end() {
    let (client, server) = pair(Config::default());
    let (mut send, mut recv) = server.open_bi().await.unwrap();
    client.close(7, "enough");
    assert_eq!(server.open_uni().await.unwrap_err(), closed(7, "enough"));
    assert_eq!(server.accept_uni().await.unwrap_err(), closed(7, "enough"));
    assert_eq!(send.write(b"1").await, Err(closed(7, "enough")));
    assert_eq!(send.closed().await, Err(closed(7, "enough")));
    assert_eq!(recv.read_chunk(1).await, Err(closed(7, "enough")));
    assert_eq!(recv.closed().await, Err(closed(7, "enough")));
}

#[tokio::test(start_paused = true)]
async fn what_arrived_before_the_close_can_still_be_read() {
    let (client, server) = pair(Config::default());
    let mut send = client.open_uni().await.unwrap();
    send.write_all(b"in time").await.unwrap();
    client.close(7, "enough");
    let mut recv = server.accept_uni().await.unwrap();
    assert_eq!(recv.read_chunk(100).await.unwrap().unwrap(), "in time");
    assert_eq!(recv.read_chunk(100).await, Err(closed(7, "enough")));
    assert_eq!(server.accept_uni().await.unwrap_err(), closed(7, "enough"));
}

#[tokio::test(start_paused = true)]
async fn closing_loses_what_waits_for_the_link() {
    let (client, server) = pair(Config {
        rate: Some(12_000),
        ..Config::default()
    });
    let mut send = client.open_uni().await.unwrap();
    send.write_all(&payload(3600)).await.unwrap();
    client.close(7, "enough");
    assert_eq!(server.closed().await, closed(7, "enough"));
    let mut recv = server.accept_uni().await.unwrap();
    assert_eq!(recv.read_chunk(9000).await.unwrap().unwrap().len(), 1200);
    assert_eq!(recv.read_chunk(9000).await, Err(closed(7, "enough")));
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(client.stats().bytes_sent(), Some(1200));
}

#[tokio::test(start_paused = true)]
async fn an_end_that_has_closed_hears_nothing_more() {
    let delay = Duration::from_millis(5);
    let (client, server) = pair(Config {
        delay,
        ..Config::default()
    });
    let (mut send, mut recv) = uni(&client, &server).await;
    send.write_all(b"too late").await.unwrap();
    server.close(7, "enough");
    tokio::time::advance(delay).await;
    assert_eq!(recv.read_chunk(100).await, Err(Error::LocallyClosed));
    assert_eq!(server.stats().bytes_received(), Some(4));
}

#[tokio::test(start_paused = true)]
async fn the_first_close_counts() {
    let (client, server) = pair(Config::default());
    client.close(1, "first");
    client.close(2, "second");
    server.close(3, "third");
    assert_eq!(server.closed().await, closed(1, "first"));
    assert_eq!(client.closed().await, Error::LocallyClosed);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_closes_with_code_zero() {
    let (client, server) = pair(Config::default());
    let clone = client.clone();
    drop(client);
    assert!(now(server.closed()).is_none());
    drop(clone);
    assert_eq!(server.closed().await, closed(0, ""));
}

#[tokio::test(start_paused = true)]
async fn a_stream_keeps_its_session_open() {
    let (client, server) = pair(Config::default());
    let (mut send, mut recv) = uni(&client, &server).await;
    drop(client);
    send.write_all(b"still here").await.unwrap();
    assert_eq!(recv.read_chunk(100).await.unwrap().unwrap(), "still here");
    drop(send);
    assert_eq!(server.closed().await, closed(0, ""));
}

#[tokio::test(start_paused = true)]
async fn a_cut_link_delivers_nothing() {
    let (client, server) = pair(Config {
        stream_window: 100,
        ..Config::default()
    });
    let (mut send, mut recv) = uni(&client, &server).await;
    send.write_all(b"before").await.unwrap();
    server.cut();
    assert_eq!(send.write(&payload(200)).await, Ok(94));
    assert!(now(send.write(b"1")).is_none());
    assert_eq!(recv.read_chunk(100).await.unwrap().unwrap(), "before");
    assert!(now(send.write(b"1")).is_none());
    client.close(7, "unheard");
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert!(now(recv.read_chunk(1)).is_none());
    assert!(now(server.closed()).is_none());
}

#[tokio::test(start_paused = true)]
async fn what_was_in_flight_is_lost_with_the_link() {
    let (client, server) = pair(Config {
        delay: Duration::from_millis(5),
        ..Config::default()
    });
    let mut send = client.open_uni().await.unwrap();
    send.write_all(b"1").await.unwrap();
    client.cut();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(now(server.accept_uni()).is_none());
}

#[tokio::test(start_paused = true)]
async fn both_ends_time_out_after_the_link_was_cut() {
    let idle = Duration::from_secs(30);
    let (client, server) = pair(Config {
        idle: Some(idle),
        ..Config::default()
    });
    let (_send, mut recv) = uni(&client, &server).await;
    tokio::time::advance(2 * idle).await;
    assert!(now(client.closed()).is_none());
    client.cut();
    let waiting = async { tokio::join!(client.closed(), server.closed(), recv.read_chunk(1)) };
    let ((here, there, read), elapsed) = took(waiting).await;
    assert_eq!(elapsed, idle);
    assert_eq!(
        (here.clone(), there, read),
        (Error::TimedOut, Error::TimedOut, Err(Error::TimedOut))
    );
    assert_eq!((here.session_error(), here.stream_error()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn statistics_count_payload() {
    let (client, server) = pair(Config {
        rate: Some(1000),
        ..Config::default()
    });
    let (_send, _recv) = uni(&client, &server).await;
    assert_eq!(client.stats().bytes_sent(), Some(4));
    assert_eq!(client.stats().bytes_received(), Some(0));
    assert_eq!(server.stats().bytes_received(), Some(4));
    assert_eq!(client.stats().estimated_send_rate(), Some(8000));
}

#[tokio::test(start_paused = true)]
async fn datagrams_are_refused() {
    let (client, _server) = pair(Config::default());
    assert_eq!(client.max_datagram_size(), 0);
    assert_eq!(
        client.send_datagram(payload(1)),
        Err(Error::DatagramsUnsupported)
    );
}

#[tokio::test(start_paused = true)]
async fn the_protocol_is_what_was_configured() {
    let (client, server) = pair(Config {
        protocol: Some("moq".into()),
        ..Config::default()
    });
    assert_eq!(
        (client.protocol(), server.protocol()),
        (Some("moq"), Some("moq"))
    );
}

#[test]
fn ends_work_and_drop_outside_a_runtime() {
    let (client, server) = pair(Config {
        delay: Duration::from_millis(1),
        ..Config::default()
    });
    let mut send = now(client.open_uni()).unwrap().unwrap();
    now(send.write_all(b"1")).unwrap().unwrap();
    assert!(now(server.accept_uni()).is_none());
}
