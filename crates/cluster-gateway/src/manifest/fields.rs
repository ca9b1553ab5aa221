//! Reading data that may hold secrets: failures name the place and what is expected there, never what was found.

use serde_json::{Map, Value};

/// A mapping somewhere in a document.
#[derive(Clone)]
pub struct Fields<'a> {
    place: String,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The mapping that `value` is. `place` is how messages call it; empty for a whole document.
    ///
    /// # Errors
    /// `value` is no mapping.
    pub fn of(value: &'a Value, place: &str) -> Result<Self, String> {
        let map = value.as_object().ok_or_else(|| expected(place, "a mapping"))?;
        Ok(Self { place: place.to_owned(), map })
    }

    /// Text; `None` if missing, null or empty.
    ///
    /// # Errors
    /// Something else stands there.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>, String> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(expected(&self.at(key), "a string (quote numbers and true/false)")),
        }
    }

    /// A boolean; missing and null count as false.
    ///
    /// # Errors
    /// Something else stands there.
    pub fn flag(&self, key: &str) -> Result<bool, String> {
        match self.value(key) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| expected(&self.at(key), "true or false")),
        }
    }

    /// A mapping; `None` if missing or null.
    ///
    /// # Errors
    /// Something else stands there.
    pub fn fields(&self, key: &str) -> Result<Option<Self>, String> {
        self.value(key).map(|value| Fields::of(value, &self.at(key))).transpose()
    }

    /// A list of mappings; empty if missing or null.
    ///
    /// # Errors
    /// Something else stands there.
    pub fn list(&self, key: &str) -> Result<Vec<Self>, String> {
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let items = value.as_array().ok_or_else(|| expected(&self.at(key), "a list"))?;
        let named = items.iter().enumerate();
        named.map(|(index, item)| Fields::of(item, &format!("{}[{index}]", self.at(key)))).collect()
    }

    /// A mapping of text to text; empty if missing or null.
    ///
    /// # Errors
    /// Something else stands there.
    pub fn texts(&self, key: &str) -> Result<Vec<(&'a str, &'a str)>, String> {
        let Some(fields) = self.fields(key)? else { return Ok(Vec::new()) };
        let keys = fields.map.keys();
        keys.map(|key| Ok((key.as_str(), fields.text(key)?.unwrap_or_default()))).collect()
    }

    /// Whether something other than null stands at `key`.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// What stands at `key`, unless it is null.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Refuses keys that are not among `known`.
    ///
    /// # Errors
    /// Names the first such key and the keys that there can be.
    pub fn only(&self, known: &[&str]) -> Result<(), String> {
        let unknown = self.map.keys().find(|key| !known.contains(&key.as_str()));
        unknown.map_or(Ok(()), |key| {
            let key = key.escape_debug().take(64).collect::<String>();
            Err(format!("unknown field \"{}\"; known are {}", self.at(&key), known.join(", ")))
        })
    }

    /// How messages call what stands at `key`.
    #[must_use]
    pub fn at(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }
}

impl std::fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fields").field("place", &self.place).finish_non_exhaustive()
    }
}

fn expected(place: &str, what: &str) -> String {
    let place = if place.is_empty() { "the document" } else { place };
    format!("{place}: expected {what}")
}
