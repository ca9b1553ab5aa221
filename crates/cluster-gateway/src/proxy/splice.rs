//! Two upgraded connections become one byte stream in each direction.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::body::{BodyError, Observer};

/// Bytes kept per direction between reading and writing.
const BUFFER: usize = 16 * 1024;
/// After one side has ended: how long the other may be silent before both are closed. Long enough for what is on its
/// way, short enough to leave no half-open relay (rule 189).
const LINGER: Duration = Duration::from_secs(10);

/// Waits for both upgrades and relays until both sides have ended, one has failed, or one has ended and the other is
/// silent. What the peers sent early comes first (rules 185, 190).
pub(super) async fn run(client: OnUpgrade, member: OnUpgrade, mut observer: Option<Box<dyn Observer>>) {
    let result = match tokio::try_join!(client, member) {
        Ok((client, member)) => {
            relay(TokioIo::new(client), TokioIo::new(member), observer.as_deref_mut()).await
        }
        Err(error) => Err(BodyError::from(error)),
    };
    if let Err(error) = &result {
        tracing::debug!(%error, "an upgraded stream broke");
    }
    if let Some(mut observer) = observer {
        observer.end(result.as_ref().map(|()| ()));
    }
}

async fn relay<C, M>(
    client: C,
    member: M,
    observer: Option<&mut (dyn Observer + 'static)>,
) -> Result<(), BodyError>
where
    C: AsyncRead + AsyncWrite + Unpin,
    M: AsyncRead + AsyncWrite + Unpin,
{
    let progress = Arc::new(Progress::default());
    let mut client = Watched { inner: client, progress: Arc::clone(&progress) };
    let mut member = Watched { inner: member, progress: Arc::clone(&progress) };
    let copy = copy_bidirectional_with_sizes(&mut client, &mut member, BUFFER, BUFFER);
    let result = tokio::select! {
        copied = copy => copied.map(|_| ()).map_err(BodyError::from),
        () = progress.stuck() => Ok(()),
    };
    if let Some(observer) = observer {
        observer.data(usize::try_from(progress.bytes.load(Ordering::Relaxed)).unwrap_or(usize::MAX));
    }
    result
}

/// What both directions have done.
#[derive(Debug, Default)]
struct Progress {
    bytes: AtomicU64,
    ended: Notify,
}

impl Progress {
    /// Completes when one side has ended and no byte has passed for [`LINGER`].
    async fn stuck(&self) {
        self.ended.notified().await;
        loop {
            let before = self.bytes.load(Ordering::Relaxed);
            sleep(LINGER).await;
            if self.bytes.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

/// A side of the relay; reports what is read from it.
struct Watched<S> {
    inner: S,
    progress: Arc<Progress>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        match buf.filled().len() - before {
            0 => this.progress.ended.notify_one(),
            read => {
                this.progress.bytes.fetch_add(read as u64, Ordering::Relaxed);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
