//! Streams of QUIC itself or of WebTransport.

use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use web_transport_quinn as h3;
use web_transport_trait as wt;

use crate::session::error::{ReadError, WriteError};

/// Our end of a stream that we write to.
#[derive(Debug)]
pub enum SendStream {
    /// Of QUIC itself.
    Raw(quinn::SendStream),
    /// Of WebTransport.
    WebTransport(h3::SendStream),
}

/// Our end of a stream that we read from.
#[derive(Debug)]
pub enum RecvStream {
    /// Of QUIC itself.
    Raw(quinn::RecvStream),
    /// Of WebTransport.
    WebTransport(h3::RecvStream),
}

pub(super) fn raw(streams: (quinn::SendStream, quinn::RecvStream)) -> (SendStream, RecvStream) {
    let (send, recv) = streams;
    (SendStream::Raw(send), RecvStream::Raw(recv))
}

pub(super) fn web_transport(streams: (h3::SendStream, h3::RecvStream)) -> (SendStream, RecvStream) {
    let (send, recv) = streams;
    (
        SendStream::WebTransport(send),
        RecvStream::WebTransport(recv),
    )
}

impl SendStream {
    /// Writes what there is room for, and takes it off the chunk.
    fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut Bytes,
    ) -> Poll<Result<(), WriteError>> {
        let chunks = std::slice::from_mut(chunk);
        // Neither future holds anything that has to outlast this call.
        match self {
            Self::Raw(stream) => {
                ready!(pin!(stream.write_chunks(chunks)).poll(cx))?;
            }
            Self::WebTransport(stream) => {
                ready!(pin!(stream.write_chunks(chunks)).poll(cx))?;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl RecvStream {
    /// Who waits is known to the connection by the stream, however short the future lives.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Option<Bytes>, ReadError>> {
        let chunk = match self {
            Self::Raw(stream) => ready!(pin!(stream.read_chunk(max, true)).poll(cx))?,
            Self::WebTransport(stream) => ready!(pin!(stream.read_chunk(max, true)).poll(cx))?,
        };
        Poll::Ready(Ok(chunk.map(|chunk| chunk.bytes)))
    }
}

impl wt::SendStream for SendStream {
    type Error = WriteError;

    async fn write(&mut self, buf: &[u8]) -> Result<usize, WriteError> {
        Ok(match self {
            Self::Raw(stream) => stream.write(buf).await?,
            Self::WebTransport(stream) => stream.write(buf).await?,
        })
    }

    /// The future holds the chunk once: every subscriber with a group under way has one.
    fn write_chunk(&mut self, mut chunk: Bytes) -> impl Future<Output = Result<(), WriteError>> {
        std::future::poll_fn(move |cx| {
            while !chunk.is_empty() {
                ready!(self.poll_chunk(cx, &mut chunk))?;
            }
            Poll::Ready(Ok(()))
        })
    }

    fn set_priority(&mut self, order: i32) {
        match self {
            // It has no effect on a stream that is over.
            Self::Raw(stream) => _ = stream.set_priority(order),
            Self::WebTransport(stream) => wt::SendStream::set_priority(stream, order),
        }
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        match self {
            Self::Raw(stream) => Ok(stream.finish().map_err(quinn::WriteError::from)?),
            Self::WebTransport(stream) => Ok(wt::SendStream::finish(stream)?),
        }
    }

    fn reset(&mut self, code: u32) {
        match self {
            Self::Raw(stream) => _ = stream.reset(code.into()),
            Self::WebTransport(stream) => wt::SendStream::reset(stream, code),
        }
    }

    async fn closed(&mut self) -> Result<(), WriteError> {
        match self {
            // As a rule it is asked whether a group has arrived, and it has: so it costs one lock.
            Self::Raw(stream) if stream.priority().is_err() => Ok(()),
            Self::Raw(stream) => match stream.stopped().await? {
                Some(code) => Err(quinn::WriteError::Stopped(code).into()),
                None => Ok(()),
            },
            Self::WebTransport(stream) => Ok(wt::SendStream::closed(stream).await?),
        }
    }
}

impl wt::RecvStream for RecvStream {
    type Error = ReadError;

    async fn read(&mut self, dst: &mut [u8]) -> Result<Option<usize>, ReadError> {
        Ok(match self {
            Self::Raw(stream) => stream.read(dst).await?,
            Self::WebTransport(stream) => stream.read(dst).await?,
        })
    }

    /// The future holds nothing but the stream: three of each subscriber are always waited on.
    fn read_chunk(&mut self, max: usize) -> impl Future<Output = Result<Option<Bytes>, ReadError>> {
        std::future::poll_fn(move |cx| self.poll_read(cx, max))
    }

    fn stop(&mut self, code: u32) {
        match self {
            Self::Raw(stream) => _ = stream.stop(code.into()),
            Self::WebTransport(stream) => wt::RecvStream::stop(stream, code),
        }
    }

    async fn closed(&mut self) -> Result<(), ReadError> {
        match self {
            Self::Raw(stream) => {
                stream.received_reset().await?;
                Ok(())
            }
            Self::WebTransport(stream) => Ok(wt::RecvStream::closed(stream).await?),
        }
    }
}
