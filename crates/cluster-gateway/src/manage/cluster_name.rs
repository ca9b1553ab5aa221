//! The name of a cluster in a path.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use super::{Code, Manage, Refusal};

/// Longest name of a Secret.
const LONGEST: usize = 253;

/// A name that a cluster can have, decoded once. Anything else is a cluster that there is not, whatever tricks it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterName(pub String);

impl FromRequestParts<Arc<Manage>> for ClusterName {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, manage: &Arc<Manage>) -> Result<Self, Refusal> {
        let Ok(Path(name)) = Path::<String>::from_request_parts(parts, manage).await else {
            return Err(Refusal::new(Code::NoCluster, "there is no cluster of such a name"));
        };
        if is_name(&name) { Ok(Self(name)) } else { Err(no_cluster(&name)) }
    }
}

/// There is no such cluster.
pub(super) fn no_cluster(name: &str) -> Refusal {
    let shown: String = name.escape_debug().take(LONGEST).collect();
    Refusal::new(Code::NoCluster, format!("there is no cluster \"{shown}\""))
        .remedy("Look at the list for the names that there are.")
}

fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let part = |part: &str| {
        let bytes = part.as_bytes();
        bytes.first().copied().is_some_and(inner)
            && bytes.last().copied().is_some_and(inner)
            && bytes.iter().all(|&byte| inner(byte) || byte == b'-')
    };
    name.len() <= LONGEST && name.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_secret_can_be_called_is_a_name() {
        let longest = "a".repeat(LONGEST);
        for good in ["a", "a.b-c", "0", longest.as_str()] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a..b",
            "A",
            "a_b",
            "-a",
            "a-",
            "a/b",
            "a%2Fb",
            "ä",
            "a\0",
            &format!("{longest}a"),
        ] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(!no_cluster("a\n\u{1b}b").message.contains('\n'));
    }
}
