//! What the relay makes of the certificates and keys it is given.

use moq_relay::args::TlsArgs;
use moq_relay::tls::identity::Identity;
use moq_relay::tls::trust::Trust;

use crate::client;
use crate::development::get;
use crate::process::{Files, Process, fail};

#[tokio::test]
async fn without_a_certificate_it_says_which_flags_to_give() {
    let (code, said) = fail(&[]).await;
    assert_eq!(code, Some(2));
    assert!(
        said.contains("--tls-cert and --tls-key, or --dev"),
        "{said}"
    );
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused() {
    let files = Files::new();
    let (cert, _) = files.certificate("localhost");
    let (code, said) = fail(&["--tls-cert", &cert]).await;
    assert_eq!(code, Some(2));
    assert!(said.contains("1 --tls-cert but 0 --tls-key"), "{said}");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named_with_its_flag() {
    let files = Files::new();
    let (cert, key) = files.certificate("localhost");
    for (flags, flag) in [
        (
            ["--tls-cert", "/nowhere/file", "--tls-key", &key],
            "--tls-cert",
        ),
        (
            ["--tls-cert", &cert, "--tls-key", "/nowhere/file"],
            "--tls-key",
        ),
        (["--dev", "-v", "--tls-root", "/nowhere/file"], "--tls-root"),
    ] {
        let (code, said) = fail(&flags).await;
        assert_eq!(code, Some(2));
        assert!(
            said.contains(&format!("cannot read /nowhere/file given by {flag}: ")),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_file_that_holds_something_else_is_refused() {
    let files = Files::new();
    let (cert, key) = files.certificate("localhost");
    let text = files.write("text", "hello");
    let broken = files.write(
        "broken",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    for (flags, part) in [
        (
            ["--tls-cert", &text, "--tls-key", &key],
            "holds no CERTIFICATE",
        ),
        (
            ["--tls-cert", &key, "--tls-key", &key],
            "holds no CERTIFICATE",
        ),
        (
            ["--tls-cert", &cert, "--tls-key", &cert],
            "holds no PRIVATE KEY",
        ),
        (
            ["--tls-cert", &broken, "--tls-key", &key],
            "certificate that cannot be used",
        ),
        (["--dev", "-v", "--tls-root", &text], "holds no CERTIFICATE"),
        (
            ["--dev", "-v", "--tls-root", &broken],
            "certificate that cannot be used",
        ),
    ] {
        let (code, said) = fail(&flags).await;
        assert_eq!(code, Some(2));
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn a_key_of_another_certificate_is_refused() {
    let files = Files::new();
    let (cert, _) = files.certificate("one.example");
    let (_, key) = files.certificate("two.example");
    let (code, said) = fail(&["--tls-cert", &cert, "--tls-key", &key]).await;
    assert_eq!(code, Some(2));
    let expected = format!("the key {key} does not belong to the certificate {cert}");
    assert!(said.contains(&expected), "{said}");
}

#[tokio::test]
async fn each_client_is_shown_the_certificate_of_the_name_it_asks_for() {
    let files = Files::new();
    let (one, one_key) = files.certificate("one.example");
    let (two, two_key) = files.certificate("two.example");
    let relay = Process::start(&[
        "--tls-cert",
        &one,
        "--tls-key",
        &one_key,
        "--tls-cert",
        &two,
        "--tls-key",
        &two_key,
    ])
    .await;

    let one = Identity::load(one.as_ref(), one_key.as_ref())
        .unwrap()
        .fingerprint();
    let two = Identity::load(two.as_ref(), two_key.as_ref())
        .unwrap()
        .fingerprint();
    for (name, expected) in [
        ("one.example", &one),
        ("two.example", &two),
        ("three.example", &two),
        ("127.0.0.1", &two),
    ] {
        let conn = client::connect(&relay, name, &Trust::Anyone).await.unwrap();
        assert_eq!(client::fingerprint(&conn), *expected, "{name}");
    }
}

#[tokio::test]
async fn a_client_that_trusts_the_certificate_as_its_root_gets_in_and_others_do_not() {
    let files = Files::new();
    let (cert, key) = files.certificate("localhost");
    let (other, _) = files.certificate("other.example");
    let relay = Process::start(&["--tls-cert", &cert, "--tls-key", &key]).await;
    let root = |path: String| {
        let args = TlsArgs {
            tls_root: vec![path.into()],
            ..TlsArgs::default()
        };
        Trust::load(&args).unwrap()
    };
    client::connect(&relay, "localhost", &root(cert))
        .await
        .unwrap();
    client::connect(&relay, "localhost", &root(other))
        .await
        .unwrap_err();
}

#[cfg(unix)]
#[tokio::test]
async fn after_a_hangup_new_connections_get_the_new_certificate() {
    let files = Files::new();
    let (cert, key) = files.certificate("localhost");
    let mut relay = Process::start(&["--dev", "--tls-cert", &cert, "--tls-key", &key]).await;
    let old = client::connect(&relay, "localhost", &Trust::Anyone)
        .await
        .unwrap();
    // Written to the same paths.
    files.certificate("localhost");
    relay.signal("HUP").await;
    relay.says("new connections get the certificates").await;

    let new = client::connect(&relay, "localhost", &Trust::Anyone)
        .await
        .unwrap();
    assert_ne!(client::fingerprint(&old), client::fingerprint(&new));
    assert_eq!(
        get(&relay, "/fingerprint").await.1,
        client::fingerprint(&new)
    );
    assert_eq!(old.close_reason(), None);
}

#[cfg(unix)]
#[tokio::test]
async fn after_a_hangup_with_a_bad_file_everything_stays() {
    let files = Files::new();
    let (cert, key) = files.certificate("localhost");
    let mut relay = Process::start(&["--tls-cert", &cert, "--tls-key", &key]).await;
    let old = client::connect(&relay, "localhost", &Trust::Anyone)
        .await
        .unwrap();
    std::fs::write(&key, "no key").unwrap();
    relay.signal("HUP").await;
    let line = relay.says("the certificates stay as they were").await;
    assert!(line.contains(&key), "{line}");

    let new = client::connect(&relay, "localhost", &Trust::Anyone)
        .await
        .unwrap();
    assert_eq!(client::fingerprint(&old), client::fingerprint(&new));
}

#[cfg(unix)]
#[tokio::test]
async fn a_hangup_does_not_end_a_relay_without_files() {
    let mut relay = Process::development(&[]).await;
    relay.signal("HUP").await;
    relay.says("made at the start, and stays").await;
    client::connect(&relay, "localhost", &Trust::Anyone)
        .await
        .unwrap();
}
