//! The four ways to change a part of an object.

mod strategic;

use json_patch::{Patch, PatchOperation};
use serde_json::Value;

use crate::status::{Result, Status};

pub(crate) use strategic::merge_by_key;

/// What the formats are called in `Content-Type`, for those who used another.
pub(crate) const ACCEPTED: &str = "application/json-patch+json, application/merge-patch+json, \
     application/strategic-merge-patch+json, application/apply-patch+yaml";

/// As many operations as Kubernetes takes.
const MAX_OPERATIONS: usize = 10_000;
/// What the copies of one patch may add up to, bytes.
const MAX_COPIED: usize = 3 << 20;

/// How a patch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Merge,
    Strategic,
    /// Server-side apply, done as a strategic merge without directives: nobody owns fields here.
    Apply,
}

impl Format {
    /// By the value of `Content-Type`.
    pub(crate) fn of(content_type: &str) -> Result<Self> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            other => Err(Status::unsupported_media(other, ACCEPTED)),
        }
    }
}

/// The object as `patch` changes it.
pub(crate) fn apply(format: Format, object: &Value, patch: &Value) -> Result<Value> {
    let mut changed = object.clone();
    match format {
        Format::Json => json(&mut changed, patch)?,
        Format::Merge => json_patch::merge(&mut changed, object_only(patch)?),
        Format::Strategic => strategic::merge(&mut changed, object_only(patch)?)?,
        Format::Apply => merge_by_key(&mut changed, object_only(patch)?),
    }
    Ok(changed)
}

fn object_only(patch: &Value) -> Result<&Value> {
    if patch.is_object() {
        return Ok(patch);
    }
    Err(Status::bad_request("error decoding patch: it must be an object"))
}

fn json(object: &mut Value, patch: &Value) -> Result<()> {
    let Patch(operations) = serde_json::from_value(patch.clone())
        .map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
    if operations.len() > MAX_OPERATIONS {
        let message = format!(
            "the allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        );
        return Err(Status::bad_request(message));
    }
    let mut copied = 0;
    for operation in operations {
        if let PatchOperation::Copy(copy) = &operation {
            let source = copy.from.resolve(object).map(|source| source.to_string().len());
            copied += source.unwrap_or_default();
        }
        if copied > MAX_COPIED {
            return Err(Status::unprocessable("the copies of the JSON patch are larger than 3145728 bytes"));
        }
        json_patch::patch(object, &[operation]).map_err(|error| {
            Status::unprocessable(format!(
                "the server rejected our request due to an error in our request: {error}"
            ))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn formats_are_told_by_their_media_type() {
        assert_eq!(Format::of("application/merge-patch+json; charset=utf-8").unwrap(), Format::Merge);
        assert_eq!(Format::of("application/apply-patch+yaml").unwrap(), Format::Apply);
        assert_eq!(Format::of("application/json").unwrap_err().code, 415);
    }

    #[test]
    fn json_patches_change_what_they_point_at() {
        let object = json!({"data": {"a": "1", "b": "2"}});
        let patch = json!([
            {"op": "test", "path": "/data/a", "value": "1"},
            {"op": "replace", "path": "/data/a", "value": "3"},
            {"op": "remove", "path": "/data/b"},
        ]);
        assert_eq!(apply(Format::Json, &object, &patch).unwrap(), json!({"data": {"a": "3"}}));
        let failing = json!([{"op": "test", "path": "/data/a", "value": "2"}]);
        assert_eq!(apply(Format::Json, &object, &failing).unwrap_err().code, 422);
        assert_eq!(apply(Format::Json, &object, &json!({"a": 1})).unwrap_err().code, 400);
    }

    #[test]
    fn json_patches_cannot_grow_without_bound() {
        let object = json!({"data": {"a": "x".repeat(1000)}});
        let copies: Vec<Value> = (0..40)
            .map(|index| json!({"op": "copy", "from": "/data", "path": format!("/data/b{index}")}))
            .collect();
        assert_eq!(apply(Format::Json, &object, &copies.into()).unwrap_err().code, 422);
        let tests = vec![json!({"op": "test", "path": "/data/b", "value": 1}); MAX_OPERATIONS + 1];
        assert_eq!(apply(Format::Json, &object, &tests.into()).unwrap_err().code, 400);
    }

    #[test]
    fn merge_patches_replace_lists_and_remove_by_null() {
        let object = json!({"spec": {"list": [1, 2], "a": 1, "b": {"c": 1}}});
        let patch = json!({"spec": {"list": [3], "a": null, "b": {"d": 2}}});
        let merged = apply(Format::Merge, &object, &patch).unwrap();
        assert_eq!(merged, json!({"spec": {"list": [3], "b": {"c": 1, "d": 2}}}));
        assert_eq!(apply(Format::Merge, &object, &json!([])).unwrap_err().code, 400);
    }
}
