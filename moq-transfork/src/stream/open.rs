//! Opening the streams that ask for something.

use bytes::BytesMut;

use super::error::StreamError;
use super::reader::Reader;
use super::writer::Writer;
use crate::coding::{Message, Output};
use crate::dialect::Dialect;
use crate::message::StreamType;
use crate::wt;

/// Both halves of a bidirectional stream.
pub(crate) type Halves<S> = (
    Writer<<S as wt::Session>::SendStream>,
    Reader<<S as wt::Session>::RecvStream>,
);

/// Opens a bidirectional stream and writes its type and first message in one go.
///
/// If the dialect cannot say the message, no stream is opened.
pub(crate) async fn open<S: wt::Session, M: Message>(
    session: &S,
    dialect: Dialect,
    kind: StreamType,
    message: &M,
) -> Result<Halves<S>, StreamError> {
    let mut output = Output::new(BytesMut::new());
    kind.encode(&mut output, dialect)?;
    message.encode(&mut output, dialect)?;
    let (send, recv) = session
        .open_bi()
        .await
        .map_err(StreamError::from_transport)?;
    let (mut writer, reader) = (Writer::control(send, dialect), Reader::new(recv, dialect));
    writer.flush(&mut output).await?;
    Ok((writer, reader))
}
