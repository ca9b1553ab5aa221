//! The first hop: the byte stream that carries TLS, or HTTP, to the member.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::konnectivity::Tunnel;
use super::proxy::ProxySpec;
use super::stream::forward;

/// How the first hop is made. Part of what must be equal for a connection to be reused (contract rule 163).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Route {
    /// Straight to the member's own address.
    #[default]
    Direct,
    /// By the cluster's agent, which the konnectivity proxy server asks to connect (rule 237).
    Konnectivity,
    /// Through a proxy, which is asked for a tunnel.
    Proxy(Box<ProxySpec>),
}

/// A connected first hop.
#[derive(Debug)]
pub(super) enum Hop {
    /// A socket: to the member, or to a proxy that is spoken to in clear text.
    Tcp(TcpStream),
    /// A connection that an agent has made.
    Tunnel(Tunnel),
    /// TLS to a proxy.
    Proxy(Box<TlsStream<TcpStream>>),
}

forward!(Hop { Tcp, Tunnel, Proxy });
