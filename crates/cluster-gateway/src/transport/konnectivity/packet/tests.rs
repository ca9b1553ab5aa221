//! Packets byte for byte.

use super::*;

fn encoded(packet: &Packet) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    packet.encode(&mut buffer);
    buffer.to_vec()
}

fn decoded(bytes: &[u8]) -> Result<Packet, &'static str> {
    Packet::decode(&Bytes::copy_from_slice(bytes))
}

fn all() -> Vec<Packet> {
    let data = |connect_id, data: &[u8]| Packet::Data { connect_id, data: Bytes::copy_from_slice(data) };
    vec![
        Packet::DialRequest { protocol: "tcp".into(), address: "m:443".into(), random: i64::MAX },
        Packet::DialResponse { error: String::new(), connect_id: 300, random: -1 },
        Packet::DialResponse { error: "no".into(), connect_id: 0, random: 1 },
        Packet::CloseRequest { connect_id: 7 },
        Packet::CloseResponse { error: "gone".into(), connect_id: 7 },
        data(1, b"hello"),
        data(0, b""),
        data(1 << 40, &[0xff; 40_000]),
        Packet::CloseDial { random: 5 },
    ]
}

#[test]
fn rule_236_packets_have_the_numbers_of_the_protocol() {
    let packet = Packet::DialRequest { protocol: "tcp".into(), address: "m:443".into(), random: 300 };
    // Type 0 is not written; field 2 of 15 bytes; its fields 1, 2 and 3.
    assert_eq!(encoded(&packet), b"\x12\x0f\x0a\x03tcp\x12\x05m:443\x18\xac\x02");
    let packet = Packet::DialResponse { error: "no".into(), connect_id: 1, random: 2 };
    assert_eq!(encoded(&packet), b"\x08\x01\x1a\x08\x0a\x02no\x10\x01\x18\x02");
    assert_eq!(encoded(&Packet::CloseRequest { connect_id: 9 }), b"\x08\x02\x2a\x02\x08\x09");
    let packet = Packet::CloseResponse { error: String::new(), connect_id: 9 };
    assert_eq!(encoded(&packet), b"\x08\x03\x32\x04\x0a\x00\x10\x09");
    let packet = Packet::Data { connect_id: 9, data: Bytes::from_static(b"xy") };
    assert_eq!(encoded(&packet), b"\x08\x04\x22\x06\x08\x09\x1a\x02xy");
    assert_eq!(encoded(&Packet::CloseDial { random: 9 }), b"\x08\x05\x3a\x02\x08\x09");
}

#[test]
fn rule_236_what_is_written_is_read_again() {
    for packet in all() {
        let bytes = encoded(&packet);
        assert_eq!(decoded(&bytes).as_ref(), Ok(&packet));
        let room = packet.capacity() + 64;
        assert!(bytes.len() <= room, "{} bytes, room for {room}", bytes.len());
    }
}

#[test]
fn rule_238_what_is_not_known_is_passed_over() {
    assert_eq!(decoded(b"\x08\x06\x42\x00"), Ok(Packet::Other(6)), "DRAIN");
    assert_eq!(decoded(b"\x08\x63"), Ok(Packet::Other(99)));
    // Unknown fields of every kind, in the packet and in its payload; the last of several counts.
    let strange =
        b"\x08\x02\x08\x05\x50\x01\x5a\x01x\x61........\x6d....\x3a\x0f\x08\x01\x08\x09\x50\x01\x61........";
    assert_eq!(decoded(strange), Ok(Packet::CloseDial { random: 9 }));
    // Missing fields are zero or empty.
    assert_eq!(decoded(b"\x08\x04"), Ok(Packet::Data { connect_id: 0, data: Bytes::new() }));
    assert_eq!(
        decoded(b""),
        Ok(Packet::DialRequest { protocol: String::new(), address: String::new(), random: 0 })
    );
}

#[test]
fn rule_236_malformed_packets_are_refused() {
    for bytes in [
        &b"\x08"[..],
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x00\x01",
        b"\x0b",
        b"\x0f\x01",
        b"\x22\x05x",
        b"\x22\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x61...",
        b"\x6d..",
        b"\x08\x04\x22\x02\x1a\x05",
    ] {
        assert!(decoded(bytes).is_err(), "{bytes:?}: {:?}", decoded(bytes));
    }
}

#[test]
fn no_bytes_make_it_panic() {
    for packet in all() {
        let bytes = encoded(&packet);
        let bytes = &bytes[..bytes.len().min(64)];
        for cut in 0..bytes.len() {
            let _ = decoded(&bytes[..cut]);
            for value in [0, 0x7f, 0x80, 0xff] {
                let mut damaged = bytes.to_vec();
                damaged[cut] = value;
                let _ = decoded(&damaged);
            }
        }
    }
}
