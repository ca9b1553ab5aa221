//! Standard streams over the channels of a WebSocket.

use std::io;

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::websocket::{self, Message, Protocol, Reader};
use crate::query::Query;
use crate::status::{Result, Status};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// Messages that wait on their way in or out.
const WAITING: usize = 16;
/// The longest line of a terminal, bytes; what is beyond is dropped.
const MAX_LINE: usize = 64 << 10;

/// Which streams are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams {
    stdin: bool,
    stdout: bool,
    stderr: bool,
    tty: bool,
}

impl Streams {
    pub(super) fn asked(query: &Query) -> Result<Self> {
        let tty = query.flag("tty");
        let streams = Self {
            stdin: query.flag("stdin"),
            stdout: query.flag("stdout"),
            stderr: query.flag("stderr") && !tty,
            tty,
        };
        if streams.stdin || streams.stdout || streams.stderr {
            return Ok(streams);
        }
        Err(Status::bad_request("you must specify at least 1 of stdin, stdout, stderr"))
    }
}

/// What arrives from the client.
#[derive(Debug)]
enum Input {
    Data(Bytes),
    End,
    Size(u64, u64),
}

/// The streams as a program has them.
#[derive(Debug)]
pub(super) struct Console {
    streams: Streams,
    input: mpsc::Receiver<Input>,
    output: mpsc::Sender<(u8, Bytes)>,
    unread: Bytes,
    ended: bool,
    size: (u64, u64),
}

/// How reading a line went.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line without its end.
    Text(String),
    /// Ctrl-C.
    Interrupted,
    End,
}

/// Lets `program` run until it ends or the client has gone, and tells the client its exit code.
pub(super) async fn run<F>(
    upgrade: OnUpgrade,
    protocol: Protocol,
    streams: Streams,
    program: impl FnOnce(Console) -> F,
) where
    F: Future<Output = i32>,
{
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => return tracing::debug!(%error, "simulated member: the upgrade did not come about"),
    };
    if let Err(error) = serve(TokioIo::new(upgraded), protocol, streams, program).await {
        tracing::debug!(%error, "simulated member: the session ended early");
    }
}

async fn serve<F>(
    io: impl AsyncRead + AsyncWrite,
    protocol: Protocol,
    streams: Streams,
    program: impl FnOnce(Console) -> F,
) -> io::Result<()>
where
    F: Future<Output = i32>,
{
    let (reader, mut writer) = tokio::io::split(io);
    let (to_program, input) = mpsc::channel(WAITING);
    let (output, from_program) = mpsc::channel(WAITING);
    let (pings, pinged) = mpsc::channel(WAITING);
    let console =
        Console { streams, input, output, unread: Bytes::new(), ended: !streams.stdin, size: (0, 0) };
    // The client waits for something on the lowest channel that is written to.
    if streams.stdout {
        websocket::send(&mut writer, [&[STDOUT], &[]]).await?;
    } else if streams.stderr {
        websocket::send(&mut writer, [&[STDERR], &[]]).await?;
    }
    let reading = read(Reader::new(reader), protocol, to_program, pings);
    let finished = async {
        let (code, written) = tokio::join!(program(console), write(&mut writer, from_program, pinged));
        written.map(|()| code)
    };
    let code = tokio::select! {
        code = finished => code?,
        gone = reading => return gone,
    };
    websocket::send(&mut writer, [&[ERROR], exit_status(code).to_string().as_bytes()]).await?;
    websocket::close(&mut writer).await
}

/// Passes on what the program writes, until it has ended.
async fn write<W: AsyncWrite + Unpin>(
    writer: &mut W,
    mut output: mpsc::Receiver<(u8, Bytes)>,
    mut pinged: mpsc::Receiver<Bytes>,
) -> io::Result<()> {
    loop {
        tokio::select! {
            Some(payload) = pinged.recv() => websocket::pong(writer, &payload).await?,
            written = output.recv() => match written {
                Some((channel, bytes)) => websocket::send(writer, [&[channel], &bytes]).await?,
                None => return Ok(()),
            },
        }
    }
}

