//! Fields of Protocol Buffers messages (https://protobuf.dev/programming-guides/encoding).

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The value of a field, as far as the packets have such.
pub(super) enum Value {
    /// A variable-length integer.
    Int(i64),
    /// Bytes, a text or a message.
    Bytes(Bytes),
    /// A number of fixed length, which no packet has.
    Fixed,
}

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

/// The fields of a message, in their order. Ends after the first mistake.
pub(super) struct Fields {
    rest: Bytes,
}

impl Fields {
    pub(super) fn of(message: &Bytes) -> Self {
        Self { rest: message.clone() }
    }

    fn field(&mut self) -> Result<(u32, Value), &'static str> {
        let key = self.varint()?;
        let field =
            u32::try_from(key >> 3).ok().filter(|field| *field > 0).ok_or("a field number out of range")?;
        let value = match key & 7 {
            VARINT => Value::Int(self.varint()?.cast_signed()),
            LENGTH => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                Value::Bytes(self.take(length)?)
            }
            FIXED64 => self.take(8).map(|_| Value::Fixed)?,
            FIXED32 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err("a field of an unknown kind"),
        };
        Ok((field, value))
    }

    fn take(&mut self, length: usize) -> Result<Bytes, &'static str> {
        if length > self.rest.len() {
            return Err("a field that is longer than the message");
        }
        Ok(self.rest.split_to(length))
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.rest.try_get_u8().map_err(|_| "an integer that is cut off")?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("an integer of more than ten bytes")
    }
}

impl Iterator for Fields {
    type Item = Result<(u32, Value), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest.clear();
        }
        Some(field)
    }
}

/// Writes an integer; zero is what a missing field means.
pub(super) fn put_int(buffer: &mut BytesMut, field: u32, value: i64) {
    if value != 0 {
        put_varint(buffer, u64::from(field) << 3 | VARINT);
        put_varint(buffer, value.cast_unsigned());
    }
}

/// Writes bytes, a text or a message.
pub(super) fn put_bytes(buffer: &mut BytesMut, field: u32, value: &[u8]) {
    put_length(buffer, field, value.len());
    buffer.put_slice(value);
}

/// Writes what stands before `length` bytes.
pub(super) fn put_length(buffer: &mut BytesMut, field: u32, length: usize) {
    put_varint(buffer, u64::from(field) << 3 | LENGTH);
    put_varint(buffer, length as u64);
}

/// Bytes that [`put_int`] writes.
pub(super) fn int_len(field: u32, value: i64) -> usize {
    if value == 0 { 0 } else { varint_len(u64::from(field) << 3) + varint_len(value.cast_unsigned()) }
}

/// Bytes that [`put_bytes`] writes for `length` bytes.
pub(super) fn bytes_len(field: u32, length: usize) -> usize {
    varint_len(u64::from(field) << 3) + varint_len(length as u64) + length
}

fn put_varint(buffer: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        buffer.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    buffer.put_u8(value as u8);
}

fn varint_len(value: u64) -> usize {
    (64 - value.leading_zeros()).div_ceil(7).max(1) as usize
}
