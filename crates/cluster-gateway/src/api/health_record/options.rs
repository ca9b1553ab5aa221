//! Options of a write (`UpdateOptions`, `PatchOptions`).

use crate::request::query_pairs;
use crate::status::Error;

/// Longest name of a field manager, in bytes.
const MAX_MANAGER: usize = 128;

/// How something is to be written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct WriteOptions {
    /// `dryRun=All`: everything is checked, nothing is written.
    pub(super) dry_run: bool,
    /// `fieldManager`; empty: not given.
    pub(super) field_manager: String,
    /// `fieldValidation`.
    pub(super) field_validation: FieldValidation,
}

/// What becomes of fields that nobody knows. They are never written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum FieldValidation {
    Ignore,
    /// The answer names them in `Warning` headers.
    #[default]
    Warn,
    /// They make the write fail.
    Strict,
}

impl WriteOptions {
    /// Reads a query.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub(super) fn parse(query: &str, patch: bool) -> Result<Self, Error> {
        let mut options = Self::default();
        let mut faults = Vec::new();
        let mut dry_run = Vec::new();
        for (key, value) in query_pairs(query) {
            match &*key {
                "dryRun" => dry_run.push(value.into_owned()),
                "fieldManager" => {
                    faults.extend(manager_fault(&value));
                    options.field_manager = value.into_owned();
                }
                "fieldValidation" => match &*value {
                    "" | "Warn" => options.field_validation = FieldValidation::Warn,
                    "Ignore" => options.field_validation = FieldValidation::Ignore,
                    "Strict" => options.field_validation = FieldValidation::Strict,
                    other => faults.push(format!(
                        "fieldValidation: Unsupported value: {other:?}: supported values: \"\", \"Ignore\", \
                         \"Strict\", \"Warn\""
                    )),
                },
                "force" if patch => {
                    faults.push("force: Forbidden: may not be specified for non-apply patch".to_owned());
                }
                _ => {}
            }
        }
        if dry_run.iter().any(|value| value != "All") {
            let values = dry_run.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(", ");
            faults
                .push(format!("dryRun: Unsupported value: []string{{{values}}}: supported values: \"All\""));
        }
        options.dry_run = !dry_run.is_empty();
        let kind = if patch { "PatchOptions.meta.k8s.io" } else { "UpdateOptions.meta.k8s.io" };
        match faults.len() {
            0 => Ok(options),
            1 => Err(Error::Invalid { kind, message: faults.remove(0) }),
            _ => Err(Error::Invalid { kind, message: format!("[{}]", faults.join(", ")) }),
        }
    }
}

fn manager_fault(manager: &str) -> Option<String> {
    if manager.len() > MAX_MANAGER {
        return Some(format!("fieldManager: Too long: may not be more than {MAX_MANAGER} bytes"));
    }
    let (at, character) = manager.char_indices().find(|(_, character)| character.is_control())?;
    Some(format!(
        "fieldManager: Invalid value: {manager:?}: invalid character U+{:04X} (at position {at})",
        u32::from(character)
    ))
}
