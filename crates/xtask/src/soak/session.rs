//! `kubectl exec … cat` over WebSocket: what goes in comes out, at the right member, as the right user.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::check::Expected;
use super::load::Worker;
use super::world::headers;
use crate::wire::Http1;

const ECHOES: usize = 20;
const PATIENCE: Duration = Duration::from_secs(3);
const EXEC: &str = "/api/v1/namespaces/default/pods/shell/exec?command=cat&stdin=true&stdout=true";
const HANDSHAKE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: v5.channel.k8s.io\r\n";
/// The final frame of a binary message.
const BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;
const STDIN: u8 = 0;
const STDOUT: u8 = 1;

/// One session, of any outcome.
pub(super) async fn one(worker: &mut Worker) {
    let (expected, prefix) = worker.next();
    let what = match tokio::time::timeout(PATIENCE, session(worker, &expected, &prefix)).await {
        Err(_) => "exec: given up",
        Ok(Err(_)) => "exec: broken off or refused",
        Ok(Ok(())) => "exec: echo",
    };
    worker.tally.count(what);
}

async fn session(worker: &Worker, expected: &Expected, prefix: &str) -> Result<()> {
    let mut lines = HANDSHAKE.to_owned();
    for (name, value) in &headers(&expected.user, &expected.nonce)? {
        lines += &format!("{name}: {}\r\n", value.to_str()?);
    }
    let mut connection = worker.world.dialer.http1(worker.world.port).await?;
    let head = connection.upgrade(&format!("{prefix}{EXEC}"), &lines).await?;
    worker.tally.head("exec", expected, StatusCode::SWITCHING_PROTOCOLS, &parsed(&head)?);
    for number in 0..ECHOES {
        let text = format!("{} says {number}", expected.nonce);
        connection.write(&frame(text.as_bytes())).await?;
        let echo = stdout(&mut connection, text.len()).await?;
        if echo != text.as_bytes() {
            let echo = String::from_utf8_lossy(&echo).into_owned();
            worker.tally.violation(format!("exec: {echo:?} came back instead of {text:?}"));
        }
    }
    Ok(())
}

fn parsed(head: &str) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(": ")) {
        headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    Ok(headers)
}

/// A message for the program's input. A mask of zeros leaves the bytes as they are.
fn frame(bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len() + 1).unwrap_or(u8::MAX).min(125);
    let head = [BINARY, MASKED | length, 0, 0, 0, 0, STDIN];
    [&head, &bytes[..usize::from(length) - 1]].concat()
}

/// As many bytes of the program's output, in however many messages.
async fn stdout(connection: &mut Http1, length: usize) -> Result<Vec<u8>> {
    let mut output = Vec::new();
    while output.len() < length {
        let mut head = [0; 2];
        connection.read(&mut head).await?;
        ensure!(head[0] == BINARY && head[1] < 126, "a frame that begins with {head:?}");
        let mut payload = vec![0; usize::from(head[1])];
        connection.read(&mut payload).await?;
        let (channel, bytes) = payload.split_first().context("an empty message")?;
        // An empty message on each channel begins the session.
        ensure!(*channel == STDOUT || bytes.is_empty(), "{bytes:?} on channel {channel}");
        output.extend_from_slice(bytes);
    }
    Ok(output)
}
