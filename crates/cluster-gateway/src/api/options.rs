//! Options of a list or a watch: decoded, then checked, then their field labels looked at, in this order (contract rules
//! 221, 222, 225, 228-230).

use std::time::Duration;

use crate::request::{query_value, watches};
use crate::status::Error;

use super::pages::Continue;
use super::selector::{FieldSelector, LabelSelector};

/// What a list or a watch is asked for.
#[derive(Debug)]
pub(super) struct ListOptions {
    pub(super) labels: LabelSelector,
    pub(super) fields: FieldSelector,
    pub(super) watch: bool,
    /// Which state.
    pub(super) at: At,
    /// Objects on one page; `None`: all.
    pub(super) limit: Option<usize>,
    pub(super) continues: Option<Continue>,
    /// Whether a watch is to say how far it is.
    pub(super) bookmarks: bool,
    /// Whether a watch is to begin with what is there; `None`: not said.
    pub(super) initial_events: Option<bool>,
    /// How long a watch is to last.
    pub(super) timeout: Option<Duration>,
}

/// Which state of the collection is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// Any that is at least of this version; 0: any.
    NotOlderThan(u64),
    /// That of this version.
    Exactly(u64),
}

const NOT_OLDER_THAN: &str = "NotOlderThan";
const EXACT: &str = "Exact";
/// A watch that is to last longer ends here; its client begins another.
const MAX_SECONDS: u64 = 24 * 60 * 60;

impl ListOptions {
    /// Reads a query.
    ///
    /// # Errors
    /// [`Error::BadRequest`], [`Error::Invalid`].
    pub(super) fn parse(query: &str) -> Result<Self, Error> {
        let [seconds, limit] = [integer(query, "timeoutSeconds")?, integer(query, "limit")?];
        let value = |key| query_value(query, key).unwrap_or_default();
        let labels = LabelSelector::parse(&value("labelSelector")).map_err(Error::BadRequest)?;
        let fields = FieldSelector::parse(&value("fieldSelector")).map_err(Error::BadRequest)?;
        let watch = watches(query);
        let faults = if watch { watch_faults(query) } else { list_faults(query) };
        invalid(faults)?;
        fields.check_fields().map_err(Error::BadRequest)?;
        let version = version(query)?;
        let at = match &*value("resourceVersionMatch") {
            EXACT => At::Exactly(version.unwrap_or_default()),
            _ => At::NotOlderThan(version.unwrap_or_default()),
        };
        let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0 && version != Some(0));
        let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0);
        Ok(Self {
            labels,
            fields,
            watch,
            at,
            limit,
            continues: if watch { None } else { continues(query, version)? },
            bookmarks: flag(query, "allowWatchBookmarks").unwrap_or_default(),
            initial_events: flag(query, "sendInitialEvents"),
            timeout: seconds.map(|seconds| Duration::from_secs(seconds.min(MAX_SECONDS))),
        })
    }

    /// The version that is named; 0: none is.
    pub(super) fn version(&self) -> u64 {
        match self.at {
            At::NotOlderThan(version) | At::Exactly(version) => version,
        }
    }
}

/// Rule 226: an option that was taken away, and is refused rather than ignored.
pub(super) fn refuse_export(query: &str) -> Result<(), Error> {
    match flag(query, "export") {
        Some(true) => Err(Error::BadRequest(
            "the export parameter, deprecated since v1.14, is no longer supported".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// The version that one object is asked to be of at least; 0: any.
///
/// # Errors
/// [`Error::Invalid`].
pub(super) fn at_least(query: &str) -> Result<u64, Error> {
    Ok(version(query)?.unwrap_or_default())
}

/// The first value as option decoding reads it: anything but `false` and `0` is true, an empty value too.
fn flag(query: &str, key: &str) -> Option<bool> {
    let value = query_value(query, key)?;
    Some(!matches!(value.to_ascii_lowercase().as_str(), "false" | "0"))
}

/// 0 when not given.
fn integer(query: &str, key: &str) -> Result<i64, Error> {
    let Some(value) = query_value(query, key) else { return Ok(0) };
    value.parse().map_err(|error| Error::BadRequest(unparsed("strconv.ParseInt", &value, &error)))
}

/// `None`: not given, or empty.
fn version(query: &str) -> Result<Option<u64>, Error> {
    let value = query_value(query, "resourceVersion").unwrap_or_default();
    if value.is_empty() {
        return Ok(None);
    }
    let fault = |error| {
        let cause = unparsed("strconv.ParseUint", &value, &error);
        vec![format!("resourceVersion: Invalid value: {value:?}: {cause}")]
    };
    match value.parse() {
        Ok(version) => Ok(Some(version)),
        Err(error) => invalid(fault(error)).map(|()| None),
    }
}

fn continues(query: &str, version: Option<u64>) -> Result<Option<Continue>, Error> {
    let token = query_value(query, "continue").unwrap_or_default();
    if token.is_empty() {
        return Ok(None);
    }
    if version.is_some_and(|version| version > 0) {
        return Err(Error::BadRequest(
            "specifying resource version is not allowed when using continue".to_owned(),
        ));
    }
    Continue::parse(&token).map(Some)
}

/// The words of Go's parser.
fn unparsed(function: &str, value: &str, error: &std::num::ParseIntError) -> String {
    use std::num::IntErrorKind;
    let cause = match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    };
    format!("{function}: parsing {value:?}: {cause}")
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
    if initial_events && matching != NOT_OLDER_THAN {
        faults.push(forbidden(
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
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
        if query_value(query, "continue").is_some_and(|token| !token.is_empty()) {
            faults.push(forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden when continue is provided",
            ));
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
