//! Bodies in Kubernetes' protobuf, as client-go's typed clients send them. Answers are always JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clock::rfc3339;
use crate::schema::{Field, Kind, Schemas};

/// What such a body begins with.
const MAGIC: &[u8] = b"k8s\0";
/// How deep messages may be within each other; no type here is nearly so deep.
const MAX_DEPTH: usize = 32;

type Result<T> = std::result::Result<T, &'static str>;

/// Reads a body into the JSON that would have said the same.
pub(crate) fn decode(schemas: &Schemas, body: &[u8]) -> Result<Value> {
    let envelope = body.strip_prefix(MAGIC).ok_or("it does not begin as Kubernetes' protobuf does")?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for part in parts(envelope)? {
        match part {
            (1, Wire::Bytes(meta)) => {
                for part in parts(meta)? {
                    match part {
                        (1, Wire::Bytes(bytes)) => api_version = text(bytes)?,
                        (2, Wire::Bytes(bytes)) => kind = text(bytes)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    if schemas.get(&kind).is_none() {
        return Err("it is of an unknown kind");
    }
    let mut object = message(schemas, &kind, raw, 0)?;
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    Ok(object.into())
}

/// A value as it is on the wire.
#[derive(Debug, Clone, Copy)]
enum Wire<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

fn parts(mut bytes: &[u8]) -> Result<Vec<(u64, Wire<'_>)>> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let value = match tag & 7 {
            0 => Wire::Number(varint(&mut bytes)?),
            1 => Wire::Bytes(take(&mut bytes, 8)?),
            2 => {
                let length = varint(&mut bytes)?;
                Wire::Bytes(take(
                    &mut bytes,
                    usize::try_from(length).map_err(|_| "a length is out of range")?,
                )?)
            }
            5 => Wire::Bytes(take(&mut bytes, 4)?),
            _ => return Err("it has a wire type that nothing uses"),
        };
        parts.push((tag >> 3, value));
    }
    Ok(parts)
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or("it ends within a number")?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number is too long")
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Result<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or("it ends within a field")?;
    *bytes = rest;
    Ok(taken)
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "a text is not UTF-8")
}

fn message(schemas: &Schemas, name: &str, bytes: &[u8], depth: usize) -> Result<Map<String, Value>> {
    if depth > MAX_DEPTH {
        return Err("its messages are too deep within each other");
    }
    let mut object = Map::new();
    let fields = schemas.get(name).map_or(&[][..], |found| found.fields.as_slice());
    for (number, wire) in parts(bytes)? {
        let Some(field) = fields.iter().find(|field| field.number == number) else { continue };
        read_field(schemas, &mut object, field, wire, depth)?;
    }
    Ok(object)
}

fn read_field(
    schemas: &Schemas,
    object: &mut Map<String, Value>,
    field: &Field,
    wire: Wire<'_>,
    depth: usize,
) -> Result<()> {
    match (&field.kind, wire) {
        (Kind::Message(name), Wire::Bytes(bytes)) if field.inline => {
            object.extend(message(schemas, name, bytes, depth + 1)?);
        }
        (Kind::List(element), wire) => {
            let element = value(schemas, element, wire, depth)?;
            let list = object.entry(field.name).or_insert_with(|| Value::Array(Vec::new()));
            if let Some(list) = list.as_array_mut() {
                list.push(element);
            }
        }
        (Kind::Map(inner), Wire::Bytes(bytes)) => {
            let (key, value) = entry(schemas, inner, bytes, depth)?;
            let map = object.entry(field.name).or_insert_with(|| Value::Object(Map::new()));
            if let Some(map) = map.as_object_mut() {
                map.insert(key, value);
            }
        }
        (kind, wire) => {
            let value = value(schemas, kind, wire, depth)?;
            let zero = value.is_null() || value == false || value == 0 || value == "";
            if field.optional || !zero {
                object.insert(field.name.to_owned(), value);
            }
        }
    }
    Ok(())
}

fn entry(schemas: &Schemas, kind: &Kind, bytes: &[u8], depth: usize) -> Result<(String, Value)> {
    let (mut key, mut found) = (String::new(), Value::String(String::new()));
    for part in parts(bytes)? {
        match part {
            (1, Wire::Bytes(bytes)) => key = text(bytes)?,
            (2, Wire::Bytes(bytes)) if matches!(kind, Kind::List(_)) => {
                // A list within a map is a message with one repeated field.
                let items =
                    parts(bytes)?.into_iter().map(|(_, wire)| value(schemas, &Kind::String, wire, depth));
                found = items.collect::<Result<Vec<Value>>>()?.into();
            }
            (2, wire) => found = value(schemas, kind, wire, depth)?,
            _ => {}
        }
    }
    Ok((key, found))
}

fn value(schemas: &Schemas, kind: &Kind, wire: Wire<'_>, depth: usize) -> Result<Value> {
    match (kind, wire) {
        // Negative numbers are on the wire as their two's complement.
        (Kind::Int, Wire::Number(number)) => Ok(number.cast_signed().into()),
        (Kind::Bool, Wire::Number(number)) => Ok((number != 0).into()),
        (Kind::String, Wire::Bytes(bytes)) => Ok(text(bytes)?.into()),
        (Kind::Bytes, Wire::Bytes(bytes)) => Ok(STANDARD.encode(bytes).into()),
        (Kind::Time, Wire::Bytes(bytes)) => time(bytes, rfc3339),
        (Kind::MicroTime, Wire::Bytes(bytes)) => {
            time(bytes, |time| time.format(&Rfc3339).unwrap_or_default())
        }
        (Kind::Quantity, Wire::Bytes(bytes)) => Ok(first_text(bytes)?.into()),
        (Kind::Raw, Wire::Bytes(bytes)) => {
            let text = first_text(bytes)?;
            serde_json::from_str(&text).map_err(|_| "a raw value is not JSON")
        }
        (Kind::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes),
        (Kind::Message(name), Wire::Bytes(bytes)) => {
            message(schemas, name, bytes, depth + 1).map(Value::Object)
        }
        _ => Err("a field has another wire type than its own"),
    }
}

/// Seconds and nanoseconds; the zero time is no time.
fn time(bytes: &[u8], format: impl Fn(OffsetDateTime) -> String) -> Result<Value> {
    let (mut seconds, mut nanoseconds) = (0_i64, 0_u64);
    for part in parts(bytes)? {
        match part {
            (1, Wire::Number(number)) => seconds = number.cast_signed(),
            (2, Wire::Number(number)) => nanoseconds = number,
            _ => {}
        }
    }
    if seconds == 0 && nanoseconds == 0 {
        return Ok(Value::Null);
    }
    let time = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| "a time is out of range")?;
    let nanoseconds = u32::try_from(nanoseconds).map_err(|_| "a time is out of range")?;
    Ok(format(time.replace_nanosecond(nanoseconds).map_err(|_| "a time is out of range")?).into())
}

fn first_text(bytes: &[u8]) -> Result<String> {
    let first = parts(bytes)?.into_iter().find_map(|part| match part {
        (1, Wire::Bytes(bytes)) => Some(bytes),
        _ => None,
    });
    text(first.unwrap_or_default())
}

fn int_or_string(bytes: &[u8]) -> Result<Value> {
    let (mut is_text, mut number, mut string) = (false, 0, String::new());
    for part in parts(bytes)? {
        match part {
            (1, Wire::Number(kind)) => is_text = kind == 1,
            (2, Wire::Number(value)) => number = value.cast_signed(),
            (3, Wire::Bytes(bytes)) => string = text(bytes)?,
            _ => {}
        }
    }
    Ok(if is_text { string.into() } else { number.into() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A length-delimited field.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        bytes.extend(content);
        bytes
    }

    fn body(kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &meta), field(2, raw)].concat()
    }

    #[test]
    fn objects_become_the_json_that_says_the_same() {
        let label = [field(1, b"app"), field(2, b"web")].concat();
        let created = field(8, &[]);
        let metadata = [field(1, b"x"), field(3, b""), created, field(11, &label)].concat();
        let data = [field(1, b"k"), field(2, b"v")].concat();
        let raw = [field(1, &metadata), field(2, &data)].concat();
        let expected = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "labels": {"app": "web"}}, "data": {"k": "v"},
        });
        assert_eq!(decode(&Schemas::load(), &body("ConfigMap", &raw)).unwrap(), expected);
    }

    #[test]
    fn zero_is_kept_where_it_means_something() {
        let schemas = Schemas::load();
        let zero_replicas = [1 << 3, 0, 5 << 3, 0];
        let object = decode(&schemas, &body("Deployment", &field(2, &zero_replicas))).unwrap();
        assert_eq!(object["spec"], json!({"replicas": 0}));
        let port = [vec![3 << 3, 80], field(4, &[1 << 3, 1, 3 << 3 | 2, 1, b'p'])].concat();
        let object = decode(&schemas, &body("Service", &field(2, &field(1, &port)))).unwrap();
        assert_eq!(object["spec"], json!({"ports": [{"port": 80, "targetPort": "p"}]}));
    }

    #[test]
    fn damaged_bodies_are_refused() {
        let schemas = Schemas::load();
        let good = body("ConfigMap", &field(1, &field(1, b"x")));
        for length in 0..good.len() {
            let part = decode(&schemas, &good[..length]);
            // Cut between two fields it is a shorter message.
            assert!(part.is_err() || part.unwrap()["metadata"].is_null(), "{length}");
        }
        assert!(decode(&schemas, b"{}").is_err());
        assert!(decode(&schemas, &body("Widget", &[])).is_err());
        assert!(
            decode(
                &schemas,
                &body("ConfigMap", &[1 << 3 | 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1])
            )
            .is_err()
        );
        assert!(decode(&schemas, &body("ConfigMap", &[1 << 3, 1])).is_err());
    }
}