/// Passes on what the client sends; ends when the client is gone.
async fn read<R: AsyncRead + Unpin>(
    mut reader: Reader<R>,
    protocol: Protocol,
    input: mpsc::Sender<Input>,
    pings: mpsc::Sender<Bytes>,
) -> io::Result<()> {
    loop {
        let mut data = match reader.next().await? {
            Message::Close => return Ok(()),
            Message::Ping(payload) => {
                // A full queue means that the client does not read: it cannot wait for this answer.
                let _ = pings.try_send(payload);
                continue;
            }
            Message::Data(data) => data,
        };
        if data.is_empty() {
            continue;
        }
        let arrived = match data.split_to(1)[0] {
            STDIN => Some(Input::Data(data)),
            RESIZE => size(&data),
            CLOSE if protocol == Protocol::V5 && data.first() == Some(&STDIN) => Some(Input::End),
            _ => None,
        };
        if let Some(arrived) = arrived {
            // The program may have ended; the client is still read, to see it go.
            let _ = input.send(arrived).await;
        }
    }
}

fn size(data: &[u8]) -> Option<Input> {
    let size: Value = serde_json::from_slice(data).ok()?;
    Some(Input::Size(size["Height"].as_u64()?, size["Width"].as_u64()?))
}

fn exit_status(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

impl Console {
    pub(super) fn has_stdin(&self) -> bool {
        self.streams.stdin
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.streams.tty
    }

    /// Rows and columns of the client's terminal, once it has told them.
    pub(super) async fn size(&mut self) -> (u64, u64) {
        while self.streams.tty && self.size == (0, 0) && self.receive().await {}
        self.size
    }

    pub(super) async fn out(&mut self, text: &str) {
        self.write(STDOUT, self.streams.stdout, text).await;
    }

    pub(super) async fn err(&mut self, text: &str) {
        let (channel, asked) =
            if self.streams.tty { (STDOUT, self.streams.stdout) } else { (STDERR, self.streams.stderr) };
        self.write(channel, asked, text).await;
    }

    /// Bytes as they are.
    pub(super) async fn raw(&mut self, bytes: Bytes) {
        if self.streams.stdout {
            // It fails when the client has gone, and then this program is about to be dropped.
            let _ = self.output.send((STDOUT, bytes)).await;
        }
    }

    async fn write(&mut self, channel: u8, asked: bool, text: &str) {
        if !asked || text.is_empty() {
            return;
        }
        let text = if self.streams.tty { text.replace('\n', "\r\n") } else { text.to_owned() };
        let _ = self.output.send((channel, Bytes::from(text))).await;
    }

    /// What comes next on standard input, `None` at its end.
    pub(super) async fn read(&mut self) -> Option<Bytes> {
        while self.unread.is_empty() {
            if self.ended {
                return None;
            }
            self.receive().await;
        }
        Some(std::mem::take(&mut self.unread))
    }

    /// The next line; on a terminal it can be edited and is shown while it is typed.
    pub(super) async fn line(&mut self) -> Line {
        let mut line = Vec::new();
        while let Some(mut bytes) = self.read().await {
            while !bytes.is_empty() {
                let byte = bytes.split_to(1)[0];
                let done =
                    if self.streams.tty { self.key(byte, &mut line).await } else { plain(byte, &mut line) };
                if let Some(done) = done {
                    self.unread = bytes;
                    return done;
                }
            }
        }
        if line.is_empty() { Line::End } else { Line::Text(String::from_utf8_lossy(&line).into_owned()) }
    }

    async fn key(&mut self, byte: u8, line: &mut Vec<u8>) -> Option<Line> {
        match byte {
            b'\r' | b'\n' => {
                self.out("\n").await;
                return Some(Line::Text(String::from_utf8_lossy(line).into_owned()));
            }
            3 => {
                self.out("^C\n").await;
                return Some(Line::Interrupted);
            }
            4 if line.is_empty() => return Some(Line::End),
            8 | 127 if line.pop().is_some() => self.out("\u{8} \u{8}").await,
            0..=31 | 127 => {}
            _ if line.len() < MAX_LINE => {
                line.push(byte);
                self.raw(Bytes::copy_from_slice(&[byte])).await;
            }
            _ => {}
        }
        None
    }

    /// Takes what arrives next; false when nothing more will.
    async fn receive(&mut self) -> bool {
        match self.input.recv().await {
            Some(Input::Data(bytes)) if self.streams.stdin => {
                self.unread = [&*self.unread, &*bytes].concat().into()
            }
            Some(Input::Data(_)) => {}
            Some(Input::Size(rows, columns)) => self.size = (rows, columns),
            Some(Input::End) => self.ended = true,
            None => {
                self.ended = true;
                return false;
            }
        }
        true
    }
}

fn plain(byte: u8, line: &mut Vec<u8>) -> Option<Line> {
    if byte == b'\n' {
        return Some(Line::Text(String::from_utf8_lossy(line).into_owned()));
    }
    if line.len() < MAX_LINE {
        line.push(byte);
    }
    None
}

#[cfg(test)]
mod tests;
