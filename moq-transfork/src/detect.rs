//! Telling [`Dialect::Fork04`] from [`Dialect::Fork04s`], which share a version number.
//!
//! Both write every message alike but for paths: in parts, or as one string. What a peer sends first
//! makes sense in only one of the two, and our own first request, for all announcements, is the same
//! bytes in both. So the question is asked, and what comes is looked at without being consumed.

use std::pin::{Pin, pin};
use std::task::{Poll, ready};

use crate::coding::{DecodeError, Message};
use crate::dialect::Dialect;
use crate::filter::Filter;
use crate::message::{Announce, AnnouncePlease, Fetch, InfoPlease, StreamType, Subscribe};
use crate::path::Path;
use crate::stream::{
    AnnounceReader, AnnounceRequest, Reader, Request, StreamError, Writer, announce,
};
use crate::wt;

/// The most streams of the peer that are held until its dialect is known.
pub const MAX_PENDING: usize = 16;
/// The most bytes of one stream that are held until the peer's dialect is known.
pub const MAX_PENDING_BYTES: usize = 4096;

/// Finds out which dialect a peer speaks that was set up as [`Dialect::Fork04`].
///
/// While it runs, nothing else may accept bidirectional streams of the session. A peer that neither
/// publishes nor asks gives no hint: put a limit of time around [`Probe::dialect`], after which
/// [`Dialect::Fork04`] is as good as any.
pub struct Probe<S: wt::Session> {
    session: S,
    request: AnnounceRequest<S>,
    replies: AnnounceReader<S>,
    pending: Vec<Pending<S>>,
    /// Whether there may be more to read of the replies.
    open: bool,
}

impl<S: wt::Session> Probe<S> {
    /// Asks the peer for all announcements, which it expects anyway.
    ///
    /// # Errors
    ///
    /// If the session failed.
    pub async fn start(session: &S) -> Result<Self, StreamError> {
        let (request, replies) = announce(session, Dialect::Fork04, Filter::any()).await?;
        let (session, pending) = (session.clone(), Vec::new());
        Ok(Probe {
            session,
            request,
            replies,
            pending,
            open: true,
        })
    }

    /// Waits for the first sign of the peer's dialect. Cancel-safe.
    ///
    /// # Errors
    ///
    /// If the session failed.
    pub async fn dialect(&mut self) -> Result<Dialect, StreamError> {
        loop {
            if let Some(dialect) = self.verdict() {
                return Ok(dialect);
            }
            if let Some((send, recv)) = self.next().await? {
                let writer = Writer::control(send, Dialect::Fork04);
                let reader = Reader::new(recv, Dialect::Fork04);
                self.pending.push(Pending {
                    writer,
                    reader,
                    open: true,
                });
            }
        }
    }

    /// Hands over all streams, to go on with in a dialect.
    pub fn finish(mut self, dialect: Dialect) -> Detected<S> {
        self.request.set_dialect(dialect);
        self.replies.reader_mut().set_dialect(dialect);
        for pending in &mut self.pending {
            pending.writer.set_dialect(dialect);
            pending.reader.set_dialect(dialect);
        }
        Detected {
            dialect,
            announce: (self.request, self.replies),
            pending: self.pending,
        }
    }

    fn verdict(&self) -> Option<Dialect> {
        let replies = self.replies.reader().buffered();
        let requests = self.pending.iter().map(|pending| pending.reader.buffered());
        let mut requests = requests.map(|request| judge(request, judge_request));
        judge(replies, judge_replies).or_else(|| requests.find_map(|verdict| verdict))
    }

    /// Waits for a new stream, or for nothing but more bytes on those there are. Cancel-safe.
    async fn next(&mut self) -> Result<Option<Halves<S>>, StreamError> {
        let room = self.pending.len() < MAX_PENDING;
        let mut accept = pin!(self.session.accept_bi());
        let mut fills: Vec<Pin<Box<_>>> = self
            .pending
            .iter_mut()
            .map(|pending| (&mut pending.reader, &mut pending.open))
            .chain([(self.replies.reader_mut(), &mut self.open)])
            .filter(|(reader, open)| **open && reader.buffered().len() < MAX_PENDING_BYTES)
            .map(|(reader, open)| Box::pin(fill(reader, open)))
            .collect();
        std::future::poll_fn(|context| {
            if fills
                .iter_mut()
                .any(|fill| fill.as_mut().poll(context).is_ready())
            {
                return Poll::Ready(Ok(None));
            }
            if !room {
                return Poll::Pending;
            }
            let halves = ready!(accept.as_mut().poll(context));
            Poll::Ready(halves.map(Some).map_err(StreamError::from_transport))
        })
        .await
    }
}

type Halves<S> = (
    <S as wt::Session>::SendStream,
    <S as wt::Session>::RecvStream,
);

