//! The packets of the tunnel protocol in Protocol Buffers' encoding (contract rule 236). Seven flat messages: a code
//! generator would be more than what it generates.

use bytes::{BufMut, Bytes, BytesMut};

mod wire;

use wire::{Fields, Value, put_bytes, put_int};

/// One packet. Both directions use the same ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet {
    /// Connect to `address`; `random` marks the answer.
    DialRequest { protocol: String, address: String, random: i64 },
    /// Connected as `connect_id`, or why not.
    DialResponse { error: String, connect_id: i64, random: i64 },
    /// Close the connection.
    CloseRequest { connect_id: i64 },
    /// The connection has been closed.
    CloseResponse { error: String, connect_id: i64 },
    /// Bytes of the connection.
    Data { connect_id: i64, data: Bytes },
    /// The dial is given up.
    CloseDial { random: i64 },
    /// A packet that says nothing to us: `DRAIN`, and whatever comes later (rule 238).
    Other(i64),
}

/// Field of the packet's type.
const TYPE: u32 = 1;
/// Fields of the payloads, by the number of their type.
const PAYLOADS: [(i64, u32); 6] = [(0, 2), (1, 3), (2, 5), (3, 6), (4, 4), (5, 7)];
/// Bytes that a packet adds to its data at most.
const OVERHEAD: usize = 32;

impl Packet {
    /// Bytes that the encoded packet takes at most, but for texts.
    fn capacity(&self) -> usize {
        OVERHEAD + if let Self::Data { data, .. } = self { data.len() } else { 0 }
    }

    /// Writes the packet behind what stands in `buffer`.
    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        buffer.reserve(self.capacity());
        let number = self.number();
        if number != 0 {
            put_int(buffer, TYPE, number);
        }
        let Some((_, field)) = PAYLOADS.iter().find(|(kind, _)| *kind == number) else { return };
        if let Self::Data { connect_id, data } = self {
            return put_data(buffer, *field, *connect_id, data);
        }
        let mut payload = BytesMut::new();
        match self {
            Self::DialRequest { protocol, address, random } => {
                put_bytes(&mut payload, 1, protocol.as_bytes());
                put_bytes(&mut payload, 2, address.as_bytes());
                put_int(&mut payload, 3, *random);
            }
            Self::DialResponse { error, connect_id, random } => {
                put_bytes(&mut payload, 1, error.as_bytes());
                put_int(&mut payload, 2, *connect_id);
                put_int(&mut payload, 3, *random);
            }
            Self::CloseResponse { error, connect_id } => {
                put_bytes(&mut payload, 1, error.as_bytes());
                put_int(&mut payload, 2, *connect_id);
            }
            Self::CloseRequest { connect_id } => put_int(&mut payload, 1, *connect_id),
            Self::CloseDial { random } => put_int(&mut payload, 1, *random),
            Self::Data { .. } | Self::Other(_) => {}
        }
        put_bytes(buffer, *field, &payload);
    }

    /// Reads a packet; its data are not copied. As Protocol Buffers demand, fields that are not known are passed over, and
    /// those that are missing are zero or empty.
    ///
    /// # Errors
    /// What is malformed about it.
    pub(super) fn decode(message: &Bytes) -> Result<Self, &'static str> {
        let mut number = 0;
        let mut payloads: [Bytes; PAYLOADS.len()] = Default::default();
        for field in Fields::of(message) {
            match field? {
                (TYPE, Value::Int(value)) => number = value,
                (field, Value::Bytes(value)) => {
                    if let Some(index) = PAYLOADS.iter().position(|(_, known)| *known == field) {
                        payloads[index] = value;
                    }
                }
                _ => {}
            }
        }
        match PAYLOADS.iter().position(|(kind, _)| *kind == number) {
            Some(index) => Self::read(number, &payloads[index]),
            None => Ok(Self::Other(number)),
        }
    }

    fn read(number: i64, payload: &Bytes) -> Result<Self, &'static str> {
        let mut ints = [0; 4];
        let mut texts: [Bytes; 4] = Default::default();
        for field in Fields::of(payload) {
            match field? {
                (field @ 1..=3, Value::Int(value)) => ints[field as usize] = value,
                (field @ 1..=3, Value::Bytes(value)) => texts[field as usize] = value,
                _ => {}
            }
        }
        let [_, first, second, third] = ints;
        let text = |index: usize| String::from_utf8_lossy(&texts[index]).into_owned();
        Ok(match number {
            0 => Self::DialRequest { protocol: text(1), address: text(2), random: third },
            1 => Self::DialResponse { error: text(1), connect_id: second, random: third },
            2 => Self::CloseRequest { connect_id: first },
            3 => Self::CloseResponse { error: text(1), connect_id: second },
            4 => Self::Data { connect_id: first, data: texts[3].clone() },
            5 => Self::CloseDial { random: first },
            other => Self::Other(other),
        })
    }

    fn number(&self) -> i64 {
        match self {
            Self::DialRequest { .. } => 0,
            Self::DialResponse { .. } => 1,
            Self::CloseRequest { .. } => 2,
            Self::CloseResponse { .. } => 3,
            Self::Data { .. } => 4,
            Self::CloseDial { .. } => 5,
            Self::Other(number) => *number,
        }
    }
}

/// Writes a payload of bytes without a copy in between.
fn put_data(buffer: &mut BytesMut, field: u32, connect_id: i64, data: &Bytes) {
    let length = wire::int_len(1, connect_id) + wire::bytes_len(3, data.len());
    wire::put_length(buffer, field, length);
    put_int(buffer, 1, connect_id);
    wire::put_length(buffer, 3, data.len());
    buffer.put_slice(data);
}

#[cfg(test)]
mod tests;
