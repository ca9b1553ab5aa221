//! gRPC's framing on HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), as far as one uncompressed
//! stream of packets needs it.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};

use super::packet::Packet;

/// Path of the one method (contract rule 235).
pub(super) const METHOD: &str = "/ProxyService/Proxy";
/// Bytes before a message: whether it is compressed, and its length.
const HEAD: usize = 5;
/// Bytes of one message at most. The agents send pieces of 4 KiB.
const MAX_MESSAGE: usize = 1024 * 1024;

/// A packet as it goes over the wire.
pub(super) fn encode(packet: &Packet) -> Bytes {
    let mut message = BytesMut::zeroed(HEAD);
    packet.encode(&mut message);
    let length = u32::try_from(message.len() - HEAD).unwrap_or(u32::MAX);
    message[1..HEAD].copy_from_slice(&length.to_be_bytes());
    message.freeze()
}

/// The request that opens a stream of packets at `authority`.
///
/// # Errors
/// If `authority` cannot stand in a URI.
pub(super) fn request(authority: &str) -> Result<Request<()>, http::Error> {
    Request::builder()
        .method(Method::POST)
        .uri(format!("https://{authority}{METHOD}"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header(header::USER_AGENT, concat!("cluster-gateway/", env!("CARGO_PKG_VERSION")))
        .body(())
}

/// Puts messages together out of the pieces that come.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    /// Takes a piece. It must not be called while [`Decoder::next`] has packets, so that the buffer stays small.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.buffer.put_slice(piece);
    }

    /// The next packet that is complete.
    ///
    /// # Errors
    /// What is malformed; nothing that comes later can be understood.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, String> {
        let Some(head) = self.buffer.first_chunk::<HEAD>() else { return Ok(None) };
        let [compressed, length @ ..] = *head;
        let length = u32::from_be_bytes(length) as usize;
        if compressed != 0 {
            return Err("a compressed message, which was not asked for".to_owned());
        }
        if length > MAX_MESSAGE {
            return Err(format!("a message of {length} bytes, more than {MAX_MESSAGE}"));
        }
        if self.buffer.len() < HEAD + length {
            return Ok(None);
        }
        self.buffer.advance(HEAD);
        let message = self.buffer.split_to(length).freeze();
        Packet::decode(&message).map(Some).map_err(|what| format!("a packet with {what}"))
    }
}

/// Why an answer carries no packets; `None`: it may.
pub(super) fn refusal(status: StatusCode, headers: &HeaderMap) -> Option<String> {
    if let Some(outcome) = outcome(headers) {
        return Some(outcome);
    }
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if status == StatusCode::OK && kind.starts_with(b"application/grpc") {
        return None;
    }
    Some(format!("HTTP {status} without gRPC; is this the port of a konnectivity server in mode grpc?"))
}

/// What trailers say of the end of a stream.
pub(super) fn outcome(trailers: &HeaderMap) -> Option<String> {
    /// UNIMPLEMENTED of <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>.
    const UNIMPLEMENTED: &str = "12";
    let code = trailers.get("grpc-status")?.to_str().unwrap_or("?");
    let message = trailers.get("grpc-message").and_then(|message| message.to_str().ok()).unwrap_or_default();
    let message = percent_encoding::percent_decode_str(message).decode_utf8_lossy();
    let message: String = message.escape_debug().take(500).collect();
    let advice = match code {
        UNIMPLEMENTED => {
            "; is --proxy-port the port for agents? It must be the one for API servers (--server-port)"
        }
        _ => "",
    };
    Some(format!("gRPC status {code} {message}{advice}"))
}

#[cfg(test)]
mod tests;
