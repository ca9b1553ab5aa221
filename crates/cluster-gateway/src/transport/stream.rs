//! The byte stream of a connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::hop::Hop;
use super::tcp;

/// A first hop, read in large pieces.
pub(super) type Socket = BufReader<Hop>;

/// A connection to a member.
#[derive(Debug)]
pub(super) enum Stream {
    /// Clear text.
    Plain(Socket),
    /// TLS.
    Tls(Box<TlsStream<Socket>>),
}

impl Stream {
    /// From now on the peer may leave unread, and so unacknowledged, what it is sent.
    pub(super) fn wait_for_reader(&self) {
        let socket = match self {
            Self::Plain(socket) => socket.get_ref(),
            Self::Tls(tls) => tls.get_ref().0.get_ref(),
        };
        match socket {
            Hop::Tcp(stream) => tcp::limit_unacknowledged(stream, None),
            Hop::Proxy(stream) => tcp::limit_unacknowledged(stream.get_ref().0, None),
            Hop::Tunnel(_) => {}
        }
    }
}

/// Forwards reading and writing to whatever variant there is.
macro_rules! forward {
    ($type:ident { $($variant:ident),+ }) => {
        impl AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $($type::$variant(inner) => Pin::new(inner).poll_read(cx, buf),)+
                }
            }
        }

        impl AsyncWrite for $type {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    $($type::$variant(inner) => Pin::new(inner).poll_write(cx, buf),)+
                }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    $($type::$variant(inner) => Pin::new(inner).poll_write_vectored(cx, bufs),)+
                }
            }

            fn is_write_vectored(&self) -> bool {
                match self {
                    $($type::$variant(inner) => inner.is_write_vectored(),)+
                }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $($type::$variant(inner) => Pin::new(inner).poll_flush(cx),)+
                }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $($type::$variant(inner) => Pin::new(inner).poll_shutdown(cx),)+
                }
            }
        }
    };
}

pub(super) use forward;

forward!(Stream { Plain, Tls });
