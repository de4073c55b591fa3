//! The beginning of a session: agreeing on a dialect.

use crate::code::Code;
use crate::dialect::Dialect;
use crate::message::{Extensions, SessionClient, SessionServer, SessionUpdate, StreamType};
use crate::stream::{Reader, StreamError, Writer, open};
use crate::wt;

/// What both sides agreed on, and the session stream.
///
/// The end of the session stream is the end of the session: keep both halves for as long as it
/// lasts.
pub struct Established<S: wt::Session> {
    /// The dialect that both sides speak.
    ///
    /// [`Dialect::Fork04`] may turn out to be [`Dialect::Fork04s`], see [`crate::detect`].
    pub dialect: Dialect,
    /// The peer's extensions.
    pub extensions: Extensions,
    /// Our half of the session stream.
    pub control: SessionWriter<S>,
    /// The peer's half of the session stream.
    pub updates: SessionReader<S>,
}

/// Begins a session as a client, which offers the versions of all dialects of `offer`, and speaks
/// the first of them that has the version the server chose.
///
/// It waits for as long as the peer takes: put a limit of time around it.
///
/// Draft-03: SESSION_CLIENT.
///
/// # Errors
///
/// After which the session has been closed with [`SetupError::code`].
pub async fn connect<S: wt::Session>(
    session: &S,
    offer: &[Dialect],
) -> Result<Established<S>, SetupError> {
    connect_with(session, offer, Extensions::default()).await
}

/// As [`connect`], with extensions of ours.
///
/// # Errors
///
/// As [`connect`].
pub async fn connect_with<S: wt::Session>(
    session: &S,
    offer: &[Dialect],
    extensions: Extensions,
) -> Result<Established<S>, SetupError> {
    let established = request(session, offer, extensions).await;
    established.inspect_err(|error| close(session, error))
}

/// Begins a session as a server, which speaks the first dialect of `support` whose version the
/// client offers.
///
/// It waits for as long as the peer takes: put a limit of time around it.
///
/// Draft-03: SESSION_SERVER.
///
/// # Errors
///
/// After which the session has been closed with [`SetupError::code`]: [`Code::VERSION`] if no
/// version is shared.
pub async fn accept<S: wt::Session>(
    session: &S,
    support: &[Dialect],
) -> Result<Established<S>, SetupError> {
    accept_with(session, support, |_| Ok(Extensions::default())).await
}

/// As [`accept`], with the extensions that `welcome` gives in answer to those of the client.
///
/// # Errors
///
/// As [`accept`]; the code of [`SetupError::Refused`] is the one that `welcome` returned.
pub async fn accept_with<S: wt::Session>(
    session: &S,
    support: &[Dialect],
    welcome: impl FnOnce(&Extensions) -> Result<Extensions, Code>,
) -> Result<Established<S>, SetupError> {
    let established = answer(session, support, welcome).await;
    established.inspect_err(|error| close(session, error))
}

