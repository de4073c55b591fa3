//! An accepted or dialled session, as the relay's core takes it.

use std::sync::Arc;

use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use web_transport_quinn as quic;
use web_transport_trait as wt;

use crate::transport::StreamGrants;

/// Tells the values that we export from TLS handshakes from those of others (RFC 5705).
const BINDING_LABEL: &[u8] = b"EXPERIMENTAL moq-relay-cluster";

/// A WebTransport or raw QUIC session that raises its stream limits as its peer needs them.
///
/// Everything else is [`web_transport_quinn::Session`]'s. Clones are the same session, and small:
/// every future that has to do with a session holds one.
#[derive(Clone, Debug)]
pub struct Session {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    inner: quic::Session,
    grants: StreamGrants,
}

impl Session {
    /// Wraps a session whose handshake is done.
    pub fn new(inner: quic::Session) -> Self {
        // The deref is to the QUIC connection below.
        let conn = quinn::Connection::clone(&inner);
        let grants = StreamGrants::new(conn);
        Self {
            shared: Arc::new(Shared { inner, grants }),
        }
    }

    /// What only the two ends of this session know: a value exported from its TLS handshake.
    pub fn binding(&self) -> Option<[u8; 32]> {
        let mut binding = [0; 32];
        let exported = self
            .shared
            .inner
            .export_keying_material(&mut binding, BINDING_LABEL, &[]);
        exported.ok().map(|()| binding)
    }

    /// The certificate that the peer showed, if it was asked for one and had one.
    pub fn certificate(&self) -> Option<CertificateDer<'static>> {
        let identity = self.shared.inner.peer_identity()?;
        let chain = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        chain.first().cloned()
    }
}

impl wt::Session for Session {
    type SendStream = quic::SendStream;
    type RecvStream = quic::RecvStream;
    type Error = quic::SessionError;

    async fn accept_uni(&self) -> Result<Self::RecvStream, Self::Error> {
        let recv = self.shared.inner.accept_uni().await?;
        self.shared.grants.group_opened();
        Ok(recv)
    }

    async fn accept_bi(&self) -> Result<(Self::SendStream, Self::RecvStream), Self::Error> {
        let streams = self.shared.inner.accept_bi().await?;
        self.shared.grants.request_opened();
        Ok(streams)
    }

    async fn open_bi(&self) -> Result<(Self::SendStream, Self::RecvStream), Self::Error> {
        self.shared.inner.open_bi().await
    }

    async fn open_uni(&self) -> Result<Self::SendStream, Self::Error> {
        self.shared.inner.open_uni().await
    }

    fn send_datagram(&self, payload: Bytes) -> Result<(), Self::Error> {
        self.shared.inner.send_datagram(payload)
    }

    async fn recv_datagram(&self) -> Result<Bytes, Self::Error> {
        self.shared.inner.read_datagram().await
    }

    fn max_datagram_size(&self) -> usize {
        self.shared.inner.max_datagram_size()
    }

    fn protocol(&self) -> Option<&str> {
        self.shared.inner.protocol()
    }

    fn close(&self, code: u32, reason: &str) {
        self.shared.inner.close(code, reason.as_bytes());
    }

    async fn closed(&self) -> Self::Error {
        self.shared.inner.closed().await
    }

    fn stats(&self) -> impl wt::Stats {
        self.shared.inner.stats()
    }
}
