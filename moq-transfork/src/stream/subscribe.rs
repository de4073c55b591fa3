//! Subscribe streams: the groups of a track as they come.

use super::error::StreamError;
use super::open::open;
use super::reader::Reader;
use super::writer::Writer;
use crate::code::Code;
use crate::dialect::Dialect;
use crate::message::{Info, StreamType, Subscribe, SubscribeGap, SubscribeUpdate};
use crate::wt;

/// Asks the peer for the groups of a track. They arrive on streams of their own.
///
/// # Errors
///
/// If the stream cannot be opened or written, or if the dialect cannot say the path.
pub async fn subscribe<S: wt::Session>(
    session: &S,
    dialect: Dialect,
    subscribe: &Subscribe,
) -> Result<(SubscribeRequest<S>, SubscribeReplies<S>), StreamError> {
    let (writer, reader) = open(session, dialect, StreamType::Subscribe, subscribe).await?;
    Ok((SubscribeRequest { writer }, SubscribeReplies { reader }))
}

/// Our half of a subscribe stream that we opened. Dropping it without a finish resets it.
pub struct SubscribeRequest<S: wt::Session> {
    writer: Writer<S::SendStream>,
}

impl<S: wt::Session> SubscribeRequest<S> {
    /// Changes the subscription. Not cancel-safe.
    ///
    /// Nothing is sent in dialects whose peers ignore it.
    ///
    /// # Errors
    ///
    /// If the stream fails.
    pub async fn update(&mut self, update: &SubscribeUpdate) -> Result<(), StreamError> {
        if !self.writer.dialect().has_subscribe_update() {
            return Ok(());
        }
        self.writer.encode(update).await
    }

    /// Ends the subscription.
    ///
    /// # Errors
    ///
    /// If the stream has already ended in another way.
    pub fn finish(&mut self) -> Result<(), StreamError> {
        self.writer.finish()
    }

    /// Ends the subscription for a reason.
    pub fn abort(self, code: Code) {
        self.writer.abort(code);
    }
}

/// The peer's half of a subscribe stream that we opened.
pub struct SubscribeReplies<S: wt::Session> {
    reader: Reader<S::RecvStream>,
}

impl<S: wt::Session> SubscribeReplies<S> {
    /// Reads the first answer; to be called once, before any [`SubscribeReplies::gap`].
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// If the stream fails or ends, which is how peers refuse, or if it is no such message.
    pub async fn info(&mut self) -> Result<Info, StreamError> {
        self.reader.decode().await
    }

    /// Reads of the next groups that will not come, or nothing if the publisher has ended the
    /// track. Cancel-safe.
    ///
    /// # Errors
    ///
    /// If the stream fails, or if it is no such message.
    pub async fn gap(&mut self) -> Result<Option<SubscribeGap>, StreamError> {
        self.reader.decode_maybe().await
    }

    /// Tells the peer that nothing more will be read.
    pub fn stop(self, code: Code) {
        self.reader.stop(code);
    }
}

/// Our half of a subscribe stream that the peer opened.
pub struct SubscribeWriter<S: wt::Session> {
    writer: Writer<S::SendStream>,
}

impl<S: wt::Session> SubscribeWriter<S> {
    pub(super) fn new(writer: Writer<S::SendStream>) -> Self {
        SubscribeWriter { writer }
    }

    /// Describes the track; to be called once, before any [`SubscribeWriter::gap`]. Not
    /// cancel-safe.
    ///
    /// # Errors
    ///
    /// If the stream fails.
    pub async fn info(&mut self, info: &Info) -> Result<(), StreamError> {
        self.writer.encode(info).await
    }

    /// Tells of groups that will not come. Not cancel-safe.
    ///
    /// # Errors
    ///
    /// If the stream fails.
    pub async fn gap(&mut self, gap: &SubscribeGap) -> Result<(), StreamError> {
        self.writer.encode(gap).await
    }

    /// Tells the subscriber that the track has ended.
    ///
    /// # Errors
    ///
    /// If the stream has already ended in another way.
    pub fn finish(&mut self) -> Result<(), StreamError> {
        self.writer.finish()
    }

    /// Refuses or ends the subscription for a reason.
    pub fn abort(self, code: Code) {
        self.writer.abort(code);
    }

    /// Waits until the subscriber does not want to hear any more. Cancel-safe.
    ///
    /// # Errors
    ///
    /// If the peer stopped the stream, or the session failed.
    pub async fn closed(&mut self) -> Result<(), StreamError> {
        self.writer.closed().await
    }
}

/// The peer's half of a subscribe stream that it opened.
pub struct SubscribeReader<S: wt::Session> {
    reader: Reader<S::RecvStream>,
}

impl<S: wt::Session> SubscribeReader<S> {
    pub(super) fn new(reader: Reader<S::RecvStream>) -> Self {
        SubscribeReader { reader }
    }

    /// Reads the next change of the subscription, or nothing if the subscriber ends it.
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// If the stream fails, or if it is no such message.
    pub async fn update(&mut self) -> Result<Option<SubscribeUpdate>, StreamError> {
        self.reader.decode_maybe().await
    }

    /// Tells the peer that nothing more will be read.
    pub fn stop(self, code: Code) {
        self.reader.stop(code);
    }
}
