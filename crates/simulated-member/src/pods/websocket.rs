//! The server's half of WebSocket (RFC 6455), as much of it as `kubectl exec` needs.

use std::io;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::respond::{Body, full};
use crate::status::{Result, Status};

/// The largest message that is taken, bytes.
const MAX_MESSAGE: usize = 1 << 20;
/// What RFC 6455 appends to a client's key.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The way in which channels are told apart within messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Without a way to say that standard input has ended.
    V4,
    V5,
}

/// An upgrade that has been agreed to.
pub(super) struct Accepted {
    pub(super) response: Response<Body>,
    pub(super) upgrade: OnUpgrade,
    pub(super) protocol: Protocol,
}

/// Agrees to an upgrade, or says why not.
pub(super) fn accept(request: &mut Request<Incoming>) -> Result<Accepted> {
    let headers = request.headers();
    let key = key(headers)?;
    let protocol = protocol(headers)?;
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(header::SEC_WEBSOCKET_ACCEPT, proof(&key));
    let name = match protocol {
        Protocol::V4 => "v4.channel.k8s.io",
        Protocol::V5 => "v5.channel.k8s.io",
    };
    answer.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    Ok(Accepted { response, upgrade: hyper::upgrade::on(request), protocol })
}

fn key(headers: &HeaderMap) -> Result<String> {
    let text =
        |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let upgrade = text(header::UPGRADE);
    if !upgrade.eq_ignore_ascii_case("websocket") {
        let asked =
            if upgrade.is_empty() { "no upgrade".to_owned() } else { format!("an upgrade to {upgrade:?}") };
        return Err(Status::bad_request(format!(
            "a simulated member speaks WebSocket only, and this request asks for {asked}; kubectl 1.31 and later do by default"
        )));
    }
    if text(header::SEC_WEBSOCKET_VERSION) != "13" || text(header::SEC_WEBSOCKET_KEY).is_empty() {
        return Err(Status::bad_request("the request is no handshake of WebSocket version 13"));
    }
    Ok(text(header::SEC_WEBSOCKET_KEY).to_owned())
}

fn protocol(headers: &HeaderMap) -> Result<Protocol> {
    let offers =
        headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let offered: Vec<&str> = offers.flat_map(|value| value.split(',')).map(str::trim).collect();
    match () {
        () if offered.contains(&"v5.channel.k8s.io") => Ok(Protocol::V5),
        () if offered.contains(&"v4.channel.k8s.io") => Ok(Protocol::V4),
        () => Err(Status::bad_request(
            "none of the offered protocols is v5.channel.k8s.io or v4.channel.k8s.io",
        )),
    }
}

/// What shows the client that its key was understood.
fn proof(key: &str) -> HeaderValue {
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    HeaderValue::from_str(&STANDARD.encode(digest)).unwrap_or(HeaderValue::from_static(""))
}

/// What a client sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    Data(Bytes),
    Ping(Bytes),
    Close,
}

/// The messages of a client.
#[derive(Debug)]
pub(super) struct Reader<R> {
    io: R,
    partial: BytesMut,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(io: R) -> Self {
        Self { io, partial: BytesMut::new() }
    }

    /// The next message. Not to be cancelled: a frame may have been read in part.
    pub(super) async fn next(&mut self) -> io::Result<Message> {
        loop {
            let (last, kind, payload) = self.frame().await?;
            match kind {
                CLOSE => return Ok(Message::Close),
                PING => return Ok(Message::Ping(payload.freeze())),
                CONTINUATION | TEXT | BINARY => {
                    self.partial.extend_from_slice(&payload);
                    if self.partial.len() > MAX_MESSAGE {
                        return Err(io::Error::other("a message is too long"));
                    }
                    if last {
                        return Ok(Message::Data(self.partial.split().freeze()));
                    }
                }
                PONG => {}
                _ => return Err(io::Error::other("a frame has an unknown type")),
            }
        }
    }

    async fn frame(&mut self) -> io::Result<(bool, u8, BytesMut)> {
        let head = self.io.read_u16().await?;
        let length = match head & 0x7f {
            126 => u64::from(self.io.read_u16().await?),
            127 => self.io.read_u64().await?,
            short => u64::from(short),
        };
        if head & 0x80 == 0 {
            return Err(io::Error::other("a client's frame is not masked"));
        }
        let length = usize::try_from(length).ok().filter(|length| *length <= MAX_MESSAGE);
        let length = length.ok_or_else(|| io::Error::other("a frame is too long"))?;
        let mut mask = [0; 4];
        self.io.read_exact(&mut mask).await?;
        let mut payload = BytesMut::zeroed(length);
        self.io.read_exact(&mut payload).await?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        Ok((head & 0x8000 != 0, (head >> 8) as u8 & 0x0f, payload))
    }
}

