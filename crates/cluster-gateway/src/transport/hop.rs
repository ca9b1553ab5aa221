//! The first hop: the byte stream that carries TLS, or HTTP, to the member.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::proxy::ProxySpec;

/// How the first hop is made. Part of what must be equal for a connection to be reused (contract rule 163).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Route {
    /// Straight to the member's own address.
    #[default]
    Direct,
    /// Through a proxy, which is asked for a tunnel.
    Proxy(ProxySpec),
}

/// A connected first hop.
#[derive(Debug)]
pub(super) enum Hop {
    /// A socket: to the member, or to a proxy that is spoken to in clear text.
    Tcp(TcpStream),
    /// TLS to a proxy.
    Proxy(Box<TlsStream<TcpStream>>),
}

macro_rules! on_inner {
    ($self:ident, $inner:ident => $call:expr) => {
        match $self.get_mut() {
            Hop::Tcp($inner) => {
                let $inner = Pin::new($inner);
                $call
            }
            Hop::Proxy($inner) => {
                let $inner = Pin::new($inner.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Hop {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_inner!(self, inner => inner.poll_read(cx, buf))
    }
}

impl AsyncWrite for Hop {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on_inner!(self, inner => inner.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_inner!(self, inner => inner.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(inner) => inner.is_write_vectored(),
            Self::Proxy(inner) => inner.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_inner!(self, inner => inner.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_inner!(self, inner => inner.poll_shutdown(cx))
    }
}
