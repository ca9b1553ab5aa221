//! Packets and their stream, written after the protocol's description.

use std::future::poll_fn;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Response};

pub(crate) const DIAL_REQ: u64 = 0;
pub(crate) const DIAL_RSP: u64 = 1;
pub(crate) const CLOSE_REQ: u64 = 2;
pub(crate) const CLOSE_RSP: u64 = 3;
pub(crate) const DATA: u64 = 4;
pub(crate) const DIAL_CLS: u64 = 5;

/// A packet of any kind, with whatever field it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) kind: u64,
    /// `protocol` or `error`.
    pub(crate) text: String,
    pub(crate) address: String,
    pub(crate) random: u64,
    pub(crate) connect_id: u64,
    pub(crate) data: Vec<u8>,
}

impl Packet {
    pub(crate) fn dial_response(error: &str, connect_id: u64, random: u64) -> Self {
        Self { kind: DIAL_RSP, text: error.to_owned(), connect_id, random, ..Self::default() }
    }

    pub(crate) fn close_response(connect_id: u64) -> Self {
        Self { kind: CLOSE_RSP, connect_id, ..Self::default() }
    }

    pub(crate) fn close_dial(random: u64) -> Self {
        Self { kind: DIAL_CLS, random, ..Self::default() }
    }

    pub(crate) fn data(connect_id: u64, data: &[u8]) -> Self {
        Self { kind: DATA, connect_id, data: data.to_vec(), ..Self::default() }
    }

    pub(crate) fn other(kind: u64) -> Self {
        Self { kind, ..Self::default() }
    }

    fn encode(&self) -> Vec<u8> {
        let mut inner = Vec::new();
        let field = match self.kind {
            DIAL_RSP => {
                bytes(&mut inner, 1, self.text.as_bytes());
                number(&mut inner, 2, self.connect_id);
                number(&mut inner, 3, self.random);
                3
            }
            CLOSE_RSP => {
                number(&mut inner, 2, self.connect_id);
                6
            }
            DATA => {
                number(&mut inner, 1, self.connect_id);
                bytes(&mut inner, 3, &self.data);
                4
            }
            DIAL_CLS => {
                number(&mut inner, 1, self.random);
                7
            }
            _ => 8,
        };
        let mut message = Vec::new();
        number(&mut message, 1, self.kind);
        bytes(&mut message, field, &inner);
        let mut framed = vec![0];
        framed.extend((message.len() as u32).to_be_bytes());
        framed.extend(message);
        framed
    }

    fn decode(message: &[u8]) -> Self {
        let mut packet = Self::default();
        let mut payload = Vec::new();
        for (field, value) in fields(message) {
            match value {
                Value::Number(kind) => packet.kind = kind,
                Value::Bytes(bytes) => {
                    let expected = [2, 3, 5, 6, 4, 7][packet.kind as usize];
                    assert_eq!(field, expected, "the payload of type {}", packet.kind);
                    payload = bytes;
                }
            }
        }
        for (field, value) in fields(&payload) {
            match (packet.kind, field, value) {
                (DIAL_REQ, 1, Value::Bytes(text)) => packet.text = String::from_utf8(text).unwrap(),
                (DIAL_REQ, 2, Value::Bytes(text)) => packet.address = String::from_utf8(text).unwrap(),
                (DIAL_REQ, 3, Value::Number(value)) | (DIAL_CLS, 1, Value::Number(value)) => {
                    packet.random = value
                }
                (CLOSE_REQ | DATA, 1, Value::Number(value)) => packet.connect_id = value,
                (DATA, 3, Value::Bytes(data)) => packet.data = data,
                (kind, field, _) => panic!("a client sends no field {field} in type {kind}"),
            }
        }
        packet
    }
}

enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

fn fields(mut message: &[u8]) -> Vec<(u64, Value)> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = take_number(&mut message);
        let value = match key & 7 {
            0 => Value::Number(take_number(&mut message)),
            2 => {
                let length = take_number(&mut message) as usize;
                let (value, rest) = message.split_at(length);
                message = rest;
                Value::Bytes(value.to_vec())
            }
            other => panic!("no field is of kind {other}"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

fn take_number(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = message[0];
        *message = &message[1..];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn number(message: &mut Vec<u8>, field: u64, value: u64) {
    put(message, field << 3);
    put(message, value);
}

fn bytes(message: &mut Vec<u8>, field: u64, value: &[u8]) {
    put(message, field << 3 | 2);
    put(message, value.len() as u64);
    message.extend_from_slice(value);
}

fn put(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// The server's side of a stream. As gRPC servers do, it answers with its first packet.
pub(crate) struct Stream {
    body: RecvStream,
    respond: SendResponse<Bytes>,
    send: Option<SendStream<Bytes>>,
    buffer: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(body: RecvStream, respond: SendResponse<Bytes>) -> Self {
        Self { body, respond, send: None, buffer: Vec::new() }
    }

    /// The next packet; `None`: the client has ended the stream. It may be given up and asked again.
    pub(crate) async fn receive(&mut self) -> Option<Packet> {
        loop {
            if let Some((head, rest)) = self.buffer.split_at_checked(5) {
                let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
                if let Some(message) = rest.get(..length) {
                    let packet = Packet::decode(message);
                    self.buffer.drain(..5 + length);
                    return Some(packet);
                }
            }
            let piece = self.body.data().await?.ok()?;
            self.buffer.extend_from_slice(&piece);
            let _ = self.body.flow_control().release_capacity(piece.len());
        }
    }

    fn answer(&mut self) -> &mut SendStream<Bytes> {
        let respond = &mut self.respond;
        self.send.get_or_insert_with(|| {
            let answer = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
            respond.send_response(answer, false).unwrap()
        })
    }

    /// Sends a packet as soon as the client has room for all of it.
    pub(crate) async fn send(&mut self, packet: &Packet) {
        let mut bytes = Bytes::from(packet.encode());
        let send = self.answer();
        while !bytes.is_empty() {
            send.reserve_capacity(bytes.len());
            let Some(Ok(room)) = poll_fn(|cx| send.poll_capacity(cx)).await else { return };
            let piece = bytes.split_to(room.min(bytes.len()));
            if send.send_data(piece, false).is_err() {
                return;
            }
        }
    }

    /// Ends the stream.
    pub(crate) fn end(&mut self, status: &'static str) {
        let trailers =
            HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static(status))]);
        let _ = self.answer().send_trailers(trailers);
    }
}
