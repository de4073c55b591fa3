//! Group streams: the data.

use std::task::Poll;

use bytes::{BufMut, Bytes};

use super::error::StreamError;
use super::reader::Reader;
use super::writer::Writer;
use crate::code::Code;
use crate::coding::{Message, Output};
use crate::dialect::Dialect;
use crate::message::{GroupHeader, UniType};
use crate::wt::{self, MaybeSend};

/// The most bytes that are copied to send them together with a group's header.
///
/// A second write costs quinn more than copying a usual frame does. Where that turns was not
/// measured; beyond this size the write is a small part of either way.
const COALESCE_BYTES: usize = 16 * 1024;

/// Writes a group: [`GroupWriter::header`] once, then frames in wire form.
///
/// Dropping it without a finish resets the stream with [`Code::DROPPED`].
pub struct GroupWriter<S: wt::Session> {
    writer: Writer<S::SendStream>,
    /// The header, until something is sent.
    header: Output,
}

impl<S: wt::Session> GroupWriter<S> {
    /// Opens a stream, which waits while the peer allows no more.
    ///
    /// # Errors
    ///
    /// If the session failed.
    pub async fn open(session: &S, dialect: Dialect) -> Result<Self, StreamError> {
        let stream = session
            .open_uni()
            .await
            .map_err(StreamError::from_transport)?;
        Ok(GroupWriter {
            writer: Writer::new(stream, dialect),
            header: Output::default(),
        })
    }

    /// Says which group it is; to be called once and first. It is sent with the first bytes.
    ///
    /// # Errors
    ///
    /// If a number is 2^62 or more.
    pub fn header(&mut self, header: &GroupHeader) -> Result<(), StreamError> {
        encode_header(header, &mut self.header, self.writer.dialect())
    }

    /// Returns what [`GroupWriter::header`] would send. Many streams that carry the same group can
    /// share it in one piece with the first bytes: that piece goes to [`GroupWriter::write_wire`],
    /// and [`GroupWriter::header`] is not called then.
    ///
    /// # Errors
    ///
    /// If a number is 2^62 or more.
    pub fn header_bytes(&self, header: &GroupHeader) -> Result<Bytes, StreamError> {
        let mut bytes = Output::default();
        encode_header(header, &mut bytes, self.writer.dialect())?;
        Ok(bytes.into_inner().freeze())
    }

    /// Writes bytes of the group in wire form. Not cancel-safe.
    ///
    /// # Errors
    ///
    /// If the peer stopped the stream, or the session failed.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        if self.header.is_empty() {
            return self.writer.write(bytes).await;
        }
        if bytes.len() > COALESCE_BYTES {
            self.writer.flush(&mut self.header).await?;
            return self.writer.write(bytes).await;
        }
        let mut joined = self.header.take();
        joined.reserve(bytes.len());
        joined.put(bytes);
        self.writer.write(joined.freeze()).await
    }

    /// Writes bytes as they are, for whoever sends [`GroupWriter::header_bytes`] by this: those, or
    /// what follows them. Not cancel-safe.
    ///
    /// # Errors
    ///
    /// If the peer stopped the stream, or the session failed.
    pub fn write_wire(
        &mut self,
        bytes: Bytes,
    ) -> impl Future<Output = Result<(), StreamError>> + MaybeSend {
        debug_assert!(self.header.is_empty(), "a header is to go before them");
        self.writer.write(bytes)
    }

    /// Sets what is sent first when not all can be: streams with a higher number.
    pub fn set_priority(&mut self, priority: i32) {
        self.writer.set_priority(priority);
    }

    /// Tells the peer that the group is complete. What was written is still delivered, also after
    /// dropping. Not cancel-safe.
    ///
    /// # Errors
    ///
    /// If the peer stopped the stream, or the session failed.
    pub async fn finish(&mut self) -> Result<(), StreamError> {
        self.writer.flush(&mut self.header).await?;
        self.writer.finish()
    }

    /// Resets the stream; what was not delivered yet is thrown away, also after a finish.
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

/// Reads the frames of a group in wire form.
///
/// Where frames end is not looked at: see [`FrameScanner`](crate::frame::FrameScanner). A group that
/// ends anywhere else was truncated. Dropping it before the end stops the stream with
/// [`Code::CANCEL`].
pub struct GroupReader<S: wt::Session> {
    reader: Reader<S::RecvStream>,
}

impl<S: wt::Session> GroupReader<S> {
    /// Reads which group a unidirectional stream carries.
    ///
    /// It waits for as long as the peer takes: put a limit of time around it, and run it apart from
    /// accepting further streams. If it is dropped, the stream is stopped.
    ///
    /// # Errors
    ///
    /// After which the stream has been stopped with [`StreamError::code`]. If
    /// [`StreamError::closes_session`], then the session has to be closed with it too.
    pub async fn accept(
        recv: S::RecvStream,
        dialect: Dialect,
    ) -> Result<(GroupHeader, Self), StreamError> {
        let mut reader = Reader::new(recv, dialect);
        match read_header(&mut reader).await {
            Ok(header) => Ok((header, GroupReader { reader })),
            Err(error) => {
                reader.stop(error.code());
                Err(error)
            }
        }
    }

    pub(super) fn new(reader: Reader<S::RecvStream>) -> Self {
        GroupReader { reader }
    }

    /// Reads at most `max` bytes, or nothing once the group is complete. Cancel-safe.
    ///
    /// The bytes may pin a larger receive buffer: copy what is kept.
    ///
    /// # Errors
    ///
    /// If the peer reset the stream, or the session failed.
    pub async fn read(&mut self, max: usize) -> Result<Option<Bytes>, StreamError> {
        self.reader.read(max).await
    }

    /// Reads as [`GroupReader::read`] does what has already arrived. It registers no waker.
    ///
    /// # Errors
    ///
    /// If the peer reset the stream, or the session failed.
    pub fn read_ready(&mut self, max: usize) -> Poll<Result<Option<Bytes>, StreamError>> {
        self.reader.read_ready(max)
    }

    /// Tells the peer that nothing more will be read.
    pub fn stop(self, code: Code) {
        self.reader.stop(code);
    }
}

fn encode_header(
    header: &GroupHeader,
    output: &mut Output,
    dialect: Dialect,
) -> Result<(), StreamError> {
    UniType::Group.encode(output, dialect)?;
    Ok(header.encode(output, dialect)?)
}

async fn read_header<R: wt::RecvStream>(
    reader: &mut Reader<R>,
) -> Result<GroupHeader, StreamError> {
    match reader.decode().await? {
        UniType::Group => reader.decode().await,
        UniType::Unknown(value) => Err(StreamError::UnexpectedStream(value)),
    }
}
