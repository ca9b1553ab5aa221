//! What a body asks to be written: a whole object, a merge patch (RFC 7386) or a JSON patch (RFC 6902).

use cluster_gateway_client::v1alpha1::ClusterGateway;
use http::{HeaderMap, header};
use json_patch::PatchOperation;
use serde_json::Value;

use super::{KIND, decode};
use crate::api::discovery::group_version;
use crate::api::openapi::unknown_fields;
use crate::status::{Error, UnsupportedMediaType};

/// Operations that a JSON patch may have. What can be changed here needs a handful.
const MAX_OPERATIONS: usize = 1000;
/// Bytes that a JSON patch may copy: with each operation a document could double.
const MAX_COPIED: usize = 1024 * 1024;
/// Types of a whole object.
const OBJECTS: &str = "application/json, application/yaml";
/// Types of a patch.
const PATCHES: &str = "application/json-patch+json, application/merge-patch+json";

/// What is asked for.
pub(super) enum Change {
    Replace(Wanted),
    Merge(Value),
    Json(Vec<PatchOperation>),
}

/// What of an object is looked at in a write; everything else of it is ignored (rule 232).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    name: String,
    /// Empty: any will do.
    pub(super) resource_version: String,
    /// Empty: any will do.
    pub(super) uid: String,
    pub(super) healthy: bool,
    pub(super) reason: String,
    /// Fields that no model has.
    pub(super) unknown: Vec<String>,
}

/// Format of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatchFormat {
    Merge,
    Json,
}

/// The format that a PATCH names.
///
/// # Errors
/// [`Error::UnsupportedMediaType`]. Kubernetes' formats that this resource does not have are answered with those that
/// it has, as kube-apiserver does for custom resources.
pub(super) fn patch_format(headers: &HeaderMap) -> Result<PatchFormat, Error> {
    match media_type(headers) {
        "application/merge-patch+json" => Ok(PatchFormat::Merge),
        "application/json-patch+json" => Ok(PatchFormat::Json),
        "application/strategic-merge-patch+json"
        | "application/apply-patch+yaml"
        | "application/apply-patch+cbor" => {
            Err(Error::UnsupportedMediaType(UnsupportedMediaType::Accepted(PATCHES)))
        }
        _ => Err(Error::UnsupportedMediaType(UnsupportedMediaType::Router)),
    }
}

fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

impl Change {
    /// Reads a whole object for the cluster `name`.
    ///
    /// # Errors
    /// [`Error::UnsupportedMediaType`], [`Error::BadRequest`].
    pub(super) fn replace(headers: &HeaderMap, bytes: &[u8], name: &str) -> Result<Self, Error> {
        let value = match media_type(headers) {
            "" | "application/json" => decode::json(bytes),
            "application/yaml" => {
                decode::yaml(bytes).map_err(|cause| format!("error converting YAML to JSON: {cause}"))
            }
            _ => return Err(Error::UnsupportedMediaType(UnsupportedMediaType::Accepted(OBJECTS))),
        };
        let value = value.map_err(|cause| unrecognized(&cause, bytes))?;
        if !value.is_object() {
            return Err(unrecognized("it is no object", bytes));
        }
        let wanted = Wanted::read(&value).map_err(Error::BadRequest)?;
        wanted.check_name(name)?;
        Ok(Self::Replace(wanted))
    }

    /// Reads a patch.
    ///
    /// # Errors
    /// [`Error::BadRequest`], [`Error::TooManyOperations`].
    pub(super) fn patch(format: PatchFormat, bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |cause: String| Error::BadRequest(format!("error decoding patch: {cause}"));
        let value = decode::json(bytes).map_err(wrong)?;
        match (format, value) {
            (PatchFormat::Merge, value) if value.is_object() => Ok(Self::Merge(value)),
            (PatchFormat::Merge, _) => Err(wrong("a merge patch is a JSON object".to_owned())),
            (PatchFormat::Json, Value::Array(items)) if items.len() > MAX_OPERATIONS => {
                Err(Error::TooManyOperations { limit: MAX_OPERATIONS, got: items.len() })
            }
            (PatchFormat::Json, value) => serde_json::from_value(value)
                .map(Self::Json)
                .map_err(|error| wrong(error.to_string().chars().take(200).collect())),
        }
    }

    /// What is to be written, given what is there.
    ///
    /// # Errors
    /// [`Error::Invalid`]: a patch does not apply, or leaves no object.
    pub(super) fn apply(&self, object: ClusterGateway) -> Result<Wanted, Error> {
        let invalid = |message| Error::Invalid { kind: KIND, message };
        let mut document = match self {
            Self::Replace(wanted) => return Ok(wanted.clone()),
            Self::Merge(_) | Self::Json(_) => {
                serde_json::to_value(object).map_err(|error| Error::Internal(error.to_string()))?
            }
        };
        match self {
            Self::Json(operations) => apply(&mut document, operations).map_err(invalid)?,
            Self::Merge(patch) => json_patch::merge(&mut document, patch),
            Self::Replace(_) => {}
        }
        Wanted::read(&document).map_err(|fault| invalid(format!("patch: {fault}")))
    }
}

