use super::*;

#[tokio::test(start_paused = true)]
async fn both_directions_of_a_bidirectional_stream_work() {
    let (client, server) = pair(Config::default());
    let (mut send, mut recv) = client.open_bi().await.unwrap();
    send.write_all(b"ping").await.unwrap();
    send.finish().unwrap();
    let (mut answer, mut question) = server.accept_bi().await.unwrap();
    assert_eq!(question.read_all().await.unwrap(), "ping");
    answer.write_all(b"pong").await.unwrap();
    answer.finish().unwrap();
    assert_eq!(recv.read_all().await.unwrap(), "pong");
}

#[tokio::test(start_paused = true)]
async fn chunks_travel_without_a_copy() {
    let (client, server) = pair(Config::default());
    let (mut send, mut recv) = uni(&client, &server).await;
    let chunk = payload(5000);
    send.write_chunk(chunk.clone()).await.unwrap();
    let head = recv.read_chunk(1000).await.unwrap().unwrap();
    let tail = recv.read_chunk(usize::MAX).await.unwrap().unwrap();
    assert_eq!(head.as_ptr(), chunk.as_ptr());
    assert_eq!(tail.as_ptr(), chunk[1000..].as_ptr());
    assert_eq!((head.len(), tail.len()), (1000, 4000));
}

#[tokio::test(start_paused = true)]
async fn a_stream_arrives_with_its_first_byte() {
    let (client, server) = pair(Config::default());
    let mut first = client.open_uni().await.unwrap();
    let mut second = client.open_uni().await.unwrap();
    assert!(now(server.accept_uni()).is_none());
    second.write_all(b"2").await.unwrap();
    first.write_all(b"1").await.unwrap();
    let mut earlier = server.accept_uni().await.unwrap();
    let mut later = server.accept_uni().await.unwrap();
    assert_eq!(earlier.read_chunk(1).await.unwrap().unwrap(), "2");
    assert_eq!(later.read_chunk(1).await.unwrap().unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn dropping_a_send_stream_is_a_clean_end() {
    let (client, server) = pair(Config::default());
    let (mut send, mut recv) = uni(&client, &server).await;
    send.write_all(b"half a frame").await.unwrap();
    drop(send);
    assert_eq!(recv.read_all().await.unwrap(), "half a frame");
    assert_eq!(recv.read_chunk(1).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn an_empty_stream_arrives_with_its_end() {
    let (client, server) = pair(Config::default());
    drop(client.open_uni().await.unwrap());
    let mut recv = server.accept_uni().await.unwrap();
    assert_eq!(recv.read_chunk(1).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn nothing_can_follow_the_end() {
    let (client, server) = pair(Config::default());
    let (mut send, _recv) = uni(&client, &server).await;
    send.finish().unwrap();
    assert_eq!(send.write(b"more").await, Err(Error::ClosedStream));
    assert_eq!(send.finish(), Err(Error::ClosedStream));
}

#[tokio::test(start_paused = true)]
async fn the_end_is_acknowledged_once_everything_was_read() {
    let (client, server) = pair(Config::default());
    let (mut send, mut recv) = uni(&client, &server).await;
    send.write_all(b"12").await.unwrap();
    send.finish().unwrap();
    assert!(now(send.closed()).is_none());
    recv.read_chunk(1).await.unwrap();
    assert!(now(send.closed()).is_none());
    recv.read_chunk(1).await.unwrap();
    assert_eq!(now(send.closed()), Some(Ok(())));
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_wakes_who_waits_for_it() {
    let (client, server) = pair(Config::default());
    let (mut send, mut recv) = uni(&client, &server).await;
    send.finish().unwrap();
    let (closed, read) = tokio::join!(send.closed(), recv.read_chunk(1));
    assert_eq!((closed, read), (Ok(()), Ok(None)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_not_finished_is_not_acknowledged() {
    let (client, server) = pair(Config::default());
    let (mut send, _recv) = uni(&client, &server).await;
    assert!(now(send.closed()).is_none());
}

#[tokio::test(start_paused = true)]
async fn reading_nothing_is_not_the_end() {
    let (client, server) = pair(Config::default());
    let (_send, mut recv) = uni(&client, &server).await;
    assert_eq!(recv.read_chunk(0).await, Ok(Some(Bytes::new())));
    assert_eq!(recv.read(&mut []).await, Ok(Some(0)));
}
