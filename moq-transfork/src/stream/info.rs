//! Info streams: a question and an answer.

use super::error::StreamError;
use super::open::open;
use super::reader::Reader;
use super::writer::Writer;
use crate::code::Code;
use crate::dialect::Dialect;
use crate::message::{Info, InfoPlease, StreamType};
use crate::wt;

/// Asks the peer about a track and waits for the answer. If it is dropped, the stream is ended.
///
/// # Errors
///
/// If the stream fails or ends, which is how peers refuse, if the answer is none, or if the dialect
/// cannot say the path.
pub async fn info<S: wt::Session>(
    session: &S,
    dialect: Dialect,
    please: &InfoPlease,
) -> Result<Info, StreamError> {
    let (mut writer, mut reader) = open(session, dialect, StreamType::Info, please).await?;
    let info = reader.decode().await?;
    // The answer is there: how the stream ends does not matter any more.
    let _ = writer.finish();
    Ok(info)
}

/// Our half of an info stream that the peer opened. Dropping it without a reply resets it.
pub struct InfoWriter<S: wt::Session> {
    writer: Writer<S::SendStream>,
    /// Kept so that the peer is not told to stop before it has its answer.
    _reader: Reader<S::RecvStream>,
}

impl<S: wt::Session> InfoWriter<S> {
    pub(super) fn new(writer: Writer<S::SendStream>, reader: Reader<S::RecvStream>) -> Self {
        InfoWriter {
            writer,
            _reader: reader,
        }
    }

    /// Answers and ends the stream. Not cancel-safe.
    ///
    /// # Errors
    ///
    /// If the stream fails.
    pub async fn reply(mut self, info: &Info) -> Result<(), StreamError> {
        self.writer.encode(info).await?;
        self.writer.finish()
    }

    /// Refuses for a reason.
    pub fn abort(self, code: Code) {
        self.writer.abort(code);
    }

    /// Waits until the peer does not want the answer any more. Cancel-safe.
    ///
    /// # Errors
    ///
    /// If the peer stopped the stream, or the session failed.
    pub async fn closed(&mut self) -> Result<(), StreamError> {
        self.writer.closed().await
    }
}
