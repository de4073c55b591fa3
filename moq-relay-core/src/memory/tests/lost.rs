use web_transport_trait::Error as _;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_reset_discards_what_was_not_read() {
    let (client, server) = pair(Config::default());
    let (mut send, mut recv) = uni(&client, &server).await;
    send.write_all(b"unread").await.unwrap();
    send.reset(9);
    let error = recv.read_chunk(100).await.unwrap_err();
    assert_eq!(error, Error::Reset(9));
    assert_eq!(
        (error.stream_error(), error.session_error()),
        (Some(9), None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_reset_wakes_the_reader() {
    let (client, server) = pair(Config::default());
    let (mut send, mut recv) = uni(&client, &server).await;
    let (read, ()) = tokio::join!(recv.read_chunk(1), async { send.reset(9) });
    assert_eq!(read, Err(Error::Reset(9)));
}

#[tokio::test(start_paused = true)]
async fn a_read_after_the_reset_was_reported_looks_like_a_clean_end() {
    let (client, server) = pair(Config::default());
    let (mut send, mut recv) = uni(&client, &server).await;
    send.reset(9);
    assert_eq!(recv.read_chunk(1).await, Err(Error::Reset(9)));
    assert_eq!(recv.read_chunk(1).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_finished_stream_can_be_reset_until_it_was_read() {
    let (client, server) = pair(Config::default());
    let (mut send, mut recv) = uni(&client, &server).await;
    send.write_all(b"unread").await.unwrap();
    send.finish().unwrap();
    send.reset(9);
    assert_eq!(recv.read_chunk(1).await, Err(Error::Reset(9)));

    let (mut send, mut recv) = uni(&client, &server).await;
    send.finish().unwrap();
    send.reset(9);
    assert_eq!(recv.read_chunk(1).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_reset_stream_cannot_be_written_and_counts_as_closed() {
    let (client, server) = pair(Config::default());
    let (mut send, _recv) = uni(&client, &server).await;
    send.reset(9);
    assert_eq!(send.write(b"more").await, Err(Error::ClosedStream));
    assert_eq!(send.closed().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_stream_reset_before_its_first_byte_is_never_seen() {
    let (client, server) = pair(Config::default());
    client.open_uni().await.unwrap().reset(9);
    let (mut send, mut recv) = client.open_bi().await.unwrap();
    send.reset(9);
    assert!(now(server.accept_uni()).is_none());
    assert!(now(server.accept_bi()).is_none());
    assert_eq!(recv.read_chunk(1).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_stream_reset_after_its_first_byte_is_accepted() {
    let (client, server) = pair(Config::default());
    let mut send = client.open_uni().await.unwrap();
    send.write_all(b"1").await.unwrap();
    send.reset(9);
    let mut recv = server.accept_uni().await.unwrap();
    assert_eq!(recv.read_chunk(1).await, Err(Error::Reset(9)));
}

#[tokio::test(start_paused = true)]
async fn a_reader_can_wait_for_a_reset_without_reading() {
    let (client, server) = pair(Config::default());
    let (mut send, mut recv) = uni(&client, &server).await;
    assert!(now(recv.closed()).is_none());
    send.reset(9);
    assert_eq!(recv.closed().await, Ok(()));
    assert_eq!(recv.read_chunk(1).await, Err(Error::ClosedStream));
}

#[tokio::test(start_paused = true)]
async fn a_stop_fails_writes_and_closed_with_its_code() {
    let (client, server) = pair(Config::default());
    let (mut send, mut recv) = uni(&client, &server).await;
    let (closed, ()) = tokio::join!(send.closed(), async { recv.stop(5) });
    assert_eq!(closed, Err(Error::Stopped(5)));
    let error = send.write(b"more").await.unwrap_err();
    assert_eq!(
        (error.stream_error(), error.session_error()),
        (Some(5), None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_read_after_a_stop_looks_like_a_clean_end() {
    let (client, server) = pair(Config::default());
    let (mut send, mut recv) = uni(&client, &server).await;
    send.write_all(b"unread").await.unwrap();
    recv.stop(5);
    assert_eq!(recv.read_chunk(1).await, Ok(None));
    assert_eq!(recv.closed().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn finishing_a_stopped_stream_is_accepted() {
    let (client, server) = pair(Config::default());
    let (mut send, mut recv) = uni(&client, &server).await;
    recv.stop(5);
    assert_eq!(send.finish(), Ok(()));
    assert_eq!(send.closed().await, Err(Error::Stopped(5)));
}

#[tokio::test(start_paused = true)]
async fn dropping_a_recv_stream_stops_it_with_code_zero() {
    let (client, server) = pair(Config::default());
    let (mut send, recv) = uni(&client, &server).await;
    drop(recv);
    assert_eq!(send.write(b"more").await, Err(Error::Stopped(0)));
}

#[tokio::test(start_paused = true)]
async fn a_finished_stream_that_is_dropped_unread_was_stopped() {
    let (client, server) = pair(Config::default());
    let (mut send, recv) = uni(&client, &server).await;
    send.write_all(b"unread").await.unwrap();
    send.finish().unwrap();
    drop(recv);
    assert_eq!(send.closed().await, Err(Error::Stopped(0)));
}

#[tokio::test(start_paused = true)]
async fn a_finished_stream_that_is_dropped_once_read_was_not_stopped() {
    let (client, server) = pair(Config::default());
    let (mut send, recv) = uni(&client, &server).await;
    send.finish().unwrap();
    drop(recv);
    assert_eq!(send.closed().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn the_other_direction_survives_a_stop() {
    let (client, server) = pair(Config::default());
    let (mut send, recv) = client.open_bi().await.unwrap();
    send.write_all(b"1").await.unwrap();
    let (mut answer, mut question) = server.accept_bi().await.unwrap();
    drop(recv);
    assert_eq!(answer.write(b"2").await, Err(Error::Stopped(0)));
    send.write_all(b"3").await.unwrap();
    drop(send);
    assert_eq!(question.read_all().await.unwrap(), "13");
}
