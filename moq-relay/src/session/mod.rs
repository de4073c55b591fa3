//! An accepted or dialled session, as the relay's core takes it.

mod error;
mod opening;
mod stats;
mod streams;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use quinn::crypto::rustls::HandshakeData;
use rustls::pki_types::CertificateDer;
use web_transport_quinn as h3;
use web_transport_trait as wt;

pub use error::{ReadError, SessionError, WriteError};
pub use streams::{RecvStream, SendStream};

use crate::session::opening::Opening;
use crate::session::stats::Stats;
use crate::session::streams::{raw, web_transport};
use crate::transport::StreamGrants;

/// Tells the values that we export from TLS handshakes from those of others (RFC 5705).
const BINDING_LABEL: &[u8] = b"EXPERIMENTAL moq-relay-cluster";

/// A WebTransport or raw QUIC session that raises its stream limits as its peer needs them.
///
/// Raw QUIC is quinn itself: what a stream costs counts where each group has one. WebTransport is
/// [`web_transport_quinn`]'s. Clones are the same session, and small: every future that has to do
/// with a session holds one.
#[derive(Clone, Debug)]
pub struct Session {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    conn: quinn::Connection,
    layer: Layer,
    grants: StreamGrants,
}

/// What is on top of the QUIC connection.
#[derive(Debug)]
enum Layer {
    /// Nothing, by an ALPN that says so.
    Raw { alpn: Option<String> },
    WebTransport {
        session: Arc<h3::Session>,
        opening: Opening,
    },
}

impl Session {
    /// Takes a QUIC connection whose handshake is done.
    pub fn raw(conn: quinn::Connection) -> Self {
        let alpn = alpn(&conn).and_then(|alpn| String::from_utf8(alpn).ok());
        Self::new(conn, Layer::Raw { alpn })
    }

    /// Takes a WebTransport session whose handshake is done.
    pub fn web_transport(session: h3::Session) -> Self {
        // The deref is to the QUIC connection below.
        let conn = quinn::Connection::clone(&session);
        let layer = Layer::WebTransport {
            session: Arc::new(session),
            opening: Opening::default(),
        };
        Self::new(conn, layer)
    }

    fn new(conn: quinn::Connection, layer: Layer) -> Self {
        Self {
            shared: Arc::new(Shared {
                conn,
                layer,
                grants: StreamGrants::default(),
            }),
        }
    }

    /// What only the two ends of this session know: a value exported from its TLS handshake.
    pub fn binding(&self) -> Option<[u8; 32]> {
        let mut binding = [0; 32];
        let conn = &self.shared.conn;
        let exported = conn.export_keying_material(&mut binding, BINDING_LABEL, &[]);
        exported.ok().map(|()| binding)
    }

    /// The certificate that the peer showed, if it was asked for one and had one.
    pub fn certificate(&self) -> Option<CertificateDer<'static>> {
        let identity = self.shared.conn.peer_identity()?;
        let chain = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        chain.first().cloned()
    }
}

/// Returns the ALPN that a connection's handshake agreed on.
pub(crate) fn alpn(conn: &quinn::Connection) -> Option<Vec<u8>> {
    conn.handshake_data()?
        .downcast::<HandshakeData>()
        .ok()?
        .protocol
}

impl wt::Session for Session {
    type SendStream = SendStream;
    type RecvStream = RecvStream;
    type Error = SessionError;

    async fn accept_uni(&self) -> Result<RecvStream, SessionError> {
        let recv = match &self.shared.layer {
            Layer::Raw { .. } => RecvStream::Raw(self.shared.conn.accept_uni().await?),
            // Boxed: each session waits here, and for quinn it takes half as much room.
            Layer::WebTransport { session, .. } => {
                RecvStream::WebTransport(session.accept_uni().boxed().await?)
            }
        };
        self.shared.grants.group_opened(&self.shared.conn);
        Ok(recv)
    }

    async fn accept_bi(&self) -> Result<(SendStream, RecvStream), SessionError> {
        let streams = match &self.shared.layer {
            Layer::Raw { .. } => raw(self.shared.conn.accept_bi().await?),
            Layer::WebTransport { session, .. } => {
                web_transport(session.accept_bi().boxed().await?)
            }
        };
        self.shared.grants.request_opened(&self.shared.conn);
        Ok(streams)
    }

    async fn open_bi(&self) -> Result<(SendStream, RecvStream), SessionError> {
        Ok(match &self.shared.layer {
            Layer::Raw { .. } => raw(self.shared.conn.open_bi().await?),
            Layer::WebTransport { session, .. } => web_transport(session.open_bi().await?),
        })
    }

    async fn open_uni(&self) -> Result<SendStream, SessionError> {
        Ok(match &self.shared.layer {
            Layer::Raw { .. } => SendStream::Raw(self.shared.conn.open_uni().await?),
            Layer::WebTransport { session, opening } => {
                SendStream::WebTransport(opening.open(session).await?)
            }
        })
    }

    fn send_datagram(&self, payload: Bytes) -> Result<(), SessionError> {
        match &self.shared.layer {
            Layer::Raw { .. } => Ok(self.shared.conn.send_datagram(payload)?),
            Layer::WebTransport { session, .. } => Ok(session.send_datagram(payload)?),
        }
    }

    async fn recv_datagram(&self) -> Result<Bytes, SessionError> {
        match &self.shared.layer {
            Layer::Raw { .. } => Ok(self.shared.conn.read_datagram().await?),
            Layer::WebTransport { session, .. } => Ok(session.read_datagram().await?),
        }
    }

    fn max_datagram_size(&self) -> usize {
        match &self.shared.layer {
            Layer::Raw { .. } => self.shared.conn.max_datagram_size().unwrap_or_default(),
            Layer::WebTransport { session, .. } => session.max_datagram_size(),
        }
    }

    fn protocol(&self) -> Option<&str> {
        match &self.shared.layer {
            Layer::Raw { alpn } => alpn.as_deref(),
            Layer::WebTransport { session, .. } => session.protocol(),
        }
    }

    fn close(&self, code: u32, reason: &str) {
        match &self.shared.layer {
            Layer::Raw { .. } => {
                let conn = &self.shared.conn;
                // Closing again would take the place of what the peer has said.
                if conn.close_reason().is_none() {
                    conn.close(code.into(), reason.as_bytes());
                }
            }
            Layer::WebTransport { session, .. } => session.close(code, reason.as_bytes()),
        }
    }

    async fn closed(&self) -> SessionError {
        match &self.shared.layer {
            Layer::Raw { .. } => self.shared.conn.closed().await.into(),
            Layer::WebTransport { session, .. } => session.closed().boxed().await.into(),
        }
    }

    fn stats(&self) -> impl wt::Stats {
        Stats::of(&self.shared.conn)
    }
}
