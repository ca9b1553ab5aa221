//! How long what was sent may stay unacknowledged on an HTTP/1.1 connection.
//!
//! The kernel ends a connection whose peer acknowledges nothing for a while (`TCP_USER_TIMEOUT`), and takes a peer that
//! acknowledges but reads nothing for one of those: a program in a pod that reads its standard input late would lose its
//! session. As long as little has been sent, it fits into the peer's buffers, whatever the peer reads; so the limit holds
//! until more has been.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::Stream;

/// Bytes that the peer's kernel takes although nobody reads them; half of what Linux begins with.
const BUFFERED: usize = 32 * 1024;

/// An HTTP/1.1 connection on which the limit ends when the peer might have stopped reading.
#[derive(Debug)]
pub(super) struct Patient {
    stream: Stream,
    /// Bytes that may still be sent under the limit; `None`: it holds no more.
    left: Option<usize>,
    /// Whether a byte from the peer shows that it has read what was sent: with requests and answers, not with streams that
    /// go both ways.
    answers: bool,
}

impl Patient {
    /// For requests and their answers.
    pub(super) fn of_answers(stream: Stream) -> Self {
        Self { stream, left: Some(BUFFERED), answers: true }
    }

    /// For an upgraded connection.
    pub(super) fn of_streams(stream: Stream) -> Self {
        Self { stream, left: Some(BUFFERED), answers: false }
    }

    fn sent(&mut self, bytes: usize) {
        if let Some(left) = self.left {
            self.left = left.checked_sub(bytes);
            if self.left.is_none() {
                self.stream.wait_for_reader();
            }
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        if self.answers && self.left.is_some() && buf.filled().len() > before {
            self.left = Some(BUFFERED);
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        self.sent(*written.as_ref().unwrap_or(&0));
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        self.sent(*written.as_ref().unwrap_or(&0));
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socket2::SockRef;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::transport::hop::Hop;

    const LIMIT: Duration = Duration::from_secs(9);

    /// A connection with the limit, and its peer.
    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (here, there) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let here = here.unwrap();
        SockRef::from(&here).set_tcp_user_timeout(Some(LIMIT)).unwrap();
        (Stream::Plain(BufReader::new(Hop::Tcp(here))), there.unwrap().0)
    }

    fn limit(patient: &Patient) -> Option<Duration> {
        let Stream::Plain(socket) = &patient.stream else { panic!("not encrypted") };
        let Hop::Tcp(stream) = socket.get_ref() else { panic!("not a tunnel") };
        SockRef::from(stream).tcp_user_timeout().unwrap().filter(|limit| !limit.is_zero())
    }

    #[tokio::test]
    async fn rule_189_an_upgraded_connection_waits_for_a_peer_that_may_have_stopped_reading() {
        let (stream, mut peer) = pair().await;
        let mut patient = Patient::of_streams(stream);
        patient.write_all(&[0; BUFFERED]).await.unwrap();
        assert_eq!(limit(&patient), Some(LIMIT));
        // What comes from the peer says nothing about what it has read.
        peer.write_all(b"output").await.unwrap();
        patient.read_exact(&mut [0; 6]).await.unwrap();
        patient.write_all(&[0]).await.unwrap();
        assert_eq!(limit(&patient), None);
    }

    #[tokio::test]
    async fn rule_128_answers_show_that_requests_were_read() {
        let (stream, mut peer) = pair().await;
        let mut patient = Patient::of_answers(stream);
        for _ in 0..4 {
            patient.write_all(&[0; BUFFERED]).await.unwrap();
            peer.write_all(b"answer").await.unwrap();
            patient.read_exact(&mut [0; 6]).await.unwrap();
        }
        assert_eq!(limit(&patient), Some(LIMIT));
        patient.write_all(&[0; BUFFERED + 1]).await.unwrap();
        assert_eq!(limit(&patient), None);
    }
}
