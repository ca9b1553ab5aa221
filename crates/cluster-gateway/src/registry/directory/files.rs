//! One file of clusters: which kinds of documents it may hold, and what becomes of them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use cluster_gateway_client::v1alpha1::LABEL_CREDENTIAL_TYPE;
use serde_json::Value;

use super::{Contexts, identity, kubeconfig, name, secret};
use crate::manifest::{Document, Fields, Parsed, Problem, Reader};
use crate::registry::Entry;

const ENDINGS: [&str; 6] = [".yaml", ".yml", ".json", ".kubeconfig", ".conf", ".config"];

/// Reads files of clusters.
#[derive(Debug)]
pub(super) struct ClusterFiles {
    pub(super) contexts: Contexts,
    pub(super) allow_exec: bool,
}

impl Reader for ClusterFiles {
    type Output = BTreeMap<String, Entry>;

    /// Kubeconfigs often have no ending.
    fn wants(&self, file: &str) -> bool {
        !file.contains('.') && !file.ends_with('~') || ENDINGS.iter().any(|ending| file.ends_with(ending))
    }

    fn parse(&self, file: &str, text: &str) -> Parsed<Self::Output> {
        let mut reading = Reading { files: self, entries: BTreeMap::new(), notes: Vec::new() };
        let documents = Document::all(file, text).map_err(|problem| vec![problem]);
        let read = documents.and_then(|documents| {
            let refusals: Vec<_> =
                documents.iter().filter_map(|document| reading.document(document).err()).collect();
            if refusals.is_empty() { Ok(()) } else { Err(refusals) }
        });
        match read {
            Ok(()) => Parsed { value: Some(reading.entries), problems: reading.notes },
            Err(refusals) => Parsed::refused(refusals),
        }
    }
}

struct Reading<'a> {
    files: &'a ClusterFiles,
    entries: BTreeMap<String, Entry>,
    notes: Vec<Problem>,
}

impl Reading<'_> {
    fn document(&mut self, document: &Document<'_>) -> Result<(), Problem> {
        let value = document.value()?;
        self.object(document, &value, "").map_err(|reason| document.problem(reason))
    }

    fn object(&mut self, document: &Document<'_>, value: &Value, place: &str) -> Result<(), String> {
        let object = Fields::of(value, place)?;
        let version = object.text("apiVersion")?.unwrap_or_default();
        match (object.text("kind")?, version) {
            (Some("Secret"), "v1") => self.secret(document, &object),
            (Some("Config"), "v1") => self.kubeconfig(document, &object),
            // kubectl reads a kubeconfig without its type, too.
            (None, "" | "v1") if object.has("contexts") => self.kubeconfig(document, &object),
            (Some("List" | "SecretList"), "v1") if place.is_empty() => self.list(document, &object),
            (Some("Secret" | "Config" | "List" | "SecretList"), _) if place.is_empty() => {
                Err(format!("{}: expected v1", object.at("apiVersion")))
            }
            (None, _) => {
                Err(format!("{} is missing; expected Secret or Config (a kubeconfig)", object.at("kind")))
            }
            (Some(kind), _) => {
                let kind: String = kind.escape_debug().take(64).collect();
                self.note(document, format!("{kind} ignored: only Secrets and kubeconfigs are clusters"));
                Ok(())
            }
        }
    }

    fn list(&mut self, document: &Document<'_>, list: &Fields<'_>) -> Result<(), String> {
        let items = list.value("items").and_then(Value::as_array).ok_or("items: expected a list")?;
        for (index, item) in items.iter().enumerate() {
            self.object(document, item, &format!("items[{index}]"))?;
        }
        Ok(())
    }

    /// As in the hub, only labelled Secrets are clusters.
    fn secret(&mut self, document: &Document<'_>, object: &Fields<'_>) -> Result<(), String> {
        let secret = secret::read(object)?;
        let labelled =
            secret.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(LABEL_CREDENTIAL_TYPE));
        if labelled {
            self.insert(document, secret.into());
        } else {
            self.note(document, format!("Secret ignored: it has no label {LABEL_CREDENTIAL_TYPE}"));
        }
        Ok(())
    }

    fn kubeconfig(&mut self, document: &Document<'_>, object: &Fields<'_>) -> Result<(), String> {
        let (entries, notes) = kubeconfig::read(object, self.files.contexts, self.files.allow_exec)?;
        for note in notes {
            self.note(document, note);
        }
        for entry in entries {
            self.insert(document, entry);
        }
        Ok(())
    }

    fn insert(&mut self, document: &Document<'_>, entry: Entry) {
        let name = entry.secret.metadata.name.clone().unwrap_or_default();
        if let Err(reason) = name::check(&name) {
            return self.note(document, reason);
        }
        match self.entries.entry(name) {
            Slot::Vacant(slot) => {
                slot.insert(identity::stamp(entry));
            }
            Slot::Occupied(slot) => {
                let name = slot.key();
                let reason = format!("a second cluster is named {name} in this file; the first one counts");
                self.note(document, reason);
            }
        }
    }

    fn note(&mut self, document: &Document<'_>, reason: String) {
        self.notes.push(document.problem(reason));
    }
}
