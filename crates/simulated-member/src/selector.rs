//! Label and field selectors.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::object;
use crate::resources::Resource;
use crate::status::{Result, Status};

/// Which objects are meant: all conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

impl Selector {
    /// Reads the parameters `labelSelector` and `fieldSelector`.
    pub(crate) fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self> {
        let terms = split(labels).into_iter().map(str::trim).filter(|term| !term.is_empty());
        let labels = terms.map(requirement).collect::<Result<_>>()?;
        let terms = fields.split(',').filter(|term| !term.is_empty());
        let fields = terms.map(|term| comparison(resource, term)).collect::<Result<_>>()?;
        Ok(Self { labels, fields })
    }

    /// The selector in an object's spec: `matchLabels` and `matchExpressions`.
    pub(crate) fn of_spec(spec: &Value) -> Self {
        let equal = object::strings(&spec["matchLabels"]);
        let equal = equal.into_iter().map(|(key, value)| Requirement { key, test: Test::In(vec![value]) });
        let expressions = object::items(&spec["matchExpressions"]).iter().map(|expression| {
            let values: Vec<String> = object::items(&expression["values"])
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            let test = match expression["operator"].as_str().unwrap_or_default() {
                "Exists" => Test::Exists,
                "DoesNotExist" => Test::Absent,
                "NotIn" => Test::NotIn(values),
                _ => Test::In(values),
            };
            Requirement { key: object::field(expression, "key"), test }
        });
        Self { labels: equal.chain(expressions).collect(), fields: Vec::new() }
    }

    /// Means only the object of this name from now on.
    pub(crate) fn and_name(&mut self, name: &str) {
        self.fields.push(("metadata.name".to_owned(), true, name.to_owned()));
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|requirement| requirement.test.passes(labels[&requirement.key].as_str()))
            && self
                .fields
                .iter()
                .all(|(path, equal, value)| (object::field(object, path) == *value) == *equal)
    }

    /// Whether nothing is asked for beyond being there.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object with only these labels is meant.
    pub(crate) fn matches_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels.iter().all(|one| one.test.passes(labels.get(&one.key).map(String::as_str)))
    }
}

impl Test {
    fn passes(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        let among = |values: &[String]| value.is_some_and(|value| values.iter().any(|one| one == value));
        match self {
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
            Self::In(values) => among(values),
            Self::NotIn(values) => !among(values),
            Self::Greater(bound) => number().is_some_and(|value| value > *bound),
            Self::Less(bound) => number().is_some_and(|value| value < *bound),
        }
    }
}

/// Cuts at the commas that are in no bracket.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let cut = |character: char| {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    };
    text.split(cut).collect()
}

fn requirement(term: &str) -> Result<Requirement> {
    let bad = || {
        Status::bad_request(format!(
            "unable to parse requirement: found '{term}', expected: key, operator and value"
        ))
    };
    let (key, test) = if let Some(key) = term.strip_prefix('!') {
        (key, Test::Absent)
    } else if let Some((left, values)) = term.split_once('(') {
        let values = values.strip_suffix(')').ok_or_else(bad)?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        match left.trim_end().rsplit_once(char::is_whitespace).ok_or_else(bad)? {
            (key, "in") => (key, Test::In(values)),
            (key, "notin") => (key, Test::NotIn(values)),
            _ => return Err(bad()),
        }
    } else if let Some((key, value)) = term.split_once("!=") {
        (key, Test::NotIn(vec![value.trim().to_owned()]))
    } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        (key, Test::In(vec![value.trim().to_owned()]))
    } else if let Some((key, value)) = term.split_once('>') {
        (key, Test::Greater(value.trim().parse().map_err(|_| bad())?))
    } else if let Some((key, value)) = term.split_once('<') {
        (key, Test::Less(value.trim().parse().map_err(|_| bad())?))
    } else {
        (term, Test::Exists)
    };
    let key = key.trim();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if key.is_empty() || !key.bytes().all(allowed) {
        return Err(bad());
    }
    Ok(Requirement { key: key.to_owned(), test })
}

fn comparison(resource: &Resource, term: &str) -> Result<(String, bool, String)> {
    let cut = term.split_once("!=").map(|(field, value)| (field, false, value));
    let cut =
        cut.or_else(|| term.split_once("==").or_else(|| term.split_once('=')).map(|(f, v)| (f, true, v)));
    let Some((field, equal, value)) = cut else {
        return Err(Status::bad_request(format!("invalid selector: '{term}'; can't understand '{term}'")));
    };
    if !matches!(field, "metadata.name" | "metadata.namespace") && !resource.fields.contains(&field) {
        return Err(Status::bad_request(format!("field label not supported: {field}")));
    }
    Ok((field.to_owned(), equal, value.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::named;

    fn pod() -> Value {
        json!({
            "metadata": {"name": "p", "namespace": "n", "labels": {"app": "web", "size": "10", "empty": ""}},
            "status": {"phase": "Running"},
        })
    }

    fn selects(labels: &str, fields: &str) -> bool {
        Selector::parse(named("pods"), labels, fields).unwrap().matches(&pod())
    }

    #[test]
    fn labels_are_selected_by() {
        for selector in [
            "",
            "app",
            "!other",
            "app=web",
            "app==web",
            "app = web",
            "app!=db",
            "other!=x",
            "app in (web,db)",
            "app in (db, web),size",
            "app notin (db)",
            "other notin (db)",
            "size>9",
            "size<11",
            "empty=",
            "empty in ()",
        ] {
            assert!(selects(selector, ""), "{selector}");
        }
        for selector in [
            "other",
            "!app",
            "app=db",
            "app!=web",
            "app in (db)",
            "app notin (web,db)",
            "size>10",
            "app>1",
            "app,!size",
        ] {
            assert!(!selects(selector, ""), "{selector}");
        }
    }

    #[test]
    fn fields_are_selected_by() {
        for selector in [
            "metadata.name=p",
            "metadata.name==p,metadata.namespace!=m",
            "status.phase=Running",
            "spec.nodeName=",
        ] {
            assert!(selects("", selector), "{selector}");
        }
        for selector in ["metadata.name=q", "status.phase!=Running", "metadata.name=p,spec.nodeName=x"] {
            assert!(!selects("", selector), "{selector}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (labels, fields) in [
            ("=x", ""),
            ("a b", ""),
            ("a in x", ""),
            ("a within (x)", ""),
            ("a in (x", ""),
            ("a>b", ""),
            ("", "a"),
            ("", "spec.x=1"),
        ] {
            let status = Selector::parse(named("pods"), labels, fields).unwrap_err();
            assert_eq!(status.code, 400, "{labels} {fields}");
        }
        assert!(Selector::parse(named("configmaps"), "", "status.phase=Running").is_err());
    }

    #[test]
    fn a_spec_selects_by_labels_and_expressions() {
        let spec = json!({"matchLabels": {"app": "web"}, "matchExpressions": [
            {"key": "size", "operator": "In", "values": ["10", "20"]},
            {"key": "other", "operator": "DoesNotExist"},
        ]});
        assert!(Selector::of_spec(&spec).matches(&pod()));
        assert!(!Selector::of_spec(&json!({"matchLabels": {"app": "db"}})).matches(&pod()));
        assert!(
            !Selector::of_spec(
                &json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]})
            )
            .matches(&pod())
        );
    }
}
