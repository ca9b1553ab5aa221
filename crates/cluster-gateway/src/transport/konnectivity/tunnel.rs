//! A tunnel as a stream of bytes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::channel::{Channel, LastWords};
use super::grpc;
use super::packet::Packet;

/// Bytes of one packet at most.
const PIECE: usize = 32 * 1024;

/// A TCP connection that an agent has made.
///
/// Nothing is read from the proxy server that is not asked for, so HTTP/2's flow control stops the sender while the reader
/// stands still (contract rule 240). The protocol cannot close one direction: shutting down does nothing, and dropping
/// closes both (rule 239). TLS inside the tunnel has its own end of each direction.
#[derive(Debug)]
pub(in crate::transport) struct GrpcTunnel {
    /// `None`: closed.
    channel: Option<Channel>,
    connect_id: i64,
    /// What has come and has not been read.
    unread: Bytes,
}

impl GrpcTunnel {
    pub(super) fn new(channel: Channel, connect_id: i64) -> Self {
        Self { channel: Some(channel), connect_id, unread: Bytes::new() }
    }

    fn channel(&mut self) -> io::Result<&mut Channel> {
        self.channel.as_mut().ok_or_else(|| io::Error::new(io::ErrorKind::BrokenPipe, "the tunnel is closed"))
    }

    /// Waits for data; `None`: the peer has closed.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let connect_id = self.connect_id;
        let Some(channel) = &mut self.channel else { return Poll::Ready(Ok(None)) };
        loop {
            match ready!(channel.poll_packet(cx)) {
                Ok(Packet::Data { connect_id: id, data }) if id == connect_id && !data.is_empty() => {
                    return Poll::Ready(Ok(Some(data)));
                }
                Ok(Packet::CloseResponse { connect_id: id, error }) if id == connect_id => {
                    tracing::debug!(error, "a connection through the konnectivity proxy server was closed");
                    if let Some(channel) = self.channel.take() {
                        channel.leave(LastWords::None);
                    }
                    return Poll::Ready(Ok(None));
                }
                Ok(other) => channel.stray(&other).map_err(|cause| broken(&cause))?,
                Err(end) => return Poll::Ready(Err(broken(&end.into_text()))),
            }
        }
    }

    /// Waits until the proxy server has room for data. One byte is claimed: what one tunnel claims no other gets. What of
    /// a packet exceeds the room is kept in the connection.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let channel = self.channel()?;
        channel.send.reserve_capacity(1);
        while channel.send.capacity() == 0 {
            match ready!(channel.send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(broken(&channel.why(Some(&error))))),
                None => return Poll::Ready(Err(broken(&channel.why(None)))),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn send(&mut self, data: Bytes) -> io::Result<usize> {
        let (length, connect_id) = (data.len(), self.connect_id);
        let channel = self.channel()?;
        let packet = grpc::encode(&Packet::Data { connect_id, data });
        channel.send.send_data(packet, false).map_err(|error| broken(&channel.why(Some(&error))))?;
        Ok(length)
    }
}

fn broken(cause: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionReset,
        format!("the tunnel through the konnectivity proxy server broke: {cause}"),
    )
}

impl AsyncRead for GrpcTunnel {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.unread.is_empty() {
            match ready!(this.poll_data(cx))? {
                Some(data) => this.unread = data,
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = this.unread.len().min(buf.remaining());
        buf.put_slice(&this.unread[..length]);
        this.unread.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for GrpcTunnel {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let length = bufs.iter().map(|buf| buf.len()).sum::<usize>().min(PIECE);
        if length == 0 {
            return Poll::Ready(Ok(0));
        }
        ready!(this.poll_room(cx))?;
        let mut data = BytesMut::with_capacity(length);
        for buf in bufs {
            let room = length - data.len();
            data.extend_from_slice(&buf[..buf.len().min(room)]);
        }
        Poll::Ready(this.send(data.freeze()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for GrpcTunnel {
    fn drop(&mut self) {
        if let Some(channel) = self.channel.take() {
            channel.leave(LastWords::Close(self.connect_id));
        }
    }
}
