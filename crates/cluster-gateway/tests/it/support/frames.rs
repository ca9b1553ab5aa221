//! An HTTP/2 client that writes every frame itself.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::caller::Caller;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct Frames {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
}

pub(crate) struct Reader(ReadHalf<TlsStream<TcpStream>>);
pub(crate) struct Writer(WriteHalf<TlsStream<TcpStream>>);

impl Frames {
    /// Connects and says hello.
    pub(crate) async fn open(caller: &Caller) -> Self {
        let (reader, writer) = tokio::io::split(caller.clone().http2().connect().await);
        let (reader, mut writer) = (Reader(reader), Writer(writer));
        writer.bytes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        writer.frame(SETTINGS, 0, 0, &[]).await.unwrap();
        Self { reader, writer }
    }
}

impl Reader {
    /// The reason of the server's GOAWAY. `None`: it closed the connection without one.
    pub(crate) async fn goaway(&mut self) -> Option<u32> {
        let frame = self.find(|frame| frame.kind == GOAWAY && frame.payload[4..8] != [0; 4]).await?;
        Some(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()))
    }

    /// `None`: the server has closed the connection.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame that is wanted. `None`: it never came.
    pub(crate) async fn find(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.frame().await?;
            if wanted(&frame) {
                return Some(frame);
            }
        }
    }
}

impl Writer {
    pub(crate) async fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    pub(crate) async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.bytes(&frame(kind, flags, stream, payload)).await
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A request's header block: pseudo headers, the caller's own, then `rest`; all as plain literals.
pub(crate) fn request(caller: &Caller, method: &str, path: &str, rest: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    let pseudo = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)];
    let own = caller.headers();
    let own = own.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    for (name, value) in pseudo.into_iter().chain(own).chain(rest.iter().copied()) {
        literal(&mut block, name, value);
    }
    block
}

/// A header field that is not put into any table.
pub(crate) fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        let mut rest = text.len();
        if rest < 127 {
            block.push(u8::try_from(rest).unwrap());
        } else {
            block.push(127);
            rest -= 127;
            while rest >= 128 {
                block.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            block.push(u8::try_from(rest).unwrap());
        }
        block.extend_from_slice(text.as_bytes());
    }
}