fn apply(document: &mut Value, operations: &[PatchOperation]) -> Result<(), String> {
    let mut copied = 0;
    for (number, operation) in operations.iter().enumerate() {
        if let PatchOperation::Copy(copy) = operation {
            copied += document.pointer(copy.from.as_str()).map_or(0, size);
            if copied > MAX_COPIED {
                return Err(format!("patch: its operations copy more than {MAX_COPIED} bytes"));
            }
        }
        json_patch::patch(document, std::slice::from_ref(operation)).map_err(|error| {
            let path: String = operation.path().as_str().chars().take(200).collect();
            format!("patch: operation {number} at {path:?}: {}", error.kind)
        })?;
    }
    Ok(())
}

/// About as many bytes as a value takes.
fn size(value: &Value) -> usize {
    let own = size_of::<Value>();
    match value {
        Value::String(text) => own + text.len(),
        Value::Array(items) => own + items.iter().map(size).sum::<usize>(),
        Value::Object(map) => {
            own + map.iter().map(|(key, value)| own + key.len() + size(value)).sum::<usize>()
        }
        _ => own,
    }
}

impl Wanted {
    fn read(object: &Value) -> Result<Self, String> {
        check_type(object)?;
        let (metadata, status) = (part(object, "metadata")?, part(object, "status")?);
        Ok(Self {
            name: text(metadata, "metadata", "name")?,
            resource_version: text(metadata, "metadata", "resourceVersion")?,
            uid: text(metadata, "metadata", "uid")?,
            healthy: match status.map(|status| &status["healthy"]) {
                None | Some(Value::Null) => false,
                Some(Value::Bool(healthy)) => *healthy,
                Some(_) => return Err(mistyped("status.healthy", "a boolean")),
            },
            reason: text(status, "status", "healthyReason")?,
            unknown: unknown_fields("ClusterGateway", object),
        })
    }

    /// Whether the object is the one of the path (rule 223).
    ///
    /// # Errors
    /// [`Error::BadRequest`].
    pub(super) fn check_name(&self, name: &str) -> Result<(), Error> {
        if self.name == name {
            return Ok(());
        }
        let own: String = self.name.chars().take(253).collect();
        Err(Error::BadRequest(if own.is_empty() {
            format!("the name of the object ({name} based on URL) was undeterminable: name must be provided")
        } else {
            format!("the name of the object ({own}) does not match the name on the URL ({name})")
        }))
    }
}

fn check_type(object: &Value) -> Result<(), String> {
    let expected = group_version();
    let short = |text: String| text.chars().take(100).collect::<String>();
    let version = short(text(Some(object), "", "apiVersion")?);
    let kind = short(text(Some(object), "", "kind")?);
    if !version.is_empty() && version != expected {
        return Err(format!(
            "the API version in the data ({version}) does not match the expected API version ({expected})"
        ));
    }
    if !kind.is_empty() && kind != "ClusterGateway" {
        return Err(format!(
            "{kind} in version \"v1alpha1\" cannot be handled as a ClusterGateway: no kind \"{kind}\" is registered \
             for version \"{expected}\""
        ));
    }
    Ok(())
}

fn part<'v>(object: &'v Value, key: &str) -> Result<Option<&'v Value>, String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(part) if part.is_object() => Ok(Some(part)),
        Some(_) => Err(mistyped(key, "an object")),
    }
}

fn text(object: Option<&Value>, place: &str, key: &str) -> Result<String, String> {
    match object.and_then(|object| object.get(key)) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(mistyped(format!("{place}.{key}").trim_start_matches('.'), "a string")),
    }
}

fn mistyped(field: &str, expected: &str) -> String {
    format!(
        "ClusterGateway in version \"v1alpha1\" cannot be handled as a ClusterGateway: {field} is not {expected}"
    )
}

/// What is said of a body that is no object at all, with its beginning.
fn unrecognized(cause: &str, bytes: &[u8]) -> Error {
    Error::BadRequest(format!(
        "the object provided is unrecognized (must be of type ClusterGateway): couldn't get version/kind; json parse \
         error: {cause} ({})",
        summary(bytes)
    ))
}

/// The first thirty bytes: as they are if they could be JSON, else in hexadecimal.
fn summary(bytes: &[u8]) -> String {
    const LENGTH: usize = 30;
    let (start, more) = (&bytes[..bytes.len().min(LENGTH)], if bytes.len() > LENGTH { " ..." } else { "" });
    match start.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(start)),
        Some(_) => {
            let digits: String = start.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{digits}{more}")
        }
    }
}