/// Sends a message of `parts`, one after the other.
pub(super) async fn send<W: AsyncWrite + Unpin>(io: &mut W, parts: [&[u8]; 2]) -> io::Result<()> {
    write(io, BINARY, parts).await
}

pub(super) async fn pong<W: AsyncWrite + Unpin>(io: &mut W, payload: &[u8]) -> io::Result<()> {
    write(io, PONG, [payload, &[]]).await
}

/// Says that all is over, in order.
pub(super) async fn close<W: AsyncWrite + Unpin>(io: &mut W) -> io::Result<()> {
    write(io, CLOSE, [&1000_u16.to_be_bytes(), &[]]).await
}

async fn write<W: AsyncWrite + Unpin>(io: &mut W, kind: u8, parts: [&[u8]; 2]) -> io::Result<()> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut frame = BytesMut::with_capacity(length + 10);
    frame.extend_from_slice(&[0x80 | kind]);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => frame.extend_from_slice(&[short]),
        (_, Ok(long)) => {
            frame.extend_from_slice(&[126]);
            frame.extend_from_slice(&long.to_be_bytes());
        }
        _ => {
            frame.extend_from_slice(&[127]);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    parts.iter().for_each(|part| frame.extend_from_slice(part));
    io.write_all(&frame).await?;
    // What TLS holds back is sent only when it is flushed.
    io.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap(), 1, 2, 3, 4];
        frame.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    #[test]
    fn the_proof_is_that_of_the_rfc() {
        assert_eq!(proof("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn handshakes_are_checked() {
        let headers = |upgrade: &str, protocol: &str| {
            HeaderMap::from_iter([
                (header::UPGRADE, upgrade.parse().unwrap()),
                (header::SEC_WEBSOCKET_VERSION, "13".parse().unwrap()),
                (header::SEC_WEBSOCKET_KEY, "k".parse().unwrap()),
                (header::SEC_WEBSOCKET_PROTOCOL, protocol.parse().unwrap()),
            ])
        };
        assert_eq!(key(&headers("WebSocket", "")).unwrap(), "k");
        let refused = key(&headers("SPDY/3.1", "")).unwrap_err();
        assert!(
            refused.message.contains("WebSocket only") && refused.message.contains("SPDY/3.1"),
            "{}",
            refused.message
        );
        assert_eq!(protocol(&headers("", "v4.channel.k8s.io, v5.channel.k8s.io")).unwrap(), Protocol::V5);
        assert_eq!(protocol(&headers("", "v4.channel.k8s.io")).unwrap(), Protocol::V4);
        assert_eq!(protocol(&headers("", "channel.k8s.io")).unwrap_err().code, 400);
    }

    #[tokio::test]
    async fn messages_are_put_together_from_frames() {
        let bytes =
            [masked(0x02, b"he"), masked(0x89, b"!"), masked(0x80, b"llo"), masked(0x88, b"")].concat();
        let mut reader = Reader::new(bytes.as_slice());
        assert_eq!(reader.next().await.unwrap(), Message::Ping(Bytes::from_static(b"!")));
        assert_eq!(reader.next().await.unwrap(), Message::Data(Bytes::from_static(b"hello")));
        assert_eq!(reader.next().await.unwrap(), Message::Close);
        assert!(reader.next().await.is_err());
    }

    #[tokio::test]
    async fn what_is_no_frame_is_refused() {
        for bytes in [
            &[0x82, 0x01, 0x00][..],
            &[0x82, 0xff, 0, 0, 0, 0, 0xff, 0, 0, 0, 1, 2, 3, 4],
            &[0x83, 0x80, 1, 2, 3, 4],
        ] {
            assert!(Reader::new(bytes).next().await.is_err(), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn lengths_have_three_forms() {
        for (length, head) in [(125, 2), (126, 4), (70_000, 10)] {
            let mut out = Vec::new();
            send(&mut out, [&[1], &vec![b'x'; length - 1]]).await.unwrap();
            assert_eq!((out[0], out.len()), (0x82, length + head), "{length}");
        }
    }
}
