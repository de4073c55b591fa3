//! What the writing end of a flow does, and what it learns.

use std::cmp::Reverse;
use std::task::{Poll, Waker};

use bytes::Bytes;

use crate::memory::error::Error;
use crate::memory::flow::{FlowId, SendPhase, Side};
use crate::memory::link::Event;
use crate::memory::state::State;

impl State {
    /// Writes what `take` cuts off when told how many bytes there is room for.
    pub(super) fn poll_write(
        &mut self,
        id: FlowId,
        waker: &Waker,
        take: impl FnOnce(usize) -> Bytes,
    ) -> Poll<Result<usize, Error>> {
        let Some(flow) = self.flows.get_mut(&id) else {
            return Poll::Ready(Err(Error::ClosedStream));
        };
        let end = &mut self.ends[flow.writer.index()];
        let send = &mut flow.send;
        if let Some(error) = &end.error {
            return Poll::Ready(Err(error.clone()));
        }
        if send.phase != SendPhase::Open {
            return Poll::Ready(Err(Error::ClosedStream));
        }
        if let Some(code) = send.stopped {
            return Poll::Ready(Err(Error::Stopped(code)));
        }
        let stream_room = self.stream_window.saturating_sub(send.held);
        let room = stream_room.min(self.session_window.saturating_sub(end.held));
        if room == 0 {
            send.waker = Some(waker.clone());
            if stream_room > 0 && !send.blocked {
                send.blocked = true;
                end.blocked.push(id);
            }
            return Poll::Pending;
        }
        let chunk = take(room);
        let size = chunk.len();
        if size > 0 {
            send.held += size;
            end.held += size;
            send.queue.push_back(chunk);
            self.schedule(id);
        }
        Poll::Ready(Ok(size))
    }

    pub(super) fn set_priority(&mut self, id: FlowId, priority: i32) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.send.priority = priority;
        }
    }

    /// Ends the flow cleanly. Of a flow that was stopped this is accepted and without effect.
    pub(super) fn finish(&mut self, id: FlowId) -> Result<(), Error> {
        let send = &mut self.flows.get_mut(&id).ok_or(Error::ClosedStream)?.send;
        if send.stopped.is_some() {
            return Ok(());
        }
        if send.phase != SendPhase::Open {
            return Err(Error::ClosedStream);
        }
        send.phase = SendPhase::Finishing;
        self.schedule(id);
        Ok(())
    }

    /// Ends the flow with a code, and takes back what has not left yet.
    pub(super) fn reset(&mut self, id: FlowId, code: u32) {
        let Some(flow) = self.flows.get_mut(&id) else {
            return;
        };
        if flow.send.phase == SendPhase::Reset || flow.send.acked {
            return;
        }
        flow.send.phase = SendPhase::Reset;
        let writer = flow.writer;
        let queued = flow.send.queue.drain(..).map(|chunk| chunk.len()).sum();
        self.on_credit(id, queued);
        self.post(writer, Event::Reset { flow: id, code });
    }

    /// Waits until the reader has it all, stops it, or the flow was reset.
    pub(super) fn poll_send_closed(
        &mut self,
        id: FlowId,
        waker: &Waker,
    ) -> Poll<Result<(), Error>> {
        let Some(flow) = self.flows.get_mut(&id) else {
            return Poll::Ready(Ok(()));
        };
        let send = &mut flow.send;
        if send.acked || send.phase == SendPhase::Reset {
            return Poll::Ready(Ok(()));
        }
        if let Some(code) = send.stopped {
            return Poll::Ready(Err(Error::Stopped(code)));
        }
        if let Some(error) = &self.ends[flow.writer.index()].error {
            return Poll::Ready(Err(error.clone()));
        }
        send.waker = Some(waker.clone());
        Poll::Pending
    }

    /// The handle is gone: finishes the flow, or answers the reader who stopped it.
    pub(super) fn release_send(&mut self, id: FlowId) {
        let Some(flow) = self.flows.get_mut(&id) else {
            return;
        };
        flow.send.released = true;
        match flow.send.stopped {
            Some(code) => self.reset(id, code),
            // Fails only if it has ended already.
            None => drop(self.finish(id)),
        }
        self.sweep(id);
    }

    /// Sends the next packet of the flow whose turn it is.
    pub(super) fn transmit(&mut self, sender: Side) {
        let now = self.now;
        let end = &mut self.ends[sender.index()];
        let link = &mut self.links[sender.index()];
        let Some(id) = link.next_flow() else {
            return;
        };
        let Some(flow) = self.flows.get_mut(&id) else {
            return;
        };
        let send = &mut flow.send;
        send.scheduled = false;
        if let Some(mut chunk) = send.queue.pop_front() {
            let packet = chunk.split_to(chunk.len().min(link.packet_size()));
            if !chunk.is_empty() {
                send.queue.push_front(chunk);
            }
            end.sent += packet.len() as u64;
            link.send_data(now, id, packet);
        }
        if !send.queue.is_empty() {
            self.schedule(id);
        } else if send.phase == SendPhase::Finishing {
            send.phase = SendPhase::Finished;
            link.send(now, Event::Fin { flow: id });
        }
    }

    /// Notes that the reader wants no more. What was written still goes out, as in quinn, until
    /// the handle resets the flow; one that is gone already never does.
    pub(super) fn on_stop(&mut self, id: FlowId, code: u32) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.send.stopped.get_or_insert(code);
            self.effects.wake(&mut flow.send.waker);
        }
    }

    /// Takes back room in the windows and wakes who waits for it, the highest priority first.
    pub(super) fn on_credit(&mut self, id: FlowId, bytes: usize) {
        let Some(flow) = self.flows.get_mut(&id) else {
            return;
        };
        let end = &mut self.ends[flow.writer.index()];
        flow.send.held -= bytes;
        end.held -= bytes;
        let mut waiting = std::mem::take(&mut end.blocked);
        if !flow.send.blocked {
            waiting.push(id);
        }
        waiting.sort_by_key(|id| Reverse(self.flows.get(id).map(|flow| flow.send.priority)));
        for id in waiting {
            if let Some(flow) = self.flows.get_mut(&id) {
                flow.send.blocked = false;
                self.effects.wake(&mut flow.send.waker);
            }
        }
    }

    pub(super) fn on_acked(&mut self, id: FlowId) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.send.acked = true;
            self.effects.wake(&mut flow.send.waker);
        }
    }

    pub(super) fn on_done(&mut self, id: FlowId) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.send.done = true;
            self.effects.give_back(flow.permit.take());
            self.sweep(id);
        }
    }

    /// Queues the flow for the link, unless it is queued or its session is over.
    fn schedule(&mut self, id: FlowId) {
        let Some(flow) = self.flows.get_mut(&id) else {
            return;
        };
        if !flow.send.scheduled && self.ends[flow.writer.index()].error.is_none() {
            flow.send.scheduled = true;
            self.links[flow.writer.index()].schedule(id, flow.send.priority);
        }
    }
}
