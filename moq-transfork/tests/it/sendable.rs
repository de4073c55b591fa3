//! Whatever session type is used, every future may move between threads. Compiling is passing.

use moq_transfork::detect::{Pending, Probe};
use moq_transfork::message::{Fetch, FetchUpdate, GroupHeader, Info, InfoPlease, Subscribe};
use moq_transfork::setup::{self, Established};
use moq_transfork::stream::{
    AnnounceReader, AnnounceWriter, FetchReader, FetchRequest, FetchWriter, GroupReader,
    GroupWriter, InfoWriter, Request, RequestReader, SubscribeReader, SubscribeReplies,
    SubscribeRequest, SubscribeWriter, announce, fetch, info, subscribe,
};
use moq_transfork::wt::Session;
use moq_transfork::{Dialect, Filter, Path};

fn send<T: Send>(_: T) {}

fn requests<S: Session>(
    session: &S,
    ask: (Subscribe, Fetch, InfoPlease),
    mut probe: Probe<S>,
    pending: Pending<S>,
) {
    let dialect = Dialect::Draft03;
    send(setup::accept(session, &[dialect]));
    send(setup::connect(session, &[dialect]));
    send(announce(session, dialect, Filter::any()));
    send(subscribe(session, dialect, &ask.0));
    send(fetch(session, dialect, &ask.1));
    send(info(session, dialect, &ask.2));
    send(Probe::start(session));
    send(probe.dialect());
    send(pending.accept());
    send(probe.finish(dialect));
}

fn established<S: Session>(mut established: Established<S>, mut replies: AnnounceReader<S>) {
    send(established.control.update(1));
    send(established.updates.update());
    send(established);
    send(replies.next());
}

fn accepted<S: Session>(
    (send_stream, recv_stream): (S::SendStream, S::RecvStream),
    (mut writer, mut reader): (AnnounceWriter<S>, RequestReader<S>),
    path: Path,
    (reply, message): (InfoWriter<S>, Info),
) {
    send(Request::<S>::accept(
        send_stream,
        recv_stream,
        Dialect::Draft03,
    ));
    send(writer.active(&path));
    send(writer.ended(&path));
    send(writer.live());
    send(writer.flush());
    send(writer.closed());
    send(reader.closed());
    send(reply.reply(&message));
}

fn subscriptions<S: Session>(
    (mut request, mut replies): (SubscribeRequest<S>, SubscribeReplies<S>),
    (mut writer, mut reader): (SubscribeWriter<S>, SubscribeReader<S>),
    message: Info,
) {
    send(request.update(&Default::default()));
    send(replies.info());
    send(replies.gap());
    send(writer.info(&message));
    send(writer.closed());
    send(reader.update());
}

fn groups<S: Session>(
    session: &S,
    recv: S::RecvStream,
    (mut writer, mut reader): (GroupWriter<S>, GroupReader<S>),
    header: GroupHeader,
) {
    send(GroupReader::<S>::accept(recv, Dialect::Draft03));
    send(GroupWriter::open(session, Dialect::Draft03));
    send(writer.header(&header));
    send(writer.write(Default::default()));
    send(writer.finish());
    send(writer.closed());
    send(reader.read(1));
}

fn fetches<S: Session>(
    (mut request, mut writer): (FetchRequest<S>, FetchWriter<S>),
    mut reader: FetchReader<S>,
    update: FetchUpdate,
) {
    send(request.update(&update));
    send(writer.write(Default::default()));
    send(writer.closed());
    send(reader.update());
}

#[test]
fn futures_are_send_for_any_session() {
    use crate::pipe::Session;

    send((
        requests::<Session>,
        established::<Session>,
        accepted::<Session>,
    ));
    send((
        subscriptions::<Session>,
        groups::<Session>,
        fetches::<Session>,
    ));
}
