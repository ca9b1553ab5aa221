//! Identity of objects that are shown of other objects.

use sha2::{Digest, Sha256};
use uuid::Builder;

/// `metadata.uid` of the object that `resource` shows of the Secret with this uid; `None` if that has none. Not the
/// Secret's own: the hub's garbage collector takes two objects with one uid for one object.
pub(super) fn uid(resource: &str, of: &str) -> Option<String> {
    if of.is_empty() {
        return None;
    }
    let digest = Sha256::digest(format!("cluster-gateway/{resource}/{of}"));
    let bytes = std::array::from_fn(|index| digest[index]);
    Some(Builder::from_custom_bytes(bytes).into_uuid().to_string())
}
