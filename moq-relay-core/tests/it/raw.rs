//! A peer that says exactly what a test wants, on the bare transport.

use moq_relay_core::memory;
use moq_transfork::coding::Message;
use moq_transfork::message::{
    GroupHeader, GroupOrder, Info, Priority, Subscribe, SubscribeGap, UniType,
};
use moq_transfork::setup::{self, Established, SessionReader, SessionWriter};
use moq_transfork::stream::{
    self, AnnounceReader, AnnounceRequest, AnnounceWriter, GroupReader, Request, RequestReader,
    StreamError, SubscribeReader, SubscribeReplies, SubscribeRequest, SubscribeWriter,
};
use moq_transfork::wt::{SendStream as _, Session as _};
use moq_transfork::{Code, Dialect, Filter};

use crate::world::{World, path, soon};

type Transport = memory::Session;

/// A peer that says exactly what a test wants.
pub(crate) struct Raw {
    pub(crate) transport: Transport,
    pub(crate) dialect: Dialect,
    pub(crate) updates: SessionReader<Transport>,
    pub(crate) control: SessionWriter<Transport>,
}

/// The relay's request for our announcements.
pub(crate) struct Told {
    pub(crate) writer: AnnounceWriter<Transport>,
    /// Kept so that the relay is not told to stop asking.
    _reader: RequestReader<Transport>,
}

/// The relay's subscription to a track of ours.
pub(crate) struct Upstream {
    pub(crate) subscribe: Subscribe,
    pub(crate) writer: SubscribeWriter<Transport>,
    pub(crate) reader: SubscribeReader<Transport>,
}

/// Our subscription to a track at the relay.
pub(crate) struct Downstream {
    pub(crate) request: SubscribeRequest<Transport>,
    pub(crate) replies: SubscribeReplies<Transport>,
}

impl Raw {
    pub(crate) async fn connect(world: &mut World, dialect: Dialect) -> Self {
        Self::connect_over(world, dialect, memory::Config::default()).await
    }

    pub(crate) async fn connect_over(
        world: &mut World,
        dialect: Dialect,
        config: memory::Config,
    ) -> Self {
        Self::set_up(world.accept(config), dialect).await
    }

    /// Sets up a session that the relay serves at its other end.
    pub(crate) async fn set_up(transport: Transport, dialect: Dialect) -> Self {
        let Established {
            dialect,
            control,
            updates,
            ..
        } = soon(setup::connect(&transport, &[dialect]))
            .await
            .expect("the relay accepts");
        Self {
            transport,
            dialect,
            updates,
            control,
        }
    }

    /// Connects a publisher that has announced `names`.
    pub(crate) async fn publisher(
        world: &mut World,
        dialect: Dialect,
        names: &[&str],
    ) -> (Self, Told) {
        let raw = Self::connect(world, dialect).await;
        let mut told = raw.asked_for_announcements().await;
        for name in names {
            told.active(name).await;
        }
        crate::world::settle().await;
        (raw, told)
    }

    /// Takes the next request that the relay makes.
    pub(crate) async fn request(&self) -> Request<Transport> {
        let (send, recv) = soon(self.transport.accept_bi())
            .await
            .expect("the session is open");
        soon(Request::accept(send, recv, self.dialect))
            .await
            .expect("the relay speaks the protocol")
    }

    /// True if the relay has opened a stream that was not taken yet.
    pub(crate) async fn has_request(&self) -> bool {
        let accepted = tokio::time::timeout(crate::world::INSTANT, self.transport.accept_bi());
        accepted.await.is_ok()
    }

    pub(crate) async fn asked_for_announcements(&self) -> Told {
        let Request::Announce(please, writer, reader) = self.request().await else {
            panic!("the relay asks for announcements first");
        };
        assert_eq!(please.filter, Filter::any());
        Told {
            writer,
            _reader: reader,
        }
    }

    /// Takes the relay's next subscription.
    pub(crate) async fn subscribed(&self) -> Upstream {
        let Request::Subscribe(subscribe, writer, reader) = self.request().await else {
            panic!("the relay subscribes");
        };
        Upstream {
            subscribe,
            writer,
            reader,
        }
    }

    /// Subscribes with an exact message.
    pub(crate) async fn subscribe(&self, subscribe: &Subscribe) -> Downstream {
        let (request, replies) = stream::subscribe(&self.transport, self.dialect, subscribe)
            .await
            .expect("the session is open");
        Downstream { request, replies }
    }

    /// Opens a bidirectional stream that says `bytes`.
    pub(crate) async fn open(&self, bytes: &[u8]) -> (memory::SendStream, memory::RecvStream) {
        let (mut send, recv) = self.transport.open_bi().await.expect("the session is open");
        send.write_all(bytes).await.expect("the stream is open");
        (send, recv)
    }

    /// Opens a unidirectional stream that says `bytes`.
    pub(crate) async fn open_uni(&self, bytes: &[u8]) -> memory::SendStream {
        let mut send = self
            .transport
            .open_uni()
            .await
            .expect("the session is open");
        send.write_all(bytes).await.expect("the stream is open");
        send
    }

