//! Options of a list: decoded, then checked, then their field labels looked at, in this order (contract rules 221, 222,
//! 225, 228, 229).

use crate::request::{query_value, watches};
use crate::status::Error;

use super::selector::{FieldSelector, LabelSelector};

/// What a list is asked for.
#[derive(Debug)]
pub(super) struct ListOptions {
    pub(super) labels: LabelSelector,
    pub(super) fields: FieldSelector,
    pub(super) watch: bool,
    /// Continues an earlier list; no list here is ever cut, so there is none to continue.
    pub(super) continues: bool,
}

const NOT_OLDER_THAN: &str = "NotOlderThan";
const EXACT: &str = "Exact";

impl ListOptions {
    /// Reads a query.
    ///
    /// # Errors
    /// [`Error::BadRequest`], [`Error::Invalid`].
    pub(super) fn parse(query: &str) -> Result<Self, Error> {
        for key in ["timeoutSeconds", "limit"] {
            integer(query, key)?;
        }
        let value = |key| query_value(query, key).unwrap_or_default();
        let labels = LabelSelector::parse(&value("labelSelector")).map_err(Error::BadRequest)?;
        let fields = FieldSelector::parse(&value("fieldSelector")).map_err(Error::BadRequest)?;
        let watch = watches(query);
        let faults = if watch { watch_faults(query) } else { list_faults(query) };
        invalid(faults)?;
        fields.check_fields().map_err(Error::BadRequest)?;
        Ok(Self { labels, fields, watch, continues: !value("continue").is_empty() })
    }
}

/// Rule 226: an option that was taken away, and is refused rather than ignored.
pub(super) fn refuse_export(query: &str) -> Result<(), Error> {
    match query_value(query, "export") {
        Some(value) if !matches!(value.to_ascii_lowercase().as_str(), "false" | "0") => {
            Err(Error::BadRequest(
                "the export parameter, deprecated since v1.14, is no longer supported".to_owned(),
            ))
        }
        _ => Ok(()),
    }
}

fn integer(query: &str, key: &str) -> Result<(), Error> {
    use std::num::IntErrorKind;
    let Some(value) = query_value(query, key) else { return Ok(()) };
    value.parse::<i64>().map(drop).map_err(|error| {
        let cause = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        Error::BadRequest(format!("strconv.ParseInt: parsing {value:?}: {cause}"))
    })
}

fn list_faults(query: &str) -> Vec<String> {
    let value = |key| query_value(query, key).unwrap_or_default();
    let (version, matching) = (value("resourceVersion"), value("resourceVersionMatch"));
    let mut faults = Vec::new();
    if !matching.is_empty() {
        if version.is_empty() {
            faults.push(forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        if !value("continue").is_empty() {
            faults.push(forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        if !matches!(&*matching, EXACT | NOT_OLDER_THAN) {
            faults.push(unsupported(&matching, "\"Exact\", \"NotOlderThan\", \"\""));
        }
        if matching == EXACT && version == "0" {
            faults.push(forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ));
        }
    }
    if query_value(query, "sendInitialEvents").is_some() {
        faults.push(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    faults
}

fn watch_faults(query: &str) -> Vec<String> {
    let matching = query_value(query, "resourceVersionMatch").unwrap_or_default();
    let initial_events = query_value(query, "sendInitialEvents").is_some();
    let mut faults = Vec::new();
    if initial_events {
        if matching != NOT_OLDER_THAN {
            faults.push(forbidden(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ));
        }
        faults.push(forbidden(
            "sendInitialEvents",
            "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
        ));
    }
    if !matching.is_empty() {
        if !initial_events {
            faults.push(forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        if matching != NOT_OLDER_THAN {
            faults.push(unsupported(&matching, "\"NotOlderThan\""));
        }
    }
    faults
}

fn forbidden(field: &str, why: &str) -> String {
    format!("{field}: Forbidden: {why}")
}

fn unsupported(value: &str, supported: &str) -> String {
    format!("resourceVersionMatch: Unsupported value: {value:?}: supported values: {supported}")
}

fn invalid(mut faults: Vec<String>) -> Result<(), Error> {
    let message = match faults.len() {
        0 => return Ok(()),
        1 => faults.remove(0),
        _ => format!("[{}]", faults.join(", ")),
    };
    Err(Error::Invalid { kind: "ListOptions.meta.k8s.io", message })
}
