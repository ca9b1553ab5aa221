//! What a cluster says of itself before anything is written.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::body::Body;
use crate::registry::{ClusterPolicy, Entry, Upstream};

/// Annotation in which KubeVela keeps a member's version.
pub const ANNOTATION_VERSION: &str = concat!(cluster_gateway_client::group!(), "/cluster-version");
/// How long the answer may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Bytes of it that are read.
const MOST: usize = 64 * 1024;

/// A member's version, as KubeVela keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterVersion {
    /// `1`.
    pub major: String,
    /// `34`, or `34+`.
    pub minor: String,
    /// `v1.34.1`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub git_version: String,
    /// `linux/amd64`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub platform: String,
}

impl ClusterVersion {
    /// Reads the answer to `GET /version`.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let version: Self = serde_json::from_slice(body).ok()?;
        let sound = |text: &String| text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic());
        let all_sound =
            [&version.major, &version.minor, &version.git_version, &version.platform].into_iter().all(sound);
        all_sound.then_some(version)
    }
}

/// The version of a cluster that can be reached. `None`: it does not say.
pub async fn member_version(entry: Entry, policy: &ClusterPolicy) -> Option<ClusterVersion> {
    let cluster = policy.read(entry, None);
    let upstream = cluster.upstream.as_ref().ok()?;
    timeout(LIMIT, ask(upstream)).await.ok()?
}

async fn ask(upstream: &Upstream) -> Option<ClusterVersion> {
    let way = upstream.way().await.ok()?;
    let mut headers = HeaderMap::new();
    let user_agent = concat!("cluster-gateway/", env!("CARGO_PKG_VERSION"), " (join)");
    headers.insert(header::USER_AGENT, HeaderValue::from_static(user_agent));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    way.attach(&mut headers);
    let mut request = Request::new(Body::empty());
    // The base path has been parsed out of a URL.
    *request.uri_mut() = format!("{}/version", upstream.base_path).parse().unwrap_or_default();
    *request.headers_mut() = headers;
    let answer = way.transport.send(request).await.ok()?;
    if answer.status() != StatusCode::OK {
        return None;
    }
    ClusterVersion::read(&Limited::new(answer.into_body(), MOST).collect().await.ok()?.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_kept_as_kubevela_does() {
        let body =
            br#"{"major":"1","minor":"34","gitVersion":"v1.34.1","gitCommit":"x","platform":"linux/amd64"}"#;
        let version = ClusterVersion::read(body).unwrap();
        let kept = r#"{"major":"1","minor":"34","gitVersion":"v1.34.1","platform":"linux/amd64"}"#;
        assert_eq!(serde_json::to_string(&version).unwrap(), kept);
        for bad in ["", "{}", r#"{"major":"1","minor":"3 4"}"#, "[]"] {
            assert_eq!(ClusterVersion::read(bad.as_bytes()), None, "{bad}");
        }
    }
}
