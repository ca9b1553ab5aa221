//! A Secret manifest, read without ever repeating what is in it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use crate::manifest::Fields;

/// The Secret; `stringData` goes over `data`, as an API server does it. Unknown fields are refused.
pub(super) fn read(object: &Fields<'_>) -> Result<Secret, String> {
    object.only(&["apiVersion", "kind", "metadata", "type", "data", "stringData", "immutable"])?;
    let mut data = BTreeMap::new();
    for (key, encoded) in object.texts("data")? {
        let decoded = decode(encoded).ok_or_else(|| format!("{}.{key}: not base64", object.at("data")))?;
        data.insert(key.to_owned(), ByteString(decoded));
    }
    for (key, text) in object.texts("stringData")? {
        data.insert(key.to_owned(), ByteString(text.as_bytes().to_vec()));
    }
    let metadata =
        object.fields("metadata")?.ok_or_else(|| format!("{} is missing", object.at("metadata")))?;
    Ok(Secret { metadata: self::metadata(&metadata)?, data: Some(data), ..Secret::default() })
}

/// Decodes base64 that may be wrapped.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let dense: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(dense).ok()
}

fn metadata(metadata: &Fields<'_>) -> Result<ObjectMeta, String> {
    let owned = |key: &str| -> Result<Option<BTreeMap<String, String>>, String> {
        let texts = metadata.texts(key)?;
        let texts = texts.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
        Ok(Some(texts.collect()))
    };
    let created = metadata.text("creationTimestamp")?.map(|text| {
        let time = text.parse().map(Time);
        time.map_err(|_| {
            format!("{}: expected a time such as 2026-01-31T12:00:00Z", metadata.at("creationTimestamp"))
        })
    });
    Ok(ObjectMeta {
        name: metadata.text("name")?.map(str::to_owned),
        labels: owned("labels")?,
        annotations: owned("annotations")?,
        creation_timestamp: created.transpose()?,
        ..ObjectMeta::default()
    })
}
