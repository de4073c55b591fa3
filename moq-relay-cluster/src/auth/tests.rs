use std::sync::Arc;

use super::*;
use crate::hello::NONCE_BYTES;

const BINDING: Binding = [3; 32];

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes()).expect("long enough")
}

fn exchange<'a>(side: Side, challenge: Option<&'a [u8]>) -> Exchange<'a> {
    Exchange {
        side,
        challenge,
        binding: Some(&BINDING),
    }
}

fn proven(name: &str) -> Hello {
    let mut hello = Hello {
        instance: 1,
        nonce: [2; NONCE_BYTES],
        name: Some(name.parse().expect("a name")),
        proof: None,
    };
    let proof = secret("the cluster's secret").prove(&hello, &exchange(Side::Client, None));
    hello.proof = Some(proof);
    hello
}

fn knowing() -> Auth {
    Auth {
        secret: Some(secret("the cluster's secret\n")),
        open: false,
    }
}

fn bound(binding: Binding) -> Visitor {
    Visitor {
        binding: Some(binding),
        certificate: None,
    }
}

#[test]
fn who_knows_the_secret_is_a_node() {
    assert!(knowing().admits(&proven("a"), &bound(BINDING)));
}

#[test]
fn a_proof_is_of_no_use_on_another_session_or_for_another_name() {
    assert!(!knowing().admits(&proven("a"), &bound([4; 32])));
    assert!(!knowing().admits(&proven("a"), &Visitor::default()));
    let mut renamed = proven("a");
    renamed.name = Some("b".parse().expect("a name"));
    assert!(!knowing().admits(&renamed, &bound(BINDING)));
    let mut reborn = proven("a");
    reborn.instance = 2;
    assert!(!knowing().admits(&reborn, &bound(BINDING)));
}

#[test]
fn a_clients_proof_does_not_answer_a_client() {
    let hello = proven("a");
    let reflected = exchange(Side::Server, None);
    assert!(!knowing().believes(&hello, &reflected, false));
    let challenge = exchange(Side::Client, Some(&hello.nonce));
    assert!(!knowing().believes(&hello, &challenge, false));
}

#[test]
fn no_proof_or_a_wrong_one_is_not_enough() {
    let mut hello = proven("a");
    for byte in 0..PROOF_BYTES {
        let mut wrong = proven("a");
        wrong.proof.as_mut().expect("it has one")[byte] ^= 1;
        assert!(!knowing().admits(&wrong, &bound(BINDING)));
    }
    hello.proof = None;
    assert!(!knowing().admits(&hello, &bound(BINDING)));
    assert!(!Auth::default().admits(&proven("a"), &bound(BINDING)));
    let other = Auth {
        secret: Some(secret("another cluster's secret")),
        open: false,
    };
    assert!(!other.admits(&proven("a"), &bound(BINDING)));
}

#[test]
fn a_certificate_proves_the_host_it_is_for() {
    let visitor = Visitor {
        binding: None,
        certificate: Some(Arc::new(|host| host == "a.example")),
    };
    let mut hello = proven("a.example:4443");
    assert!(Auth::default().admits(&hello, &visitor));
    hello.name = Some("b.example".parse().expect("a name"));
    assert!(!Auth::default().admits(&hello, &visitor));
    hello.name = None;
    assert!(Auth::default().admits(&hello, &visitor));
}

#[test]
fn an_open_cluster_admits_everyone() {
    let open = Auth {
        secret: None,
        open: true,
    };
    assert!(open.admits(&proven("a"), &Visitor::default()));
}

#[test]
fn a_secret_has_a_length_and_is_not_printed() {
    assert_eq!(Secret::new(b"short\n").map(|_| ()), Err(SecretError));
    assert_eq!(Secret::new(&[b' '; 40]).map(|_| ()), Err(SecretError));
    assert_eq!(
        format!("{:?}", secret("the cluster's secret")),
        "Secret(..)"
    );
}
