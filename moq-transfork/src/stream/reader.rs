//! Reading messages.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use super::error::StreamError;
use crate::code::Code;
use crate::coding::{DecodeError, Input, Message, Scanner};
use crate::dialect::Dialect;
use crate::wt;

/// The most bytes that are taken from the transport at once while messages are read.
const READ_BYTES: usize = 4096;

/// Our end of a stream that we read from.
///
/// Dropping it stops the stream with [`Code::CANCEL`], unless its end was reached.
pub struct Reader<S: wt::RecvStream> {
    stream: S,
    dialect: Dialect,
    /// Bytes that have arrived after the last message.
    chunk: Bytes,
    message: Partial,
    state: State,
}

/// Whether there is more to read.
enum State {
    Open,
    /// Nothing more can be read, and it is not a clean end.
    Failed(Box<StreamError>),
    /// The peer ended the stream cleanly.
    Ended,
}

impl<S: wt::RecvStream> Reader<S> {
    /// Reads from `stream` in a dialect.
    pub fn new(stream: S, dialect: Dialect) -> Self {
        let (chunk, message) = (Bytes::new(), Partial::default());
        Reader {
            stream,
            dialect,
            chunk,
            message,
            state: State::Open,
        }
    }

    /// Tells the dialect that is read.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(crate) fn set_dialect(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    /// Reads a message. Cancel-safe, if the next call is for the same type of message.
    ///
    /// # Errors
    ///
    /// If the stream ends or fails before the message is complete, or if it is none.
    pub async fn decode<M: Message>(&mut self) -> Result<M, StreamError> {
        self.decode_maybe().await?.ok_or(StreamError::Truncated)
    }

    /// Reads a message, or nothing if the stream ends before it begins. Cancel-safe, if the next
    /// call is for the same type of message.
    ///
    /// # Errors
    ///
    /// If the stream ends inside of the message or fails, or if it is no such message. After the
    /// latter the stream has been stopped with [`StreamError::code`] and nothing more can be read.
    pub async fn decode_maybe<M: Message>(&mut self) -> Result<Option<M>, StreamError> {
        loop {
            match self.message.advance(&mut self.chunk, self.dialect) {
                Ok(Some(message)) => return Ok(Some(message)),
                Ok(None) => {}
                Err(error) => return Err(self.refuse(error.into())),
            }
            match self.receive(READ_BYTES).await? {
                Some(chunk) => self.chunk = chunk,
                None if self.message.is_empty() => return Ok(None),
                None => return Err(self.refuse(StreamError::Truncated)),
            }
        }
    }

    /// Reads at most `max` bytes as they are, or nothing at the stream's end. Cancel-safe.
    ///
    /// # Errors
    ///
    /// If the stream fails.
    pub async fn read(&mut self, max: usize) -> Result<Option<Bytes>, StreamError> {
        match self.take(max) {
            Some(bytes) => Ok(Some(bytes)),
            None => self.receive(max).await,
        }
    }

