//! Messages in whatever pieces they come, and what servers say that want none.

use super::*;

fn data(byte: u8, length: usize) -> Packet {
    Packet::Data { connect_id: 1, data: vec![byte; length].into() }
}

#[test]
fn messages_are_put_together_from_any_pieces() {
    let packets = [data(b'a', 3), data(b'b', 0), data(b'c', 70_000), Packet::CloseDial { random: 4 }];
    let wire: Vec<u8> = packets.iter().flat_map(|packet| encode(packet).to_vec()).collect();
    for size in [1, 4, 5, 6, 1000, wire.len()] {
        let mut decoder = Decoder::default();
        let mut read = Vec::new();
        for piece in wire.chunks(size) {
            decoder.push(piece);
            while let Some(packet) = decoder.next().unwrap() {
                read.push(packet);
            }
        }
        assert_eq!(read, packets, "in pieces of {size}");
    }
}

#[test]
fn messages_that_nobody_should_send_are_refused() {
    for (wire, word) in [
        (&b"\x01\0\0\0\x01x"[..], "compressed"),
        (b"\0\0\x10\0\x01", "1048577 bytes"),
        (b"\0\xff\xff\xff\xff", "4294967295 bytes"),
        (b"\0\0\0\0\x02\x08\xff", "a packet with"),
    ] {
        let mut decoder = Decoder::default();
        decoder.push(wire);
        let error = decoder.next().unwrap_err();
        assert!(error.contains(word), "{error}");
    }
    let mut decoder = Decoder::default();
    decoder.push(&[0, 0, 0x10, 0, 0]);
    assert_eq!(decoder.next(), Ok(None), "the largest that may come");
}

#[test]
fn rule_235_the_method_is_named_as_the_service_has_it() {
    let request = request("proxy.example:8090").unwrap();
    assert_eq!(request.uri(), "https://proxy.example:8090/ProxyService/Proxy");
    assert_eq!(request.headers()[header::CONTENT_TYPE], "application/grpc");
    assert_eq!(request.headers()[header::TE], "trailers");
}

#[test]
fn refusals_say_what_to_do() {
    let headers = |pairs: &[(&'static str, &'static str)]| {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect::<HeaderMap>()
    };
    let grpc = ("content-type", "application/grpc+proto");
    assert_eq!(refusal(StatusCode::OK, &headers(&[grpc])), None);
    let refused = |status, pairs: &[_]| refusal(status, &headers(pairs)).unwrap();
    let text = refused(StatusCode::OK, &[grpc, ("grpc-status", "12"), ("grpc-message", "unknown%20service")]);
    assert!(text.contains("12 unknown service") && text.contains("--proxy-port"), "{text}");
    let text = refused(StatusCode::OK, &[grpc, ("grpc-status", "16"), ("grpc-message", "x%0Ay")]);
    assert_eq!(text, "gRPC status 16 x\\ny");
    let text = refused(StatusCode::NOT_FOUND, &[("content-type", "text/html")]);
    assert!(text.contains("404") && text.contains("mode grpc"), "{text}");
    assert!(refusal(StatusCode::OK, &headers(&[("content-type", "text/html")])).is_some());
}
