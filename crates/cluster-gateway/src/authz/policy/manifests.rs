//! One file of RBAC manifests, read strictly: a file that is not understood completely is refused as a whole.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::check;
use super::grants::{Rules, Subject};
use super::schema::{API_VERSION, List, TypeMeta};
use crate::manifest::{Document, Parsed, Problem, Reader};

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    pub(super) roles: BTreeMap<Name, Rules>,
    pub(super) bindings: BTreeMap<Name, Binding>,
}

/// The name of an object, with its namespace if its kind has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl Name {
    /// With its kind, for messages: `Role "NAME" of namespace "NAMESPACE"`.
    pub(super) fn described(&self, kind: &str) -> String {
        let name = self.name.escape_debug();
        match &self.namespace {
            None => format!("Cluster{kind} \"{name}\""),
            Some(namespace) => format!("{kind} \"{name}\" of namespace \"{}\"", namespace.escape_debug()),
        }
    }
}

/// A role granted to subjects.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) role: Name,
    pub(super) subjects: Vec<Subject>,
}

/// Reads RBAC manifests.
#[derive(Debug, Clone, Copy)]
pub(super) struct RbacReader {
    /// Whether anything of a namespace is ever asked about; else `Role` and `RoleBinding` are refused.
    pub(super) namespaces: bool,
}

impl Reader for RbacReader {
    type Output = Manifests;

    fn wants(&self, file: &str) -> bool {
        [".yaml", ".yml", ".json"].iter().any(|ending| file.ends_with(ending))
    }

    fn parse(&self, file: &str, text: &str) -> Parsed<Manifests> {
        let documents = match Document::all(file, text) {
            Ok(documents) => documents,
            Err(problem) => return Parsed::refused(vec![problem]),
        };
        let mut reading = Reading { namespaces: self.namespaces, ..Reading::default() };
        for document in &documents {
            if let Err(problem) = reading.document(document) {
                reading.refusals.push(problem);
            }
        }
        let Reading { manifests, refusals, notes, .. } = reading;
        if refusals.is_empty() {
            Parsed { value: Some(manifests), problems: notes }
        } else {
            Parsed::refused(refusals)
        }
    }
}

#[derive(Default)]
struct Reading {
    namespaces: bool,
    manifests: Manifests,
    refusals: Vec<Problem>,
    notes: Vec<Problem>,
}

/// An object and where it stands: a document, or an item of a list.
struct Object<'a> {
    document: &'a Document<'a>,
    item: Option<(usize, Value)>,
}

impl Reading {
    fn document(&mut self, document: &Document<'_>) -> Result<(), Problem> {
        let meta: TypeMeta = document.read()?;
        let of_items = match (meta.api_version.as_str(), meta.kind.as_str()) {
            ("v1", "List") => "",
            (API_VERSION, "ClusterRoleList") => "ClusterRole",
            (API_VERSION, "ClusterRoleBindingList") => "ClusterRoleBinding",
            (API_VERSION, "RoleList") => "Role",
            (API_VERSION, "RoleBindingList") => "RoleBinding",
            _ => return self.object(&Object { document, item: None }, &meta),
        };
        let list: List = document.read()?;
        for item in list.items.into_iter().enumerate() {
            if let Err(problem) = self.item(document, of_items, item) {
                self.refusals.push(problem);
            }
        }
        Ok(())
    }

    /// Items of a typed list need not repeat their type.
    fn item(&mut self, document: &Document<'_>, kind: &str, item: (usize, Value)) -> Result<(), Problem> {
        let object = Object { document, item: Some(item) };
        let mut meta: TypeMeta = object.read()?;
        if meta.kind.is_empty() && meta.api_version.is_empty() && !kind.is_empty() {
            meta = TypeMeta { api_version: API_VERSION.to_owned(), kind: kind.to_owned() };
        }
        self.object(&object, &meta)
    }

    fn object(&mut self, object: &Object<'_>, meta: &TypeMeta) -> Result<(), Problem> {
        let kind = meta.kind.as_str();
        let scope = if kind.starts_with("Cluster") { Scope::Cluster } else { Scope::Namespace };
        match kind {
            "ClusterRole" | "ClusterRoleBinding" | "Role" | "RoleBinding" if meta.api_version != API_VERSION => {
                Err(object.problem(format!("apiVersion: expected {API_VERSION}")))
            }
            "Role" | "RoleBinding" if !self.namespaces => Err(object.problem(format!(
                "{kind} is of a namespace, and nothing of one is asked about without --authorize-proxy-subpath; write a \
                 Cluster{kind}, which may name single clusters in resourceNames"
            ))),
            "ClusterRole" | "Role" => {
                let (name, rules, notes) =
                    check::role(object.read()?, scope).map_err(|reason| object.problem(reason))?;
                self.notes.extend(notes.into_iter().map(|note| object.problem(note)));
                object.insert(&mut self.manifests.roles, name, rules)
            }
            "ClusterRoleBinding" | "RoleBinding" => {
                let (name, binding) =
                    check::binding(object.read()?, scope).map_err(|reason| object.problem(reason))?;
                object.insert(&mut self.manifests.bindings, name, binding)
            }
            "" => Err(object.problem(format!("kind is missing; expected {KINDS}"))),
            kind => Err(object.problem(format!(
                "kind \"{}\" has no meaning here; expected {KINDS}",
                kind.escape_debug().take(64).collect::<String>()
            ))),
        }
    }
}

/// What an object is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Cluster,
    Namespace,
}

const KINDS: &str = "ClusterRole, ClusterRoleBinding, Role or RoleBinding";

impl Object<'_> {
    fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let Some((_, value)) = &self.item else { return self.document.read() };
        serde_json::from_value(value.clone()).map_err(|error| self.problem(error.to_string()))
    }

    fn problem(&self, reason: impl Into<String>) -> Problem {
        match &self.item {
            Some((index, _)) => self.document.problem(format!("items[{index}]: {}", reason.into())),
            None => self.document.problem(reason),
        }
    }

    fn insert<T>(&self, into: &mut BTreeMap<Name, T>, name: Name, object: T) -> Result<(), Problem> {
        if into.contains_key(&name) {
            let name = name.name.escape_debug();
            return Err(
                self.problem(format!("a second object of this kind is named \"{name}\" in this file"))
            );
        }
        into.insert(name, object);
        Ok(())
    }
}
