//! JSON to YAML, in the style of Kubernetes' own: keys sorted, lists not indented, quotes where a plain word could be
//! read as something else.

use serde_json::Value;

/// Writes a document, ending in a newline.
pub(super) fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => object(map, 0, &mut out),
        Value::Array(items) if !items.is_empty() => list(items, 0, &mut out),
        scalar => {
            scalar_line(scalar, &mut out);
        }
    }
    out
}

fn object(map: &serde_json::Map<String, Value>, indent: usize, out: &mut String) {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by(|a, b| a.0.cmp(b.0));
    for (index, (key, value)) in entries.into_iter().enumerate() {
        // The first key of a list's item stands behind its dash.
        if index > 0 || !out.ends_with("- ") {
            pad(indent, out);
        }
        string(key, out);
        out.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                object(map, indent + 2, out);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                list(items, indent, out);
            }
            scalar => {
                out.push(' ');
                scalar_line(scalar, out);
            }
        }
    }
}

fn list(items: &[Value], indent: usize, out: &mut String) {
    for item in items {
        if !out.ends_with("- ") {
            pad(indent, out);
        }
        out.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => object(map, indent + 2, out),
            Value::Array(items) if !items.is_empty() => list(items, indent + 2, out),
            scalar => scalar_line(scalar, out),
        }
    }
}

fn scalar_line(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => string(text, out),
        other => out.push_str(&other.to_string()),
    }
    out.push('\n');
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn string(text: &str, out: &mut String) {
    if is_plain(text) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Whether a text needs no quotes: it begins with a letter, `/` or `_`, has nothing with a meaning in it, and is none
/// of the words that some YAML version reads as a truth value or as nothing.
fn is_plain(text: &str) -> bool {
    let inner = |char: char| char.is_ascii_alphanumeric() || " _-./:=+@,()".contains(char);
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/' || first == '_')
        && text.chars().all(inner)
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word))
}
