//! Bodies, read within bounds: their size, their depth and how much they hold once aliases are followed (rules 127,
//! 260).

use std::cell::Cell;
use std::fmt;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::body::Body;
use crate::status::Error;

/// Longest body, in bytes (rule 127).
const MAX_BYTES: usize = 3 * 1024 * 1024;
/// Values that a document may hold, those that an alias repeats counted each time. An object has some thirty.
const MAX_VALUES: usize = 100_000;
/// Levels that a document may have.
const MAX_DEPTH: usize = 64;

/// Reads a body to its end.
///
/// # Errors
/// [`Error::TooLarge`]; [`Error::BadRequest`] if it breaks off.
pub(super) async fn read(body: Body) -> Result<Vec<u8>, Error> {
    if http_body::Body::size_hint(&body).lower() > MAX_BYTES as u64 {
        return Err(Error::TooLarge(MAX_BYTES));
    }
    match Limited::new(body, MAX_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLarge(MAX_BYTES)),
        Err(error) => Err(Error::BadRequest(format!("the body broke off: {error}"))),
    }
}

/// Reads JSON.
///
/// # Errors
/// What is wrong with it, in words; those about its end are Go's.
pub(super) fn json(bytes: &[u8]) -> Result<Value, String> {
    let values = Cell::new(MAX_VALUES);
    let mut input = serde_json::Deserializer::from_slice(bytes);
    let value = Bounded { values: &values, depth: MAX_DEPTH }.deserialize(&mut input);
    let value = value.and_then(|value| input.end().map(|()| value));
    value.map_err(
        |error| {
            if error.is_eof() { "unexpected end of JSON input".to_owned() } else { error.to_string() }
        },
    )
}

/// Reads one document of YAML.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn yaml(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the text is not UTF-8".to_owned())?;
    let values = Cell::new(MAX_VALUES);
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |input| {
        Bounded { values: &values, depth: MAX_DEPTH }.deserialize(input)
    })
    .map_err(|error| error.without_snippet().to_string())
}

/// Reads a value while there is room for it.
#[derive(Clone, Copy)]
struct Bounded<'b> {
    /// Values that may still come.
    values: &'b Cell<usize>,
    /// Levels that may still come.
    depth: usize,
}

impl<'b> Bounded<'b> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1);
        let depth = depth.ok_or_else(|| E::custom(format!("more than {MAX_DEPTH} levels deep")))?;
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        let left = self.values.get().checked_sub(1);
        let left = left.ok_or_else(|| D::Error::custom(format!("it holds more than {MAX_VALUES} values")))?;
        self.values.set(left);
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        input.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = input.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut map = Map::new();
        while let Some(key) = input.next_key::<String>()? {
            let value = input.next_value_seed(inner)?;
            // Which of the two counts is something that two parsers could answer differently.
            if map.contains_key(&key) {
                let key: String = key.chars().take(100).collect();
                return Err(A::Error::custom(format!("key {key:?} stands twice in one object")));
            }
            map.insert(key, value);
        }
        Ok(map.into())
    }
}
