//! Byte streams below HTTP: fewer and larger writes.
//!
//! HTTP/2 asks for a flush after every frame it writes, which costs one TLS record and one system call per response.
//! [`Coalesced`] holds small writes back until the connection's task is polled once more, so that whatever the other
//! streams have to say in the meantime leaves together with them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes are held back at most: the payload of one TLS record.
pub const CAPACITY: usize = 16 * 1024;

/// A stream that joins small writes.
///
/// For connections whose task reads on every poll, as HTTP/2's does. It belongs above TLS, so that a batch becomes one
/// record.
///
/// **Invariant:** bytes are never held while the task sleeps. Whoever leaves bytes behind (held here, or written to the
/// inner stream but not flushed) has woken the task or has been registered with the inner stream's readiness to write;
/// the next [`AsyncRead::poll_read`], which the task must make on every poll, sends them. No byte is lost, doubled or
/// reordered whatever the inner stream does.
#[derive(Debug)]
pub struct Coalesced<S> {
    inner: S,
    /// Bytes taken over and not yet given to `inner`, from `sent` on.
    held: Vec<u8>,
    sent: usize,
    /// `inner` was written to since its last complete flush.
    unflushed: bool,
    /// The task has been woken and has not polled since.
    woken: bool,
    heard: Arc<AtomicBool>,
}

impl<S> Coalesced<S> {
    /// Wraps `inner`. Memory is taken by the first write, and given back when there is nothing to write or read.
    pub fn new(inner: S) -> Self {
        Self { inner, held: Vec::new(), sent: 0, unflushed: false, woken: false, heard: Arc::default() }
    }

    /// Set whenever bytes come in; whoever wants to know about silence clears it.
    pub fn heard(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.heard)
    }

    /// The wrapped stream.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    fn held(&self) -> usize {
        self.held.len() - self.sent
    }

    fn wake(&mut self, cx: &Context<'_>) {
        if !self.woken {
            self.woken = true;
            cx.waker().wake_by_ref();
        }
    }

    fn hold(&mut self, bytes: &[u8]) {
        if self.held.capacity() == 0 {
            self.held.reserve_exact(CAPACITY);
        }
        self.held.extend_from_slice(bytes);
    }
}

impl<S: AsyncWrite + Unpin> Coalesced<S> {
    /// Gives all held bytes to the inner stream.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.held() > 0 {
            let length = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.held[self.sent..]))?;
            if length == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += length;
            self.unflushed = true;
        }
        self.held.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Gives all held bytes to the inner stream and flushes it.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        if self.unflushed {
            ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Makes room for `length` bytes. `true`: hold them; `false`: nothing is held, write them through.
    fn poll_room(&mut self, cx: &mut Context<'_>, length: usize) -> Poll<io::Result<bool>> {
        if self.held.len() + length > CAPACITY {
            ready!(self.poll_drain(cx))?;
        }
        Poll::Ready(Ok(length < CAPACITY))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Coalesced<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.woken = false;
        if let Poll::Ready(Err(error)) = this.poll_send(cx) {
            return Poll::Ready(Err(error));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            this.heard.store(true, Ordering::Relaxed);
        }
        if polled.is_pending() && this.held.is_empty() {
            // Thousands of connections have nothing to say for hours.
            this.held = Vec::new();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Coalesced<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = if ready!(this.poll_room(cx, buf.len()))? {
            this.hold(buf);
            buf.len()
        } else {
            this.unflushed = true;
            ready!(Pin::new(&mut this.inner).poll_write(cx, buf))?
        };
        this.wake(cx);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let length = bufs.iter().map(|buf| buf.len()).sum();
        let written = if ready!(this.poll_room(cx, length))? {
            for buf in bufs {
                this.hold(buf);
            }
            length
        } else {
            this.unflushed = true;
            ready!(Pin::new(&mut this.inner).poll_write_vectored(cx, bufs))?
        };
        this.wake(cx);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Puts the flush off to the next poll of the task, which it makes sure of.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.held() > 0 || this.unflushed {
            this.wake(cx);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
