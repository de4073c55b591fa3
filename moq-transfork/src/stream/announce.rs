//! Announce streams: which tracks there are.

use super::error::StreamError;
use super::open::open;
use super::reader::Reader;
use super::writer::Writer;
use crate::code::Code;
use crate::coding::{DecodeError, Message, Output};
use crate::dialect::Dialect;
use crate::filter::Filter;
use crate::message::{Announce, AnnouncePlease, StreamType};
use crate::path::Path;
use crate::wt;

/// Asks the peer for all tracks that match, now and as they come and go.
///
/// A pattern that the dialect cannot ask for is asked for as its prefix; what does not match is
/// dropped here. The request has to be kept: it ends with the first half.
///
/// # Errors
///
/// If the stream cannot be opened or written, or if the dialect cannot say the filter.
pub async fn announce<S: wt::Session>(
    session: &S,
    dialect: Dialect,
    filter: Filter,
) -> Result<(AnnounceRequest<S>, AnnounceReader<S>), StreamError> {
    let asked = filter.in_dialect(dialect)?;
    let please = AnnouncePlease { filter: asked };
    let (writer, reader) = open(session, dialect, StreamType::Announce, &please).await?;
    let reader = AnnounceReader {
        reader,
        asked: please.filter,
        wanted: filter,
    };
    Ok((AnnounceRequest { writer }, reader))
}

/// Our half of an announce stream that we opened. Dropping it without a finish resets it.
pub struct AnnounceRequest<S: wt::Session> {
    writer: Writer<S::SendStream>,
}

impl<S: wt::Session> AnnounceRequest<S> {
    /// Tells the peer that nothing more is wanted.
    ///
    /// # Errors
    ///
    /// If the stream has already ended in another way.
    pub fn finish(&mut self) -> Result<(), StreamError> {
        self.writer.finish()
    }

    /// Ends the request for a reason.
    pub fn abort(self, code: Code) {
        self.writer.abort(code);
    }

    pub(crate) fn set_dialect(&mut self, dialect: Dialect) {
        self.writer.set_dialect(dialect);
    }
}

/// The peer's half of an announce stream that we opened.
pub struct AnnounceReader<S: wt::Session> {
    reader: Reader<S::RecvStream>,
    /// What the peer was asked for, and what its answers are relative to.
    asked: Filter,
    /// What the caller wants.
    wanted: Filter,
}

impl<S: wt::Session> AnnounceReader<S> {
    /// Reads the next announcement, with the full path of its track, or nothing if the peer has
    /// ended the stream. Cancel-safe.
    ///
    /// That a track's announcements take turns, active and ended, is not checked here.
    ///
    /// # Errors
    ///
    /// If the stream fails, or if the peer breaks the protocol.
    pub async fn next(&mut self) -> Result<Option<Announce>, StreamError> {
        while let Some(message) = self.reader.decode_maybe().await? {
            let announce = match message {
                Announce::Active(capture) => Announce::Active(self.restore(&capture)?),
                Announce::Ended(capture) => Announce::Ended(self.restore(&capture)?),
                Announce::Live => Announce::Live,
            };
            let wanted = match &announce {
                Announce::Active(path) | Announce::Ended(path) => self.wanted.matches(path),
                Announce::Live => true,
            };
            if wanted {
                return Ok(Some(announce));
            }
        }
        Ok(None)
    }

    /// Tells the peer that nothing more will be read.
    pub fn stop(self, code: Code) {
        self.reader.stop(code);
    }

    fn restore(&self, capture: &Path) -> Result<Path, StreamError> {
        Ok(self.asked.restore(capture).map_err(DecodeError::from)?)
    }

    pub(crate) fn reader(&self) -> &Reader<S::RecvStream> {
        &self.reader
    }

    pub(crate) fn reader_mut(&mut self) -> &mut Reader<S::RecvStream> {
        &mut self.reader
    }
}

