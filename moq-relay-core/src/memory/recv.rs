//! What the reading end of a flow does, and what it learns.

use std::task::{Poll, Waker};

use bytes::Bytes;

use crate::memory::error::Error;
use crate::memory::flow::{Duplex, FlowId, Kind, RecvEnd, RecvPhase};
use crate::memory::link::Event;
use crate::memory::state::State;

impl State {
    /// Reads the next slice of at most so many bytes, `None` at the end.
    pub(super) fn poll_read(
        &mut self,
        id: FlowId,
        waker: &Waker,
        max: usize,
    ) -> Poll<Result<Option<Bytes>, Error>> {
        let Some(flow) = self.flows.get_mut(&id) else {
            return Poll::Ready(Err(Error::ClosedStream));
        };
        let recv = &mut flow.recv;
        match recv.phase {
            RecvPhase::Reading => {}
            RecvPhase::Ended => return Poll::Ready(Ok(None)),
            RecvPhase::Closed => return Poll::Ready(Err(Error::ClosedStream)),
        }
        if let Some(mut chunk) = recv.chunks.pop_front() {
            let slice = chunk.split_to(chunk.len().min(max));
            if !chunk.is_empty() {
                recv.chunks.push_front(chunk);
            }
            self.credit(id, slice.len());
            self.acknowledge(id);
            return Poll::Ready(Ok(Some(slice)));
        }
        if let Some(end) = recv.end {
            recv.phase = RecvPhase::Ended;
            self.complete(id);
            return Poll::Ready(match end {
                RecvEnd::Fin => Ok(None),
                RecvEnd::Reset(code) => Err(Error::Reset(code)),
            });
        }
        if let Some(error) = &self.ends[flow.reader().index()].error {
            return Poll::Ready(Err(error.clone()));
        }
        flow.recv.waker = Some(waker.clone());
        Poll::Pending
    }

    /// Drops what was not read and asks the writer to stop.
    pub(super) fn stop(&mut self, id: FlowId, code: u32) {
        let Some(flow) = self.flows.get_mut(&id) else {
            return;
        };
        if flow.recv.phase != RecvPhase::Reading {
            return;
        }
        let reader = flow.reader();
        let drained = flow.recv.is_drained();
        let reset = matches!(flow.recv.end, Some(RecvEnd::Reset(_)));
        let unread = flow.recv.discard();
        flow.recv.phase = RecvPhase::Ended;
        if !drained && !reset {
            self.post(reader, Event::Stop { flow: id, code });
        }
        self.credit(id, unread);
        self.complete(id);
    }

    /// Waits for a reset, or returns at once after the end was read or the stream stopped.
    pub(super) fn poll_recv_closed(
        &mut self,
        id: FlowId,
        waker: &Waker,
    ) -> Poll<Result<(), Error>> {
        let Some(flow) = self.flows.get_mut(&id) else {
            return Poll::Ready(Ok(()));
        };
        if flow.recv.phase != RecvPhase::Reading {
            return Poll::Ready(Ok(()));
        }
        if let Some(RecvEnd::Reset(_)) = flow.recv.end {
            flow.recv.phase = RecvPhase::Closed;
            self.complete(id);
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = &self.ends[flow.reader().index()].error {
            return Poll::Ready(Err(error.clone()));
        }
        flow.recv.waker = Some(waker.clone());
        Poll::Pending
    }

    /// The handle is gone.
    pub(super) fn release_recv(&mut self, id: FlowId) {
        self.stop(id, 0);
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.recv.released = true;
        }
        self.sweep(id);
    }

    pub(super) fn on_data(&mut self, id: FlowId, chunk: Bytes) {
        self.announce(id);
        let Some(flow) = self.flows.get_mut(&id) else {
            return;
        };
        let size = chunk.len();
        self.ends[flow.reader().index()].received += size as u64;
        if flow.recv.phase == RecvPhase::Reading {
            flow.recv.chunks.push_back(chunk);
            self.effects.wake(&mut flow.recv.waker);
        } else {
            self.credit(id, size);
        }
    }

    pub(super) fn on_fin(&mut self, id: FlowId) {
        self.announce(id);
        let Some(flow) = self.flows.get_mut(&id) else {
            return;
        };
        flow.recv.end = Some(RecvEnd::Fin);
        self.effects.wake(&mut flow.recv.waker);
        match flow.recv.phase {
            RecvPhase::Reading => self.acknowledge(id),
            RecvPhase::Ended | RecvPhase::Closed => self.complete(id),
        }
    }

    pub(super) fn on_reset(&mut self, id: FlowId, code: u32) {
        let Some(flow) = self.flows.get_mut(&id) else {
            return;
        };
        let completed = flow.recv.phase != RecvPhase::Reading && flow.recv.end.is_some();
        if completed || flow.recv.is_drained() {
            return;
        }
        flow.recv.end = Some(RecvEnd::Reset(code));
        self.effects.wake(&mut flow.recv.waker);
        let unread = flow.recv.discard();
        let announced = flow.recv.announced;
        let stopped = flow.recv.phase == RecvPhase::Ended;
        self.credit(id, unread);
        if !announced {
            self.refuse(id);
        } else if stopped {
            self.complete(id);
        }
    }

    /// Offers the stream to `accept` when the first of it arrives.
    fn announce(&mut self, id: FlowId) {
        let Some(flow) = self.flows.get_mut(&id) else {
            return;
        };
        if flow.recv.announced {
            return;
        }
        flow.recv.announced = true;
        let reader = flow.reader();
        let end = &mut self.ends[reader.index()];
        match flow.answer {
            Some(send) => {
                end.arrived_bi.push_back(Duplex { send, recv: id });
                self.effects.arrived(reader, Kind::Bi);
            }
            None => {
                end.arrived_uni.push_back(id);
                self.effects.arrived(reader, Kind::Uni);
            }
        }
    }

    /// Ends a stream that was reset before anything of it arrived, without anyone here seeing it.
    fn refuse(&mut self, id: FlowId) {
        let answer = self.flows.get(&id).and_then(|flow| flow.answer);
        self.release_recv(id);
        if let Some(answer) = answer {
            self.release_send(answer);
        }
    }

    /// Tells the writer that it may send as many bytes more.
    fn credit(&mut self, id: FlowId, bytes: usize) {
        if bytes > 0
            && let Some(flow) = self.flows.get(&id)
        {
            self.post(flow.reader(), Event::Credit { flow: id, bytes });
        }
    }

    /// Tells the writer once all was read, whether or not the reader asked what comes after.
    fn acknowledge(&mut self, id: FlowId) {
        if let Some(flow) = self.flows.get(&id).filter(|flow| flow.recv.is_drained()) {
            self.post(flow.reader(), Event::Acked { flow: id });
        }
    }

    /// Tells the writer that the reader is through, once the end arrived too.
    fn complete(&mut self, id: FlowId) {
        if let Some(flow) = self.flows.get(&id).filter(|flow| flow.recv.end.is_some()) {
            self.post(flow.reader(), Event::Done { flow: id });
        }
    }
}