    /// Begins a group: the header, and frames in wire form.
    pub(crate) async fn begin_group(
        &self,
        subscribe: u64,
        sequence: u64,
        frames: &[u8],
    ) -> memory::SendStream {
        let header = GroupHeader {
            subscribe,
            sequence,
        };
        let mut bytes = said(&UniType::Group, self.dialect);
        bytes.extend(said(&header, self.dialect));
        bytes.extend_from_slice(frames);
        self.open_uni(&bytes).await
    }

    /// Sends a whole group of frames in wire form.
    pub(crate) async fn send_group(&self, subscribe: u64, sequence: u64, frames: &[u8]) {
        let mut stream = self.begin_group(subscribe, sequence, frames).await;
        stream.finish().expect("the stream is open");
    }

    /// Sends a whole group of one frame, which says the group's number.
    pub(crate) async fn send(&self, subscribe: u64, sequence: u64) {
        let frames = crate::world::wire(&[&sequence.to_string()]);
        self.send_group(subscribe, sequence, &frames).await;
    }

    /// Takes the next group that the relay sends, after its header.
    pub(crate) async fn group(&self) -> (GroupHeader, GroupReader<Transport>) {
        let recv = soon(self.transport.accept_uni())
            .await
            .expect("the session is open");
        soon(GroupReader::accept(recv, self.dialect))
            .await
            .expect("the relay speaks the protocol")
    }

    /// Takes the next group and reads it to its end.
    pub(crate) async fn whole_group(&self) -> (u64, Result<Vec<u8>, StreamError>) {
        let (header, reader) = self.group().await;
        (header.sequence, read_stream(reader).await)
    }

    /// True if the relay has opened a group's stream that was not taken yet.
    pub(crate) async fn has_group(&self) -> bool {
        let accepted = tokio::time::timeout(crate::world::INSTANT, self.transport.accept_uni());
        accepted.await.is_ok()
    }

    /// Asks the relay for announcements.
    pub(crate) async fn announced(
        &self,
        filter: Filter,
    ) -> (AnnounceRequest<Transport>, AnnounceReader<Transport>) {
        stream::announce(&self.transport, self.dialect, filter)
            .await
            .expect("the session is open")
    }

    /// Waits for the session's end and returns the code and reason the relay closed it with.
    pub(crate) async fn closed(&self) -> (u32, String) {
        closed(&self.transport).await
    }
}

impl Told {
    pub(crate) async fn active(&mut self, name: &str) {
        self.writer.active(&path(name)).await.expect("open");
    }

    pub(crate) async fn ended(&mut self, name: &str) {
        self.writer.ended(&path(name)).await.expect("open");
    }
}

impl Upstream {
    /// Answers with an INFO of nothing special.
    pub(crate) async fn accept(&mut self, latest: u64) {
        let info = Info {
            latest,
            ..Info::default()
        };
        self.writer.info(&info).await.expect("open");
    }

    pub(crate) async fn gap(&mut self, start: u64, count: u64, code: Code) {
        let gap = SubscribeGap { start, count, code };
        self.writer.gap(&gap).await.expect("open");
    }
}

impl Downstream {
    pub(crate) async fn info(&mut self) -> Info {
        soon(self.replies.info()).await.expect("the track is there")
    }

    /// The next gap: first group, last group, and why; nothing at the end.
    pub(crate) async fn gap(&mut self) -> Result<Option<(u64, u64, Code)>, StreamError> {
        let gap = soon(self.replies.gap()).await?;
        Ok(gap.map(|gap| (gap.start, gap.start + gap.count, gap.code)))
    }

    /// All gaps told by now.
    pub(crate) async fn gaps(&mut self) -> Vec<(u64, u64, Code)> {
        let mut gaps = Vec::new();
        while let Ok(Ok(Some(gap))) =
            tokio::time::timeout(crate::world::INSTANT, self.replies.gap()).await
        {
            gaps.push((gap.start, gap.start + gap.count, gap.code));
        }
        gaps
    }
}

/// A SUBSCRIBE with nothing special.
pub(crate) fn subscribe(id: u64, name: &str) -> Subscribe {
    Subscribe {
        id,
        path: path(name),
        priority: Priority::NEUTRAL,
        order: GroupOrder::Default,
        expires: std::time::Duration::ZERO,
        min: None,
        max: None,
    }
}

/// Reads a group's stream to its end.
pub(crate) async fn read_stream(
    mut reader: GroupReader<Transport>,
) -> Result<Vec<u8>, StreamError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = soon(reader.read(usize::MAX)).await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Waits for a session's end and returns the code and reason the other end closed it with.
pub(crate) async fn closed(transport: &Transport) -> (u32, String) {
    let error = soon(transport.closed()).await;
    let memory::Error::Closed { code, reason } = error else {
        panic!("not closed by the relay: {error}");
    };
    (code, reason)
}

/// The bytes of a message.
pub(crate) fn said<M: Message>(message: &M, dialect: Dialect) -> Vec<u8> {
    message
        .to_bytes(dialect)
        .expect("the dialect can say it")
        .to_vec()
}
