//! What a peer may ask.

use super::announce::{AnnounceWriter, RequestReader};
use super::error::StreamError;
use super::fetch::{FetchReader, FetchWriter};
use super::info::InfoWriter;
use super::open::Halves;
use super::reader::Reader;
use super::subscribe::{SubscribeReader, SubscribeWriter};
use super::writer::Writer;
use crate::dialect::Dialect;
use crate::message::{AnnouncePlease, Fetch, InfoPlease, StreamType, Subscribe};
use crate::wt;

/// A bidirectional stream that the peer opened, after its first message.
pub enum Request<S: wt::Session> {
    /// The peer wants to hear of tracks.
    Announce(AnnouncePlease, AnnounceWriter<S>, RequestReader<S>),
    /// The peer wants the groups of a track as they come.
    Subscribe(Subscribe, SubscribeWriter<S>, SubscribeReader<S>),
    /// The peer wants one group. [`Dialect::Fork02`] and [`Dialect::Fork04`] mean bytes where the
    /// draft counts frames.
    Fetch(Fetch, FetchWriter<S>, FetchReader<S>),
    /// The peer wants to know about a track.
    Info(InfoPlease, InfoWriter<S>),
}

impl<S: wt::Session> Request<S> {
    /// Reads what a stream that the peer opened is for.
    ///
    /// It waits for as long as the peer takes: put a limit of time around it, and run it apart from
    /// accepting further streams. If it is dropped, the stream is ended.
    ///
    /// # Errors
    ///
    /// After which the stream has been ended with [`StreamError::code`]. If
    /// [`StreamError::closes_session`], then the session has to be closed with it too.
    pub async fn accept(
        send: S::SendStream,
        recv: S::RecvStream,
        dialect: Dialect,
    ) -> Result<Self, StreamError> {
        Request::read(Writer::control(send, dialect), Reader::new(recv, dialect)).await
    }

    pub(crate) async fn read(
        writer: Writer<S::SendStream>,
        mut reader: Reader<S::RecvStream>,
    ) -> Result<Self, StreamError> {
        match Head::read(&mut reader).await {
            Ok(head) => Ok(head.into_request((writer, reader))),
            Err(error) => {
                writer.abort(error.code());
                reader.stop(error.code());
                Err(error)
            }
        }
    }
}

/// The first message of a request.
enum Head {
    Announce(AnnouncePlease),
    Subscribe(Subscribe),
    Fetch(Fetch),
    Info(InfoPlease),
}

impl Head {
    async fn read<R: wt::RecvStream>(reader: &mut Reader<R>) -> Result<Self, StreamError> {
        match reader.decode().await? {
            StreamType::Announce => Ok(Head::Announce(reader.decode().await?)),
            StreamType::Subscribe => Ok(Head::Subscribe(reader.decode().await?)),
            StreamType::Fetch => Ok(Head::Fetch(reader.decode().await?)),
            StreamType::Info => Ok(Head::Info(reader.decode().await?)),
            StreamType::Session => Err(StreamError::UnexpectedStream(0)),
            StreamType::Unknown(value) => Err(StreamError::UnexpectedStream(value)),
        }
    }

    fn into_request<S: wt::Session>(self, (writer, reader): Halves<S>) -> Request<S> {
        match self {
            Head::Announce(please) => {
                let writer = AnnounceWriter::new(writer, please.filter.clone());
                Request::Announce(please, writer, RequestReader::new(reader))
            }
            Head::Subscribe(subscribe) => Request::Subscribe(
                subscribe,
                SubscribeWriter::new(writer),
                SubscribeReader::new(reader),
            ),
            Head::Fetch(fetch) => {
                Request::Fetch(fetch, FetchWriter::new(writer), FetchReader::new(reader))
            }
            Head::Info(please) => Request::Info(please, InfoWriter::new(writer, reader)),
        }
    }
}
