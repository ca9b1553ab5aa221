//! Names of clusters: DNS labels, because they stand in paths, in kubeconfigs and in labels.

use sha2::{Digest, Sha256};

const MAX_LABEL: usize = 63;

/// Why a text cannot be a cluster's name.
pub(super) fn check(name: &str) -> Result<(), String> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let valid = !name.is_empty()
        && name.len() <= MAX_LABEL
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if valid {
        return Ok(());
    }
    Err(format!(
        "\"{}\" is no name for a cluster: it must be a DNS label (at most {MAX_LABEL} of a-z, 0-9 and -, none of them \
         - at an end)",
        name.escape_debug().take(100).collect::<String>()
    ))
}

/// A name made of a context's, which stays as it is if it is a name; `None` if nothing usable is in it. One that is too long keeps its beginning and ends in a
/// digest of the whole.
pub(super) fn slug(context: &str) -> Option<String> {
    if check(context).is_ok() {
        return Some(context.to_owned());
    }
    let lower = context.to_ascii_lowercase();
    let words =
        lower.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-");
    if slug.len() <= MAX_LABEL {
        return Some(slug).filter(|slug| !slug.is_empty());
    }
    let digest = Sha256::digest(context.as_bytes());
    let tail: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let head = slug[..MAX_LABEL - 1 - tail.len()].trim_end_matches('-');
    Some(format!("{head}-{tail}"))
}