/// Our half of an announce stream that the peer opened.
///
/// Paths are full paths here; what the peer gets is relative to its filter. A path that is not for
/// this peer, because its filter does not match or its dialect cannot say it, is skipped silently.
/// That a track's announcements take turns, active and ended, is for the caller to see to.
pub struct AnnounceWriter<S: wt::Session> {
    writer: Writer<S::SendStream>,
    filter: Filter,
    queue: Output,
}

impl<S: wt::Session> AnnounceWriter<S> {
    pub(super) fn new(writer: Writer<S::SendStream>, filter: Filter) -> Self {
        AnnounceWriter {
            writer,
            filter,
            queue: Output::default(),
        }
    }

    /// Announces a track. Not cancel-safe.
    ///
    /// # Errors
    ///
    /// If the stream fails.
    pub async fn active(&mut self, path: &Path) -> Result<(), StreamError> {
        self.queue_active(path);
        self.flush().await
    }

    /// Takes an announcement back. Not cancel-safe.
    ///
    /// # Errors
    ///
    /// If the stream fails.
    pub async fn ended(&mut self, path: &Path) -> Result<(), StreamError> {
        self.queue_ended(path);
        self.flush().await
    }

    /// Tells that all tracks so far have been announced, if the peer understands it. Not
    /// cancel-safe.
    ///
    /// # Errors
    ///
    /// If the stream fails.
    pub async fn live(&mut self) -> Result<(), StreamError> {
        self.queue_live();
        self.flush().await
    }

    /// Does what [`AnnounceWriter::active`] does at the next [`AnnounceWriter::flush`].
    pub fn queue_active(&mut self, path: &Path) {
        self.queue(self.filter.capture(path).map(Announce::Active));
    }

    /// Does what [`AnnounceWriter::ended`] does at the next [`AnnounceWriter::flush`].
    pub fn queue_ended(&mut self, path: &Path) {
        self.queue(self.filter.capture(path).map(Announce::Ended));
    }

    /// Does what [`AnnounceWriter::live`] does at the next [`AnnounceWriter::flush`].
    pub fn queue_live(&mut self) {
        self.queue(Some(Announce::Live));
    }

    /// Tells how many bytes are queued, for the caller to keep within bounds.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Writes all that is queued, in one go. Not cancel-safe.
    ///
    /// # Errors
    ///
    /// If the stream fails.
    pub async fn flush(&mut self) -> Result<(), StreamError> {
        self.writer.flush(&mut self.queue).await
    }

    /// Ends the stream cleanly. What was queued and not flushed is lost.
    ///
    /// # Errors
    ///
    /// If the stream has already ended in another way.
    pub fn finish(&mut self) -> Result<(), StreamError> {
        self.writer.finish()
    }

    /// Resets the stream.
    pub fn abort(self, code: Code) {
        self.writer.abort(code);
    }

    /// Waits until the peer does not want any more. Cancel-safe.
    ///
    /// # Errors
    ///
    /// If the peer stopped the stream, or the session failed.
    pub async fn closed(&mut self) -> Result<(), StreamError> {
        self.writer.closed().await
    }

    fn queue(&mut self, announce: Option<Announce>) {
        let len = self.queue.len();
        let dialect = self.writer.dialect();
        if announce.is_some_and(|announce| announce.encode(&mut self.queue, dialect).is_err()) {
            self.queue.truncate(len);
        }
    }
}

/// The peer's half of a request that is complete: only its end may follow.
pub struct RequestReader<S: wt::Session> {
    reader: Reader<S::RecvStream>,
}

impl<S: wt::Session> RequestReader<S> {
    pub(super) fn new(reader: Reader<S::RecvStream>) -> Self {
        RequestReader { reader }
    }

    /// Waits until the peer ends the request. Cancel-safe.
    ///
    /// # Errors
    ///
    /// If the peer resets it or sends more, or if the session failed.
    pub async fn closed(&mut self) -> Result<(), StreamError> {
        self.reader.end().await
    }
}
