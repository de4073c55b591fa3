//! Many streams at once, each with its own fate.

use std::sync::Arc;

use tokio::task::JoinSet;
use web_transport_trait::Stats as _;

use super::*;

/// What becomes of a stream, by its number.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Finished,
    Dropped,
    Reset,
    Stopped,
    Ignored,
}

impl Fate {
    fn of(number: usize) -> Self {
        match number % 7 {
            0 => Self::Dropped,
            1 => Self::Reset,
            2 => Self::Stopped,
            3 => Self::Ignored,
            _ => Self::Finished,
        }
    }
}

/// A stream's payload: its number in two bytes, and then counted up from there.
fn content(number: usize) -> Vec<u8> {
    let mut bytes = (number as u16).to_be_bytes().to_vec();
    bytes.extend((0..number * 37 % 5000).map(|offset| (number + offset) as u8));
    bytes
}

async fn write(session: Arc<Session>, number: usize) {
    let mut send = session.open_uni().await.unwrap();
    send.set_priority((number % 5) as i32);
    let written = send.write_chunk(content(number).into()).await;
    match Fate::of(number) {
        Fate::Finished => {
            written.unwrap();
            send.finish().unwrap();
            send.closed().await.unwrap();
        }
        Fate::Dropped => written.unwrap(),
        Fate::Reset => send.reset(1),
        Fate::Stopped | Fate::Ignored => drop(written),
    }
}

async fn read(mut recv: RecvStream) {
    let mut got = Vec::new();
    while got.len() < 2 {
        match recv.read_chunk(2 - got.len()).await {
            Ok(Some(chunk)) => got.extend_from_slice(&chunk),
            Ok(None) => panic!("the number is missing"),
            Err(error) => return assert_eq!(error, Error::Reset(1)),
        }
    }
    let number = u16::from_be_bytes([got[0], got[1]]) as usize;
    match Fate::of(number) {
        Fate::Finished | Fate::Dropped => {
            got.extend_from_slice(&recv.read_all().await.unwrap());
            assert!(got == content(number));
        }
        Fate::Reset => match recv.read_all().await {
            Ok(rest) => assert!(content(number).ends_with(&rest)),
            Err(error) => assert_eq!(error, Error::Reset(1)),
        },
        Fate::Stopped => recv.stop(2),
        Fate::Ignored => {}
    }
}

/// Sends streams one way until each has met its fate, and checks that nothing is left of them.
async fn soak(config: Config, streams: usize, wait: impl AsyncFn()) {
    let (client, server) = pair(config);
    let client = Arc::new(client);
    let mut writers = JoinSet::new();
    for number in 0..streams {
        writers.spawn(write(client.clone(), number));
    }
    let reading = async {
        let mut readers = JoinSet::new();
        while let Ok(recv) = server.accept_uni().await {
            readers.spawn(read(recv));
        }
        readers.join_all().await;
    };
    let done = async {
        writers.join_all().await;
        while !client.is_empty() {
            wait().await;
        }
        client.close(0, "done");
    };
    tokio::join!(reading, done);
    assert_eq!(client.stats().streams().unwrap().uni.open, 0);
}

fn narrow() -> Config {
    Config {
        max_uni_streams: 7,
        stream_window: 700,
        session_window: 1500,
        ..Config::default()
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_many_streams() {
    let wait = tokio::task::yield_now;
    soak(Config::default(), 1000, wait).await;
    soak(narrow(), 1000, wait).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_many_streams_over_a_link() {
    let link = |config| Config {
        delay: Duration::from_millis(3),
        rate: Some(5_000_000),
        ..config
    };
    let wait = || tokio::time::advance(Duration::from_millis(1));
    soak(link(Config::default()), 1000, wait).await;
    soak(link(narrow()), 1000, wait).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_left_of_many_streams_on_many_threads() {
    let wait = tokio::task::yield_now;
    soak(Config::default(), 1000, wait).await;
    soak(narrow(), 1000, wait).await;
}
