//! How the relay stops.

use crate::client;
use crate::process::Process;

#[tokio::test]
async fn either_signal_stops_it_with_success() {
    for signal in ["INT", "TERM"] {
        let relay = Process::development(&[]).await;
        relay.signal(signal).await;
        let (status, log) = relay.end().await;
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains(&format!(r#"signal="SIG{signal}""#)), "{log}");
    }
}

#[tokio::test]
async fn its_sessions_are_closed_with_a_reason() {
    for web_transport in [false, true] {
        let mut relay = Process::development(&[]).await;
        let session = match web_transport {
            true => client::web_transport(&relay, "/").await,
            false => client::raw(&relay).await,
        };
        relay.says(": connected").await;
        relay.signal("TERM").await;
        println!("{:?}", session.closed().await);
        let (status, log) = relay.end().await;
        assert_eq!(status.code(), Some(0), "{log}");
    }
}