    /// Reads as [`Reader::read`] does what has already arrived. It registers no waker.
    ///
    /// # Errors
    ///
    /// If the stream has failed.
    pub fn read_ready(&mut self, max: usize) -> Poll<Result<Option<Bytes>, StreamError>> {
        if let Some(bytes) = self.take(max) {
            return Poll::Ready(Ok(Some(bytes)));
        }
        pin!(self.receive(max)).poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Waits for the end of a stream on which nothing more may come. Cancel-safe.
    ///
    /// # Errors
    ///
    /// If something does come, or if the stream fails.
    pub async fn end(&mut self) -> Result<(), StreamError> {
        match self.read(READ_BYTES).await? {
            Some(_) => Err(self.refuse(StreamError::Trailing)),
            None => Ok(()),
        }
    }

    /// Tells the peer that nothing more will be read.
    pub fn stop(mut self, code: Code) {
        self.stop_once(code);
    }

    fn stop_once(&mut self, code: Code) {
        if let State::Open = self.state {
            self.state = State::Failed(Box::new(StreamError::Reset(code)));
            self.stream.stop(code.0);
        }
    }

    fn take(&mut self, max: usize) -> Option<Bytes> {
        let bytes = self.chunk.split_to(max.min(self.chunk.len()));
        if self.chunk.is_empty() {
            self.chunk = Bytes::new();
        }
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Stops the stream because of what it carries; from here on every call gives the error.
    fn refuse(&mut self, error: StreamError) -> StreamError {
        self.stop_once(error.code());
        self.state = State::Failed(Box::new(error.clone()));
        self.chunk = Bytes::new();
        self.message = Partial::default();
        error
    }

    /// Waits for bytes of the transport; there are some, or the stream has ended.
    async fn receive(&mut self, max: usize) -> Result<Option<Bytes>, StreamError> {
        match &self.state {
            State::Open => {}
            State::Failed(error) => return Err(StreamError::clone(error)),
            State::Ended => return Ok(None),
        }
        loop {
            match self.stream.read_chunk(max).await {
                Ok(Some(chunk)) if chunk.is_empty() && max > 0 => {}
                Ok(Some(chunk)) => return Ok(Some(chunk)),
                Ok(None) => {
                    self.state = State::Ended;
                    return Ok(None);
                }
                Err(error) => {
                    let error = StreamError::from_transport(error);
                    self.state = State::Failed(Box::new(error.clone()));
                    return Err(error);
                }
            }
        }
    }

    /// Waits for at most `max` more bytes and keeps them, for [`Reader::buffered`] to look at and for later calls
    /// to read; an error is kept too. Tells whether there are more. Cancel-safe.
    pub(crate) async fn fill(&mut self, max: usize) -> bool {
        match self.receive(max).await {
            Ok(Some(chunk)) if self.chunk.is_empty() => self.chunk = chunk,
            Ok(Some(chunk)) => {
                let mut joined = BytesMut::with_capacity(self.chunk.len() + chunk.len());
                joined.extend_from_slice(&self.chunk);
                joined.extend_from_slice(&chunk);
                self.chunk = joined.freeze();
            }
            Ok(None) | Err(_) => return false,
        }
        true
    }

    /// Shows the bytes that have arrived and were not read.
    pub(crate) fn buffered(&self) -> &[u8] {
        &self.chunk
    }
}

impl<S: wt::RecvStream> Drop for Reader<S> {
    fn drop(&mut self) {
        self.stop_once(Code::CANCEL);
    }
}

/// A message of which some bytes have arrived.
///
/// As a rule a reader waits between two messages, and then there is none.
#[derive(Default)]
struct Partial {
    begun: Option<Box<Begun>>,
}

/// What has arrived of a message, at least a byte.
struct Begun {
    scanner: Scanner,
    /// A copy of the bytes, so that few bytes do not pin a large receive buffer.
    bytes: BytesMut,
}

impl Partial {
    fn is_empty(&self) -> bool {
        self.begun.is_none()
    }

    /// Takes what belongs to the message out of `chunk`, and gives the message once it is complete.
    fn advance<M: Message>(
        &mut self,
        chunk: &mut Bytes,
        dialect: Dialect,
    ) -> Result<Option<M>, DecodeError> {
        if let Some(begun) = &mut self.begun {
            let Some(tail) = scan(&mut begun.scanner, chunk)? else {
                begun.bytes.extend_from_slice(chunk);
                *chunk = Bytes::new();
                return Ok(None);
            };
            begun.bytes.extend_from_slice(&tail);
            let message = M::decode(&mut Input::new(&begun.bytes), dialect);
            self.begun = None;
            return message.map(Some);
        }
        let mut scanner = Scanner::new(M::fields(dialect));
        let Some(whole) = scan(&mut scanner, chunk)? else {
            if !chunk.is_empty() {
                let bytes = BytesMut::from(&chunk[..]);
                self.begun = Some(Box::new(Begun { scanner, bytes }));
                *chunk = Bytes::new();
            }
            return Ok(None);
        };
        M::decode(&mut Input::new(&whole), dialect).map(Some)
    }
}

/// Takes the rest of a message out of `chunk`, if all of it is there.
fn scan(scanner: &mut Scanner, chunk: &mut Bytes) -> Result<Option<Bytes>, DecodeError> {
    let Some(len) = scanner.scan(chunk)? else {
        return Ok(None);
    };
    let rest = chunk.split_to(len);
    if chunk.is_empty() {
        *chunk = Bytes::new();
    }
    Ok(Some(rest))
}