async fn fill<R: wt::RecvStream>(reader: &mut Reader<R>, open: &mut bool) {
    let room = MAX_PENDING_BYTES.saturating_sub(reader.buffered().len());
    *open = reader.fill(room).await;
}

/// The peer's dialect, and all streams that were opened meanwhile. Nothing of them is lost.
pub struct Detected<S: wt::Session> {
    /// The dialect that the streams go on in.
    pub dialect: Dialect,
    /// The announce stream for all of the peer's tracks.
    pub announce: (AnnounceRequest<S>, AnnounceReader<S>),
    /// What the peer has asked so far, in the order of asking.
    pub pending: Vec<Pending<S>>,
}

/// A stream that the peer opened and of which some bytes may have arrived.
pub struct Pending<S: wt::Session> {
    writer: Writer<S::SendStream>,
    reader: Reader<S::RecvStream>,
    /// Whether there may be more to read.
    open: bool,
}

impl<S: wt::Session> Pending<S> {
    /// Reads what the stream is for.
    ///
    /// # Errors
    ///
    /// As [`Request::accept`].
    pub async fn accept(self) -> Result<Request<S>, StreamError> {
        Request::read(self.writer, self.reader).await
    }
}

/// How well bytes go with a dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// No bytes that follow can make sense of these.
    Never,
    /// More bytes have to tell.
    Maybe,
    /// The bytes are whole messages, and there is a path among them.
    Whole,
}

/// Tells the dialect that the bytes fit better, if there is one.
fn judge(bytes: &[u8], fit: impl Fn(&[u8], Dialect) -> Fit) -> Option<Dialect> {
    match (fit(bytes, Dialect::Fork04), fit(bytes, Dialect::Fork04s)) {
        (Fit::Whole, Fit::Never | Fit::Maybe) | (Fit::Maybe, Fit::Never) => Some(Dialect::Fork04),
        (Fit::Never | Fit::Maybe, Fit::Whole) | (Fit::Never, Fit::Maybe) => Some(Dialect::Fork04s),
        (Fit::Never, Fit::Never) | (Fit::Maybe, Fit::Maybe) | (Fit::Whole, Fit::Whole) => None,
    }
}

/// Looks at the answers to our announce request.
fn judge_replies(mut bytes: &[u8], dialect: Dialect) -> Fit {
    let mut fit = Fit::Maybe;
    while !bytes.is_empty() {
        match Announce::decode_slice(bytes, dialect) {
            Ok((Announce::Live, len)) => bytes = &bytes[len..],
            Ok((Announce::Active(path) | Announce::Ended(path), _)) if is_odd(&path) => {
                return Fit::Never;
            }
            Ok((Announce::Active(_) | Announce::Ended(_), len)) => {
                fit = Fit::Whole;
                bytes = &bytes[len..];
            }
            Err(DecodeError::Incomplete) => return Fit::Maybe,
            Err(_) => return Fit::Never,
        }
    }
    fit
}

/// Looks at a stream that the peer opened.
fn judge_request(bytes: &[u8], dialect: Dialect) -> Fit {
    let Ok((kind, len)) = StreamType::decode_slice(bytes, dialect) else {
        return Fit::Maybe;
    };
    let body = &bytes[len..];
    match kind {
        StreamType::Announce => judge_message(body, dialect, |please: AnnouncePlease| {
            let Filter::Pattern(pattern) = please.filter else {
                return please.filter.prefix();
            };
            pattern.to_text().parse().unwrap_or_default()
        }),
        StreamType::Subscribe => {
            judge_message(body, dialect, |subscribe: Subscribe| subscribe.path)
        }
        StreamType::Fetch => judge_message(body, dialect, |fetch: Fetch| fetch.path),
        StreamType::Info => judge_message(body, dialect, |please: InfoPlease| please.path),
        StreamType::Session | StreamType::Unknown(_) => Fit::Never,
    }
}

/// Looks at the one message that a peer sends before it waits for an answer.
fn judge_message<M: Message>(bytes: &[u8], dialect: Dialect, path: impl Fn(M) -> Path) -> Fit {
    let (message, len) = match M::decode_slice(bytes, dialect) {
        Ok(decoded) => decoded,
        Err(DecodeError::Incomplete) => return Fit::Maybe,
        Err(_) => return Fit::Never,
    };
    let path = path(message);
    if len < bytes.len() || is_odd(&path) {
        return Fit::Never;
    }
    if path.is_empty() {
        Fit::Maybe
    } else {
        Fit::Whole
    }
}

/// Whether a path looks like parts that were taken for a string: their lengths become control
/// characters.
fn is_odd(path: &Path) -> bool {
    path.parts()
        .any(|part| part.contains(|char: char| char.is_ascii_control()))
}
