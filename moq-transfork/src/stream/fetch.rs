//! Fetch streams: one group, once.

use bytes::Bytes;

use super::error::StreamError;
use super::group::GroupReader;
use super::open::open;
use super::reader::Reader;
use super::writer::Writer;
use crate::code::Code;
use crate::coding::EncodeError;
use crate::dialect::Dialect;
use crate::message::{Fetch, FetchUpdate, StreamType};
use crate::wt;

/// Asks the peer for one group, whose frames are the answer.
///
/// # Errors
///
/// If the stream cannot be opened or written; [`EncodeError::Unsupported`] if the peer would not
/// survive the request, which is never sent to it.
pub async fn fetch<S: wt::Session>(
    session: &S,
    dialect: Dialect,
    fetch: &Fetch,
) -> Result<(FetchRequest<S>, GroupReader<S>), StreamError> {
    if !dialect.has_fetch() {
        return Err(EncodeError::Unsupported {
            name: "FETCH",
            dialect,
        }
        .into());
    }
    let (writer, reader) = open(session, dialect, StreamType::Fetch, fetch).await?;
    Ok((FetchRequest { writer }, GroupReader::new(reader)))
}

/// Our half of a fetch stream that we opened. Dropping it without a finish resets it.
pub struct FetchRequest<S: wt::Session> {
    writer: Writer<S::SendStream>,
}

impl<S: wt::Session> FetchRequest<S> {
    /// Changes how urgent the group is. Not cancel-safe.
    ///
    /// # Errors
    ///
    /// If the stream fails.
    pub async fn update(&mut self, update: &FetchUpdate) -> Result<(), StreamError> {
        self.writer.encode(update).await
    }

    /// Tells the peer that no change will follow, which may end the fetch.
    ///
    /// # Errors
    ///
    /// If the stream has already ended in another way.
    pub fn finish(&mut self) -> Result<(), StreamError> {
        self.writer.finish()
    }

    /// Ends the fetch for a reason.
    pub fn abort(self, code: Code) {
        self.writer.abort(code);
    }
}

/// Our half of a fetch stream that the peer opened.
pub struct FetchWriter<S: wt::Session> {
    writer: Writer<S::SendStream>,
}

impl<S: wt::Session> FetchWriter<S> {
    pub(super) fn new(writer: Writer<S::SendStream>) -> Self {
        FetchWriter { writer }
    }

    /// Writes bytes of the group in wire form. Not cancel-safe.
    ///
    /// # Errors
    ///
    /// If the peer stopped the stream, or the session failed.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.writer.write(bytes).await
    }

    /// Sets what is sent first when not all can be: streams with a higher number.
    pub fn set_priority(&mut self, priority: i32) {
        self.writer.set_priority(priority);
    }

    /// Tells the peer that the group is complete.
    ///
    /// # Errors
    ///
    /// If the stream has already ended in another way.
    pub fn finish(&mut self) -> Result<(), StreamError> {
        self.writer.finish()
    }

    /// Refuses or ends the fetch for a reason.
    pub fn abort(self, code: Code) {
        self.writer.abort(code);
    }

    /// Waits until the peer has it all or does not want any more. Cancel-safe.
    ///
    /// # Errors
    ///
    /// If the peer stopped the stream, or the session failed.
    pub async fn closed(&mut self) -> Result<(), StreamError> {
        self.writer.closed().await
    }
}

/// The peer's half of a fetch stream that it opened.
pub struct FetchReader<S: wt::Session> {
    reader: Reader<S::RecvStream>,
}

impl<S: wt::Session> FetchReader<S> {
    pub(super) fn new(reader: Reader<S::RecvStream>) -> Self {
        FetchReader { reader }
    }

    /// Reads the next change of the fetch, or nothing if the peer ends its side. Cancel-safe.
    ///
    /// # Errors
    ///
    /// If the stream fails, or if it is no such message.
    pub async fn update(&mut self) -> Result<Option<FetchUpdate>, StreamError> {
        self.reader.decode_maybe().await
    }
}
