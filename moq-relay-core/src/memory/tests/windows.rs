use futures_util::poll;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_stalls_the_writer() {
    let (client, server) = pair(Config {
        stream_window: 1000,
        ..Config::default()
    });
    let (mut send, mut recv) = uni(&client, &server).await;
    let mut write = Box::pin(send.write_chunk(payload(2500)));
    assert!(poll!(&mut write).is_pending());
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert!(poll!(&mut write).is_pending());
    assert_eq!(
        recv.read_chunk(usize::MAX).await.unwrap().unwrap().len(),
        1000
    );
    assert!(poll!(&mut write).is_pending());
    assert_eq!(
        recv.read_chunk(usize::MAX).await.unwrap().unwrap().len(),
        1000
    );
    assert!(poll!(&mut write).is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_write_accepts_what_there_is_room_for() {
    let (client, server) = pair(Config {
        stream_window: 1000,
        ..Config::default()
    });
    let (mut send, mut recv) = uni(&client, &server).await;
    assert_eq!(send.write(&payload(1500)).await, Ok(1000));
    assert!(now(send.write(&payload(500))).is_none());
    recv.read_chunk(300).await.unwrap();
    assert_eq!(send.write(&payload(500)).await, Ok(300));
}

#[tokio::test(start_paused = true)]
async fn a_full_stream_leaves_room_for_others() {
    let (client, server) = pair(Config {
        stream_window: 1000,
        ..Config::default()
    });
    let (mut full, _unread) = uni(&client, &server).await;
    full.write_all(&payload(1000)).await.unwrap();
    let (mut other, mut recv) = uni(&client, &server).await;
    other.write_all(&payload(1000)).await.unwrap();
    assert_eq!(recv.read_chunk(2000).await.unwrap().unwrap().len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn the_streams_of_an_end_share_the_session_window() {
    let (client, server) = pair(Config {
        session_window: 1000,
        ..Config::default()
    });
    let (mut first, mut unread) = uni(&client, &server).await;
    let (mut second, _recv) = uni(&client, &server).await;
    assert_eq!(first.write(&payload(1500)).await, Ok(1000));
    assert!(now(second.write(&payload(1))).is_none());
    assert_eq!(uni_back(&server, &client).await, 1000);
    unread.read_chunk(10).await.unwrap();
    assert_eq!(second.write(&payload(1500)).await, Ok(10));
}

/// How much the other direction accepts.
async fn uni_back(server: &Session, client: &Session) -> usize {
    let (mut send, _recv) = uni(server, client).await;
    send.write(&payload(1500)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_reset_returns_what_was_not_read_to_the_session_window() {
    let (client, server) = pair(Config {
        session_window: 1000,
        ..Config::default()
    });
    let (mut first, _unread) = uni(&client, &server).await;
    let (mut second, _recv) = uni(&client, &server).await;
    first.write_all(&payload(1000)).await.unwrap();
    first.reset(1);
    assert_eq!(second.write(&payload(1500)).await, Ok(1000));
}

#[tokio::test(start_paused = true)]
async fn a_stop_returns_what_was_not_read_to_the_session_window() {
    let (client, server) = pair(Config {
        session_window: 1000,
        ..Config::default()
    });
    let (mut first, unread) = uni(&client, &server).await;
    let (mut second, _recv) = uni(&client, &server).await;
    first.write_all(&payload(1000)).await.unwrap();
    drop(unread);
    assert_eq!(second.write(&payload(1500)).await, Ok(1000));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_write_leaves_a_clean_cut() {
    let (client, server) = pair(Config {
        stream_window: 4,
        ..Config::default()
    });
    let (mut send, mut recv) = uni(&client, &server).await;
    let mut rest = Bytes::from_static(b"123456");
    assert!(now(send.write_all_buf(&mut rest)).is_none());
    assert_eq!(recv.read_chunk(100).await.unwrap().unwrap(), "1234");
    send.write_all_buf(&mut rest).await.unwrap();
    assert_eq!(recv.read_chunk(100).await.unwrap().unwrap(), "56");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_writer_learns_that_it_was_stopped() {
    let (client, server) = pair(Config {
        stream_window: 4,
        ..Config::default()
    });
    let (mut send, mut recv) = uni(&client, &server).await;
    let chunk = payload(5);
    let (write, ()) = tokio::join!(send.write_chunk(chunk), async { recv.stop(3) });
    assert_eq!(write, Err(Error::Stopped(3)));
}