async fn request<S: wt::Session>(
    session: &S,
    offer: &[Dialect],
    extensions: Extensions,
) -> Result<Established<S>, SetupError> {
    let mut versions = Vec::with_capacity(offer.len());
    for version in offer.iter().map(|dialect| dialect.version()) {
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    let client = SessionClient {
        versions,
        extensions,
    };
    let (mut writer, mut reader) =
        open(session, Dialect::Draft03, StreamType::Session, &client).await?;
    let server: SessionServer = reader.decode().await?;
    let dialect = choose(offer, &[server.version])?;
    writer.set_dialect(dialect);
    reader.set_dialect(dialect);
    Ok(Established::new(dialect, server.extensions, writer, reader))
}

async fn answer<S: wt::Session>(
    session: &S,
    support: &[Dialect],
    welcome: impl FnOnce(&Extensions) -> Result<Extensions, Code>,
) -> Result<Established<S>, SetupError> {
    let (send, recv) = session
        .accept_bi()
        .await
        .map_err(StreamError::from_transport)?;
    // The setup is the same in every dialect.
    let mut reader = Reader::new(recv, Dialect::Draft03);
    let mut writer = Writer::control(send, Dialect::Draft03);
    let kind: StreamType = reader.decode().await?;
    if kind != StreamType::Session {
        let number = kind.number(Dialect::Draft03).unwrap_or_default();
        return Err(StreamError::UnexpectedStream(number).into());
    }
    let client: SessionClient = reader.decode().await?;
    let agreed = choose(support, &client.versions).and_then(|dialect| {
        let extensions = welcome(&client.extensions).map_err(SetupError::Refused)?;
        Ok((dialect, extensions))
    });
    // While the stream is still open: its reset would reach the client first, and say less.
    let (dialect, extensions) = agreed.inspect_err(|error| close(session, error))?;
    let version = dialect.version();
    let server = SessionServer {
        version,
        extensions,
    };
    writer.encode(&server).await?;
    writer.set_dialect(dialect);
    reader.set_dialect(dialect);
    Ok(Established::new(dialect, client.extensions, writer, reader))
}

fn choose(ours: &[Dialect], theirs: &[u64]) -> Result<Dialect, SetupError> {
    let shared = ours
        .iter()
        .find(|dialect| theirs.contains(&dialect.version()));
    shared.copied().ok_or_else(|| SetupError::Version {
        theirs: theirs.to_vec(),
    })
}

fn close<S: wt::Session>(session: &S, error: &SetupError) {
    session.close(error.code().0, &error.to_string());
}

impl<S: wt::Session> Established<S> {
    fn new(
        dialect: Dialect,
        extensions: Extensions,
        writer: Writer<S::SendStream>,
        reader: Reader<S::RecvStream>,
    ) -> Self {
        let (control, updates) = (SessionWriter { writer }, SessionReader { reader });
        Established {
            dialect,
            extensions,
            control,
            updates,
        }
    }
}

/// Our half of the session stream. Dropping it without a finish resets it.
pub struct SessionWriter<S: wt::Session> {
    writer: Writer<S::SendStream>,
}

impl<S: wt::Session> SessionWriter<S> {
    /// Tells the peer what we think we can send, in bits per second. Not cancel-safe.
    ///
    /// Nothing is sent in dialects whose peers do not survive it.
    ///
    /// # Errors
    ///
    /// If the stream fails.
    pub async fn update(&mut self, bitrate: u64) -> Result<(), StreamError> {
        if !self.writer.dialect().has_session_update() {
            return Ok(());
        }
        self.writer.encode(&SessionUpdate { bitrate }).await
    }

    /// Ends the session cleanly.
    ///
    /// # Errors
    ///
    /// If the stream has already ended in another way.
    pub fn finish(&mut self) -> Result<(), StreamError> {
        self.writer.finish()
    }

    /// Ends the session for a reason.
    pub fn abort(self, code: Code) {
        self.writer.abort(code);
    }
}

/// The peer's half of the session stream.
pub struct SessionReader<S: wt::Session> {
    reader: Reader<S::RecvStream>,
}

impl<S: wt::Session> SessionReader<S> {
    /// Reads what the peer thinks it can send, or nothing if it ends the session. Cancel-safe.
    ///
    /// # Errors
    ///
    /// If the stream fails, or if it is no such message.
    pub async fn update(&mut self) -> Result<Option<SessionUpdate>, StreamError> {
        self.reader.decode_maybe().await
    }
}

/// Why a session could not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The session stream failed.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// No version is shared, or the server chose one that was not on offer.
    #[error("no shared version among {theirs:x?}")]
    Version {
        /// What the peer can speak.
        theirs: Vec<u64>,
    },
    /// This side does not want the peer.
    #[error("refused: {0}")]
    Refused(Code),
}

impl SetupError {
    /// Tells the code that the session was closed with.
    pub const fn code(&self) -> Code {
        match self {
            SetupError::Stream(error) => error.code(),
            SetupError::Version { .. } => Code::VERSION,
            SetupError::Refused(code) => *code,
        }
    }
}
