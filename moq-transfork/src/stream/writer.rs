//! Writing messages.

use bytes::{Bytes, BytesMut};
use futures_util::TryFutureExt;

use super::error::StreamError;
use crate::code::Code;
use crate::coding::{Message, Output};
use crate::dialect::Dialect;
use crate::wt::{self, MaybeSend};

/// Our end of a stream that we write to.
///
/// Dropping it resets the stream with [`Code::DROPPED`], unless [`Writer::finish`] was called.
pub struct Writer<S: wt::SendStream> {
    stream: S,
    dialect: Dialect,
    /// Whether dropping means to reset.
    open: bool,
}

impl<S: wt::SendStream> Writer<S> {
    /// Writes to `stream` in a dialect.
    pub fn new(stream: S, dialect: Dialect) -> Self {
        Writer {
            stream,
            dialect,
            open: true,
        }
    }

    /// Writes requests or replies to `stream`, which are sent before all groups.
    ///
    /// They are short; behind the groups of a full link they would wait for as long as it is full.
    pub fn control(mut stream: S, dialect: Dialect) -> Self {
        stream.set_priority(i32::MAX);
        Self::new(stream, dialect)
    }

    /// Tells the dialect that is written.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(crate) fn set_dialect(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    /// Writes a message. Not cancel-safe.
    ///
    /// # Errors
    ///
    /// [`StreamError::Encode`] if the dialect cannot say it, without writing anything; otherwise as
    /// [`Writer::write`].
    pub async fn encode<M: Message>(&mut self, message: &M) -> Result<(), StreamError> {
        let bytes = message.to_bytes(self.dialect)?;
        self.write(bytes).await
    }

    /// Writes all messages that `output` holds, and empties it. Not cancel-safe.
    pub(super) async fn flush(&mut self, output: &mut Output) -> Result<(), StreamError> {
        if output.is_empty() {
            return Ok(());
        }
        let bytes: BytesMut = output.take();
        self.write(bytes.freeze()).await
    }

    /// Writes bytes as they are, without copying where the transport can. Not cancel-safe.
    ///
    /// # Errors
    ///
    /// If the peer stopped the stream, or the session failed.
    pub fn write(
        &mut self,
        bytes: Bytes,
    ) -> impl Future<Output = Result<(), StreamError>> + MaybeSend {
        let written = self.stream.write_chunk(bytes);
        written.map_err(StreamError::from_transport)
    }

    /// Sets what is sent first when not all can be: streams with a higher number.
    pub fn set_priority(&mut self, priority: i32) {
        self.stream.set_priority(priority);
    }

    /// Ends the stream cleanly. What was written is still delivered, also after dropping.
    ///
    /// # Errors
    ///
    /// If the stream has already ended in another way.
    pub fn finish(&mut self) -> Result<(), StreamError> {
        self.open = false;
        self.stream.finish().map_err(StreamError::from_transport)
    }

    /// Resets the stream; what was not delivered yet is thrown away, also after a finish.
    pub fn abort(mut self, code: Code) {
        self.open = false;
        self.stream.reset(code.0);
    }

    /// Waits until the stream has ended, by the peer's doing or with all delivered. Cancel-safe.
    ///
    /// Never take `Ok` for a proof of delivery: peers on WebTransport that stop the stream with a
    /// number outside of its range look the same.
    ///
    /// # Errors
    ///
    /// If the peer stopped the stream, or the session failed.
    pub async fn closed(&mut self) -> Result<(), StreamError> {
        self.stream
            .closed()
            .await
            .map_err(StreamError::from_transport)
    }
}

impl<S: wt::SendStream> Drop for Writer<S> {
    fn drop(&mut self) {
        if self.open {
            self.stream.reset(Code::DROPPED.0);
        }
    }
}
