//! The proxy server's other mode: one TLS connection per tunnel, and HTTP's CONNECT on it (contract rule 245).

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Duration, timeout};

use super::error::{DialError, advise};

/// Bytes of the head of the answer.
const MAX_HEAD: usize = 16 * 1024;
/// Bytes of the text in which a failure is said, and how long it is waited for.
const MAX_TEXT: u64 = 500;
const TEXT_TIMEOUT: Duration = Duration::from_secs(1);

/// Asks for a connection to `address` on `stream`, which is that connection afterwards.
pub(super) async fn connect<S>(mut stream: S, server: &str, address: &str) -> Result<S, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let server = server.to_owned();
    let request = format!("CONNECT {address} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    let sent = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        head(&mut stream).await
    };
    let (head, rest) = match sent.await {
        Ok(answer) => answer,
        Err(error) => return Err(DialError::Broken { server, cause: advise(error.to_string()) }),
    };
    let refused = |cause: &str| DialError::Refused { server: server.clone(), cause: cause.to_owned() };
    match status(&head) {
        None => Err(refused(
            "an answer that is not HTTP/1.1; is this the port of a konnectivity server in mode http-connect?",
        )),
        Some(200) if rest.is_empty() => Ok(stream),
        Some(200) => Err(refused("bytes behind the answer to CONNECT, before anything was asked")),
        Some(status) => {
            let text = text(stream, rest).await;
            Err(match text.is_empty() {
                true => refused(&format!("HTTP {status}")),
                false => DialError::of_answer(&server, &format!("HTTP {status}: {text}")),
            })
        }
    }
}

/// The head of the answer, and what came with it.
async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
    let mut head = Vec::new();
    loop {
        if let Some(end) = memchr::memmem::find(&head, b"\r\n\r\n") {
            let rest = head.split_off(end + 4);
            return Ok((head, rest));
        }
        if head.len() >= MAX_HEAD {
            return Err(std::io::Error::other(format!("the head of its answer exceeds {MAX_HEAD} bytes")));
        }
        let mut piece = [0; 1024];
        match stream.read(&mut piece).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            length => head.extend_from_slice(&piece[..length]),
        }
    }
}

fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next()?.strip_prefix("HTTP/1.")?;
    words.next()?.parse().ok()
}

/// The words of a failure, as far as they come at once.
async fn text<S: AsyncRead + Unpin>(stream: S, mut text: Vec<u8>) -> String {
    let _ = timeout(TEXT_TIMEOUT, stream.take(MAX_TEXT).read_to_end(&mut text)).await;
    String::from_utf8_lossy(&text).trim().to_owned()
}

#[cfg(test)]
mod tests;
