//! A relay in a server of your own: whatever accepts WebTransport sessions hands them over.
//!
//! Run it with `cargo run -p moq-relay-core --example embed`. It prints the hash of its
//! certificate; then, in two other terminals, with that hash as HASH:
//!
//! ```sh
//! cargo run -p moq-test-client -- -r https://127.0.0.1:4443 --tls-fingerprint HASH publish
//! cargo run -p moq-test-client -- -r https://127.0.0.1:4443 --tls-fingerprint HASH subscribe
//! ```

use moq_relay_core::relay::{Relay, RelayConfig};
use tokio::task::JoinSet;
use web_transport_quinn::{Server, ServerBuilder};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    serve(listen()?).await;
    Ok(())
}

/// This is all it takes.
async fn serve(mut server: Server) {
    let relay = Relay::new(RelayConfig::default());
    let mut sessions = JoinSet::new();
    while let Some(request) = server.accept().await {
        let relay = relay.clone();
        sessions.spawn(async move {
            let session = request.ok().await?;
            relay.serve(session).await?;
            anyhow::Ok(())
        });
    }
}

/// Listens on a fixed port with a certificate made on the spot.
fn listen() -> anyhow::Result<Server> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let signed = rcgen::generate_simple_self_signed(names)?;
    let certificate = signed.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der())
        .map_err(anyhow::Error::msg)?;
    let hash = web_transport_quinn::crypto::sha256(
        &web_transport_quinn::crypto::default_provider(),
        &certificate,
    );
    eprintln!(
        "listening on 127.0.0.1:4443, certificate hash {}",
        hex::encode(hash)
    );
    let builder = ServerBuilder::new().with_addr("127.0.0.1:4443".parse()?);
    Ok(builder.with_certificate(vec![certificate], key)?)
}
