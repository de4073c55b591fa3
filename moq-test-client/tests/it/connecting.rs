//! From a URL to a session, and what is said when there is none.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use moq_test_client::connect::connect;
use moq_test_client::dial::DialOptions;
use moq_test_client::tls::Trust;
use moq_transfork::dialect::Dialect;

use crate::relay::{TestRelay, soon};

/// Connects in vain and returns the error with its advice.
async fn refused(options: &DialOptions) -> (String, &'static str) {
    let Err(error) = soon(connect(options, None)).await else {
        panic!("it connected");
    };
    (error.to_string(), error.advice().unwrap_or_default())
}

#[tokio::test]
async fn every_dialect_connects_over_every_transport() {
    let relay = TestRelay::start().await;
    for scheme in ["https", "moqf", "http"] {
        for dialect in Dialect::ALL {
            let client = soon(connect(&relay.options(scheme, dialect), None))
                .await
                .unwrap();
            assert_eq!(client.peer().dialect(), dialect, "over {scheme}");
            soon(client.close("done")).await;
        }
    }
}

#[tokio::test]
async fn http_pins_what_the_relay_tells_and_trusts_nothing_else() {
    let relay = TestRelay::start().await;
    let mut options = relay.options("http", Dialect::Draft03);
    options.trust = Trust::System;
    assert!(soon(connect(&options, None)).await.is_ok());
}

#[tokio::test]
async fn a_root_file_vouches_for_the_relay() {
    let relay = TestRelay::start().await;
    let mut options = relay.options("https", Dialect::Draft03);
    options.trust = Trust::Roots(vec![relay.certificate_file()]);
    assert!(soon(connect(&options, None)).await.is_ok());
}

#[tokio::test]
async fn another_certificate_is_refused_and_the_way_out_is_told() {
    let relay = TestRelay::start().await;
    let other = TestRelay::start().await;
    let mut options = relay.options("https", Dialect::Draft03);
    options.trust = Trust::Fingerprints(vec![other.fingerprint]);
    let (error, advice) = refused(&options).await;
    assert!(
        error.contains("certificate") && error.contains("127.0.0.1"),
        "{error}"
    );
    assert!(advice.contains("--tls-root"), "{advice}");
}

#[tokio::test]
async fn silence_ends_in_a_timeout_that_names_the_address() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("moqf://{}", silent.local_addr().unwrap());
    let mut options = DialOptions::new(url.parse().unwrap());
    options.timeout = Duration::from_millis(300);
    options.trust = Trust::Anything;
    let (error, advice) = refused(&options).await;
    assert!(
        error.contains(&silent.local_addr().unwrap().to_string()),
        "{error}"
    );
    assert!(error.contains("300 ms"), "{error}");
    assert!(advice.contains("running"), "{advice}");
}

#[tokio::test]
async fn a_missing_fingerprint_is_told_as_such() {
    let relay = TestRelay::start().await;
    let port = relay.options("http", Dialect::Draft03).url.port();
    drop(relay);
    let options = DialOptions::new(format!("http://127.0.0.1:{port}").parse().unwrap());
    let (error, advice) = refused(&options).await;
    assert!(error.contains("/fingerprint"), "{error}");
    assert!(advice.contains("https://"), "{advice}");
}

#[tokio::test]
async fn a_local_address_that_is_not_ours_is_told_as_such() {
    let relay = TestRelay::start().await;
    let mut options = relay.options("moqf", Dialect::Draft03);
    // TEST-NET-1 is nobody's (RFC 5737).
    options.bind = Some(([192, 0, 2, 1], 0).into());
    let (error, advice) = refused(&options).await;
    assert!(error.contains("192.0.2.1"), "{error}");
    assert!(advice.contains("--bind"), "{advice}");
}
