//! The first hop: the byte stream that carries TLS, or HTTP, to the member.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::konnectivity::Tunnel;
use super::stream::forward;

/// How the first hop is made. Part of what must be equal for a connection to be reused (contract rule 163).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Route {
    /// Straight to the member's own address.
    #[default]
    Direct,
    /// By the cluster's agent, which the konnectivity proxy server asks to connect (rule 237).
    Konnectivity,
}

/// A connected first hop.
#[derive(Debug)]
pub(super) enum Hop {
    /// A socket.
    Tcp(TcpStream),
    /// A connection that an agent has made.
    Tunnel(Tunnel),
}

forward!(Hop { Tcp, Tunnel });
