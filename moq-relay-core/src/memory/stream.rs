use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use web_transport_trait as wt;

use crate::memory::error::Error;
use crate::memory::flow::FlowId;
use crate::memory::shared::Handle;

/// The writing side of a stream. Dropping it is a clean end unless it was reset or stopped.
#[derive(Debug)]
pub struct SendStream {
    handle: Arc<Handle>,
    flow: FlowId,
}

impl SendStream {
    pub(super) fn new(handle: Arc<Handle>, flow: FlowId) -> Self {
        Self { handle, flow }
    }
}

impl wt::SendStream for SendStream {
    type Error = Error;

    async fn write(&mut self, buf: &[u8]) -> Result<usize, Error> {
        poll_fn(|cx| {
            self.handle.with(|state, _| {
                state.poll_write(self.flow, cx.waker(), |room| {
                    Bytes::copy_from_slice(&buf[..buf.len().min(room)])
                })
            })
        })
        .await
    }

    /// Writes the chunk without a copy. What was accepted before the future is dropped stays
    /// written.
    async fn write_chunk(&mut self, mut chunk: Bytes) -> Result<(), Error> {
        while !chunk.is_empty() {
            poll_fn(|cx| {
                self.handle.with(|state, _| {
                    state.poll_write(self.flow, cx.waker(), |room| {
                        chunk.split_to(chunk.len().min(room))
                    })
                })
            })
            .await?;
        }
        Ok(())
    }

    fn set_priority(&mut self, order: i32) {
        self.handle
            .with(|state, _| state.set_priority(self.flow, order));
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.handle.with(|state, _| state.finish(self.flow))
    }

    fn reset(&mut self, code: u32) {
        self.handle.with(|state, _| state.reset(self.flow, code));
    }

    async fn closed(&mut self) -> Result<(), Error> {
        poll_fn(|cx| {
            self.handle
                .with(|state, _| state.poll_send_closed(self.flow, cx.waker()))
        })
        .await
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        self.handle.with(|state, _| state.release_send(self.flow));
    }
}

/// The reading side of a stream. Dropping it stops the stream with code 0 unless it has ended.
#[derive(Debug)]
pub struct RecvStream {
    handle: Arc<Handle>,
    flow: FlowId,
}

impl RecvStream {
    pub(super) fn new(handle: Arc<Handle>, flow: FlowId) -> Self {
        Self { handle, flow }
    }
}

impl wt::RecvStream for RecvStream {
    type Error = Error;

    async fn read(&mut self, dst: &mut [u8]) -> Result<Option<usize>, Error> {
        let chunk = self.read_chunk(dst.len()).await?;
        Ok(chunk.map(|chunk| {
            dst[..chunk.len()].copy_from_slice(&chunk);
            chunk.len()
        }))
    }

    /// Returns a slice of what the peer wrote, without a copy and never across two of its writes.
    async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, Error> {
        if max == 0 {
            return Ok(Some(Bytes::new()));
        }
        poll_fn(|cx| {
            self.handle
                .with(|state, _| state.poll_read(self.flow, cx.waker(), max))
        })
        .await
    }

    fn stop(&mut self, code: u32) {
        self.handle.with(|state, _| state.stop(self.flow, code));
    }

    async fn closed(&mut self) -> Result<(), Error> {
        poll_fn(|cx| {
            self.handle
                .with(|state, _| state.poll_recv_closed(self.flow, cx.waker()))
        })
        .await
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        self.handle.with(|state, _| state.release_recv(self.flow));
    }
}
