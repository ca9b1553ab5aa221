//! `uid` and `resourceVersion` of clusters that no API server keeps.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::super::Entry;

/// Gives an entry a `uid` that depends on its name and a `resourceVersion` that depends on all of it, so that it counts
/// as unchanged exactly while it is equal.
pub(super) fn stamp(mut entry: Entry) -> Entry {
    let metadata = &mut entry.secret.metadata;
    (metadata.uid, metadata.resource_version) = (None, None);
    let name = metadata.name.clone().unwrap_or_default();
    let mut content = Sha256::new();
    content.update(serde_json::to_vec(&entry.secret).expect("a Secret is JSON"));
    content.update([0]);
    content.update(entry.unusable.as_ref().map_or("", |unusable| unusable.0.as_str()));
    let version = u64::from_be_bytes(first(&content.finalize()));
    let uid = Uuid::from_bytes(first(&Sha256::digest(format!("cluster-gateway/cluster/{name}"))));
    entry.secret.metadata.resource_version = Some(version.to_string());
    entry.secret.metadata.uid = Some(uid.to_string());
    entry
}

fn first<const N: usize>(digest: &[u8]) -> [u8; N] {
    std::array::from_fn(|index| digest[index])
}
