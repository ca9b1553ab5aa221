//! The fields of the kinds: what OpenAPI tells of them, how protobuf numbers them, and which of an object's are known.

mod check;

use std::collections::{BTreeMap, BTreeSet};

/// Everything that is known of the types.
#[derive(Debug)]
pub(crate) struct Schemas {
    types: BTreeMap<&'static str, Type>,
    descriptions: BTreeMap<&'static str, &'static str>,
}

/// A type with fields.
#[derive(Debug)]
pub(crate) struct Type {
    /// Short name of the group that it is of: `core`, `apps`, `meta`, ….
    pub(crate) group: &'static str,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug)]
pub(crate) struct Field {
    /// In protobuf.
    pub(crate) number: u64,
    /// In JSON.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether it is told apart from one that is zero.
    pub(crate) optional: bool,
    /// Whether its fields are those of the type around it.
    pub(crate) inline: bool,
    /// What tells the elements of the list apart when it is merged.
    pub(crate) merge_key: Option<&'static str>,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    String,
    Int,
    Bool,
    Bytes,
    /// A time of whole seconds.
    Time,
    /// A time of microseconds.
    MicroTime,
    Quantity,
    IntOrString,
    /// Any JSON.
    Raw,
    Message(&'static str),
    List(Box<Self>),
    Map(Box<Self>),
}

impl Schemas {
    /// Reads the tables that this crate carries.
    pub(crate) fn load() -> Self {
        let mut types = BTreeMap::new();
        for block in include_str!("schema/kinds.txt").split("\n\n") {
            let mut lines = block.lines().filter(|line| !line.starts_with('#'));
            if let Some((name, group)) = lines.next().and_then(|line| line.split_once(' ')) {
                types.insert(name, Type { group, fields: lines.filter_map(Field::parse).collect() });
            }
        }
        let descriptions = include_str!("schema/descriptions.txt").lines();
        let descriptions = descriptions.filter_map(|line| line.split_once(": ")).collect();
        Self { types, descriptions }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Type> {
        self.types.get(name)
    }

    /// What a type (`Pod`) or a field (`PodSpec.containers`) means, empty when nobody has written it down.
    pub(crate) fn description(&self, name: &str) -> &'static str {
        self.descriptions.get(name).copied().unwrap_or_default()
    }

    /// A type's fields with those of the types that are inlined into it.
    pub(crate) fn fields<'s>(&'s self, name: &'s str) -> Vec<(&'s str, &'s Field)> {
        let mut all = Vec::new();
        for field in self.get(name).into_iter().flat_map(|found| &found.fields) {
            match &field.kind {
                Kind::Message(inner) if field.inline => all.extend(self.fields(inner)),
                _ => all.push((name, field)),
            }
        }
        all
    }

    /// The types that `roots` are made of, themselves included; inlined ones only when another field has them, too.
    pub(crate) fn reachable(&self, roots: &[&'static str]) -> BTreeSet<&'static str> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&'static str> = roots.to_vec();
        while let Some(name) = open.pop() {
            if found.insert(name) {
                open.extend(self.fields(name).into_iter().filter_map(|(_, field)| field.kind.message()));
            }
        }
        found
    }
}

impl Field {
    fn parse(line: &'static str) -> Option<Self> {
        let mut words = line.split(' ');
        let (number, name, kind) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
        let optional = kind.ends_with('?');
        let kind = Kind::parse(kind.trim_end_matches('?'));
        Some(Self { number, name, kind, optional, inline: name == "~", merge_key: words.next() })
    }
}

impl Kind {
    fn parse(text: &'static str) -> Self {
        let within = |open: char, close: char| text.strip_prefix(open)?.strip_suffix(close);
        match text {
            "string" => Self::String,
            "int" => Self::Int,
            "bool" => Self::Bool,
            "bytes" => Self::Bytes,
            "Time" => Self::Time,
            "MicroTime" => Self::MicroTime,
            "Quantity" => Self::Quantity,
            "IntOrString" => Self::IntOrString,
            "Raw" => Self::Raw,
            _ => match (within('[', ']'), within('{', '}')) {
                (Some(element), _) => Self::List(Box::new(Self::parse(element))),
                (_, Some(value)) => Self::Map(Box::new(Self::parse(value))),
                _ => Self::Message(text),
            },
        }
    }

    /// The type that it is made of, if that has fields.
    pub(crate) fn message(&self) -> Option<&'static str> {
        match self {
            Self::Message(name) => Some(name),
            Self::List(inner) | Self::Map(inner) => inner.message(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::RESOURCES;

    #[test]
    fn every_type_that_is_named_is_there() {
        let schemas = Schemas::load();
        for resource in RESOURCES {
            assert!(schemas.get(resource.kind).is_some(), "{}", resource.kind);
            for name in schemas.reachable(&[resource.kind]) {
                assert!(schemas.get(name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn every_description_is_of_something() {
        let schemas = Schemas::load();
        for name in schemas.descriptions.keys() {
            let (kind, field) = name.split_once('.').unwrap_or((name, ""));
            let known = schemas
                .get(kind)
                .is_some_and(|one| field.is_empty() || one.fields.iter().any(|other| other.name == field));
            assert!(known, "{name}");
        }
        assert!(schemas.descriptions.len() > 50);
    }

    #[test]
    fn inlined_fields_are_those_of_the_type_around() {
        let schemas = Schemas::load();
        let names: Vec<&str> =
            schemas.fields("SecretKeySelector").iter().map(|(_, field)| field.name).collect();
        assert_eq!(names, ["name", "key", "optional"]);
        assert_eq!(Kind::parse("[{string}]"), Kind::List(Box::new(Kind::Map(Box::new(Kind::String)))));
    }
}
