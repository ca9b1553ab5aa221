//! What a cluster may be called, before anybody is asked.

use std::ops::RangeInclusive;

use super::Wanted;
use crate::lifecycle::check_label;
use crate::manage::{Code, Refusal};

/// Bytes of a name, as VelaUX' stores take it.
const NAME: RangeInclusive<usize> = 2..=31;
/// Bytes of a name for people, if there is one.
const ALIAS: RangeInclusive<usize> = 2..=64;
/// Labels of one cluster, at most.
const MOST_LABELS: usize = 64;

/// # Errors
/// A value is not allowed; which, and what is.
pub(super) fn check(wanted: &Wanted) -> Result<(), Refusal> {
    let Wanted { name, alias, labels, .. } = wanted;
    if !is_name(name) {
        let shown: String = name.escape_debug().take(60).collect();
        return Err(value(format!("\"{shown}\" is no name for a cluster"), "name")
            .remedy("It has 2 to 31 of a-z, 0-9 and -, and begins and ends with a letter or a digit."));
    }
    if !alias.is_empty() && !ALIAS.contains(&alias.len()) {
        return Err(value("the alias must be 2 to 64 bytes long".to_owned(), "alias")
            .remedy("Choose another, or leave it empty."));
    }
    if alias.chars().any(char::is_control) {
        return Err(value("an alias holds no characters that steer a terminal".to_owned(), "alias"));
    }
    if labels.len() > MOST_LABELS {
        return Err(value(format!("a cluster has at most {MOST_LABELS} labels"), "labels"));
    }
    labels.iter().try_for_each(|(key, label)| {
        check_label(key, label).map_err(|error| value(error.to_string(), "labels"))
    })
}

fn value(message: String, field: &'static str) -> Refusal {
    Refusal::new(Code::Value, message).field(field)
}

fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    NAME.contains(&name.len())
        && bytes.first().copied().is_some_and(inner)
        && bytes.last().copied().is_some_and(inner)
        && bytes.iter().all(|byte| inner(*byte) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn field(wanted: Value) -> Option<&'static str> {
        let wanted: Wanted = serde_json::from_value(wanted).unwrap();
        check(&wanted).err().map(|refusal| {
            assert_eq!(refusal.code, Code::Value);
            refusal.field.unwrap()
        })
    }

    #[test]
    fn each_field_is_checked_and_named() {
        for name in ["ab", "prod-frankfurt", &"a".repeat(31), "local"] {
            assert_eq!(field(json!({ "name": name })), None, "{name}");
        }
        for name in ["", "a", "A1", "-ab", "ab-", "a.b", "a\\xb", "<b>hi</b>", &"a".repeat(32)] {
            assert_eq!(field(json!({ "name": name })), Some("name"), "{name}");
        }
        for (alias, wrong) in [("ü", false), ("x", true), ("a\u{7}b", true), ("<script>", false)] {
            let found = field(json!({ "name": "ab", "alias": alias }));
            assert_eq!(found, wrong.then_some("alias"), "{alias}");
        }
        assert_eq!(field(json!({ "name": "ab", "alias": "a".repeat(65) })), Some("alias"));
        for labels in [
            json!({"cluster.core.oam.dev/cluster-credential-type": "x"}),
            json!({"env": "not a label"}),
            json!({"": "x"}),
        ] {
            assert_eq!(field(json!({ "name": "ab", "labels": labels })), Some("labels"));
        }
        assert_eq!(field(json!({ "name": "ab", "labels": {"env": "prod"}, "unknown": 1 })), None);
    }
}
