//! The grammar of a proxied path: `/apis/G/V/clustergateways/NAME/proxy/PATH`.
//!
//! A path is parsed once. What comes out is what is authorized and what is sent, byte for byte: nothing is cleaned,
//! decoded or re-encoded except that empty segments are collapsed (contract rules 105, 107-109, 138-141).

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;

/// The cluster and the member's own path that a proxied request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyPath {
    /// Name of the registered cluster, percent-decoded. Not validated as a DNS name: an odd name is simply unknown.
    pub cluster: String,
    /// Path at the member, still escaped as the client wrote it, without empty segments, always with a leading slash.
    pub path: String,
}

/// Why a proxied path is refused. Each is the caller's fault and answered with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// A segment is, after decoding, `.` or `..`.
    DotSegment,
    /// The decoded path holds a NUL or another control character.
    ControlCharacter,
    /// The decoded path holds a backslash.
    Backslash,
    /// A percent sign is not followed by two hexadecimal digits.
    BadEscape,
    /// An encoded slash or percent sign stands where it decides which object is meant.
    EncodedDelimiter,
    /// A percent sign is itself encoded, over and over.
    EncodedTooOften,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DotSegment => "the path must not contain a \".\" or \"..\" segment, encoded or not",
            Self::ControlCharacter => "the path must not contain control characters",
            Self::Backslash => "the path must not contain a backslash",
            Self::BadEscape => "the path contains a \"%\" that is not followed by two hexadecimal digits",
            Self::EncodedTooOften => "the path must not contain a percent sign that is encoded more than eight times",
            Self::EncodedDelimiter => {
                "the path must not contain \"%2F\" or \"%25\" in the segments that name an API, a namespace or an object"
            }
        })
    }
}

impl std::error::Error for PathError {}

/// Segments before the cluster's name, as they must be spelt.
const PREFIX: &str = concat!("/apis/", crate::group!(), "/", crate::version!(), "/clustergateways/");

impl ProxyPath {
    /// Reads an escaped request path. `None`: the path is not a proxied one.
    ///
    /// The part up to `proxy` must be spelt without escapes, except for the cluster's name, so that no two parsers can
    /// disagree on which cluster is meant. `…/proxy` alone means the member's `/` (rule 141).
    ///
    /// # Errors
    /// [`PathError`] if the member's path could be read in two ways.
    pub fn parse(raw: &str) -> Result<Option<Self>, PathError> {
        let Some(rest) = raw.strip_prefix(PREFIX) else { return Ok(None) };
        let Some((name, rest)) = rest.split_once('/') else { return Ok(None) };
        let path = match rest.strip_prefix("proxy") {
            Some("") => "/",
            Some(path) if path.starts_with('/') => path,
            _ => return Ok(None),
        };
        if name.is_empty() {
            return Ok(None);
        }
        let cluster = decode_name(name)?;
        Ok(Some(Self { cluster, path: canonical(path)? }))
    }

    /// Writes the path again, as a client sends it to the hub: the inverse of [`ProxyPath::parse`].
    ///
    /// ```
    /// use cluster_gateway_client::ProxyPath;
    /// let path = ProxyPath { cluster: "edge".into(), path: "/api/v1/pods".into() };
    /// assert_eq!(path.to_string(), "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/edge/proxy/api/v1/pods");
    /// ```
    #[must_use]
    pub fn prefix(cluster: &str) -> String {
        let name = percent_encoding::utf8_percent_encode(cluster, NAME);
        format!("{PREFIX}{name}/proxy")
    }
}

/// What is escaped in a cluster's name: everything that is not unreserved in RFC 3986.
const NAME: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl fmt::Display for ProxyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::prefix(&self.cluster))?;
        f.write_str(&self.path)
    }
}

fn decode_name(raw: &str) -> Result<String, PathError> {
    let name = decode(raw)?;
    check_segment(&name)?;
    if name.contains(['/', '%']) {
        return Err(PathError::EncodedDelimiter);
    }
    Ok(name.into_owned())
}

/// Collapses empty segments, keeps a trailing slash, and refuses what two parsers could read differently.
fn canonical(raw: &str) -> Result<String, PathError> {
    let mut path = String::with_capacity(raw.len());
    let mut position = Position::Start;
    for segment in raw.split('/').filter(|segment| !segment.is_empty()) {
        let decoded = decode(segment)?;
        check_segment(&decoded)?;
        position = position.next(&decoded);
        if position.names_something() && decoded.contains(['/', '%']) {
            return Err(PathError::EncodedDelimiter);
        }
        path.push('/');
        path.push_str(segment);
    }
    if raw.ends_with('/') {
        path.push('/');
    }
    Ok(path)
}

/// Percent-decodes once; text that is not UTF-8 afterwards is compared byte for byte by servers and is left to them.
fn decode(segment: &str) -> Result<Cow<'_, str>, PathError> {
    if !segment.contains('%') {
        return Ok(Cow::Borrowed(segment));
    }
    let bytes = segment.as_bytes();
    for (index, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        let digits = bytes.get(index + 1..index + 3).ok_or(PathError::BadEscape)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(PathError::BadEscape);
        }
    }
    Ok(percent_decode_str(segment).decode_utf8_lossy())
}

/// How often a segment is decoded in search of dots. Each layer can be as short as two bytes, so without a bound a long
/// path would cost the square of its length.
const MAX_DECODINGS: u32 = 8;

/// Refuses dot segments however often they were encoded, control characters and backslashes.
fn check_segment(decoded: &str) -> Result<(), PathError> {
    if decoded.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return Err(PathError::ControlCharacter);
    }
    if decoded.contains('\\') {
        return Err(PathError::Backslash);
    }
    let mut text = Cow::Borrowed(decoded);
    for _ in 0..MAX_DECODINGS {
        if text.split(['/', '\\']).any(|part| part == "." || part == "..") {
            return Err(PathError::DotSegment);
        }
        if !text.contains('%') {
            return Ok(());
        }
        let again = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if again == *text {
            return Ok(());
        }
        text = Cow::Owned(again);
    }
    Err(PathError::EncodedTooOften)
}

/// Where a segment stands in a Kubernetes path, as `RequestInfo` reads it (rules 101-104).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    Start,
    /// `n` segments that are still looked at follow.
    Named(u8),
    /// Not looked at: behind the subresource, or a path that is no resource.
    Opaque,
}

impl Position {
    /// `/api/V/namespaces/N/R/NAME/SUB` and `/apis/G/V/namespaces/N/R/NAME/SUB` are the longest forms; a special verb
    /// (`watch`, `proxy`) before `namespaces` makes them one segment longer.
    fn next(self, decoded: &str) -> Self {
        // As `RequestInfo` does it, slashes before the first name are not there.
        match (self, decoded.split('/').find(|part| !part.is_empty())) {
            (Self::Start, None) => Self::Start,
            (Self::Start, Some("api")) => Self::Named(6),
            (Self::Start, Some("apis")) => Self::Named(7),
            (Self::Named(5), Some("watch" | "proxy")) => Self::Named(5),
            (Self::Start | Self::Opaque | Self::Named(0), _) => Self::Opaque,
            (Self::Named(left), _) => Self::Named(left - 1),
        }
    }

    fn names_something(self) -> bool {
        matches!(self, Self::Named(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(rest: &str) -> Result<Option<(String, String)>, PathError> {
        let path = format!("/apis/cluster.core.oam.dev/v1alpha1/clustergateways/{rest}");
        Ok(ProxyPath::parse(&path)?.map(|path| (path.cluster, path.path)))
    }

    fn member_path(rest: &str) -> Result<String, PathError> {
        Ok(parsed(&format!("c/proxy{rest}"))?.expect("a proxied path").1)
    }

    #[test]
    fn other_paths_are_not_proxied() {
        for rest in ["", "c", "c/", "c/health", "c/proxyx", "/proxy", "c/proxies/x"] {
            assert_eq!(parsed(rest), Ok(None), "{rest}");
        }
        assert_eq!(ProxyPath::parse("/apis/cluster.core.oam.dev/v1/clustergateways/c/proxy/x"), Ok(None));
    }

    #[test]
    fn rule_105_the_subpath_keeps_its_trailing_slash() {
        assert_eq!(member_path("/").as_deref(), Ok("/"));
        assert_eq!(member_path("/api/v1/").as_deref(), Ok("/api/v1/"));
        assert_eq!(member_path("/api/v1").as_deref(), Ok("/api/v1"));
    }

    #[test]
    fn rule_141_a_bare_proxy_is_the_members_root() {
        assert_eq!(member_path("").as_deref(), Ok("/"));
    }

    #[test]
    fn rule_107_empty_segments_collapse() {
        assert_eq!(member_path("//api///v1//").as_deref(), Ok("/api/v1/"));
    }

    #[test]
    fn rule_108_dot_segments_are_refused_however_encoded() {
        for path in [
            "/api/v1/namespaces/a/../kube-system/secrets/s",
            "/api/v1/namespaces/a/%2e%2e/kube-system",
            "/api/v1/namespaces/a/%2E./kube-system",
            "/api/v1/namespaces/a/..%2fkube-system",
            "/api/./v1",
            "/x/%252e%252e/y",
            "/x/%25252e./y",
            "/..",
        ] {
            assert_eq!(member_path(path), Err(PathError::DotSegment), "{path}");
        }
    }

    #[test]
    fn rule_108_semicolons_and_trailing_dots_pass_as_they_are() {
        for path in ["/api/v1/pods;x", "/a.../b", "/api/v1/namespaces/a./pods", "/...", "/a/.hidden"] {
            assert_eq!(member_path(path).as_deref(), Ok(path));
        }
    }

    #[test]
    fn rule_109_the_base_path_cannot_be_left() {
        assert_eq!(member_path("/../c-2/api"), Err(PathError::DotSegment));
    }

    #[test]
    fn rule_107_control_characters_backslashes_and_bad_escapes_are_refused() {
        assert_eq!(member_path("/a%00b"), Err(PathError::ControlCharacter));
        assert_eq!(member_path("/a%0d%0ab"), Err(PathError::ControlCharacter));
        assert_eq!(member_path("/a%5cb"), Err(PathError::Backslash));
        assert_eq!(member_path("/a\\b"), Err(PathError::Backslash));
        assert_eq!(member_path("/a%zz"), Err(PathError::BadEscape));
        assert_eq!(member_path("/a%2"), Err(PathError::BadEscape));
    }

    #[test]
    fn rule_107_encoded_delimiters_are_refused_where_they_name_something() {
        for path in [
            "/api/v1/namespaces/a%2fb/pods",
            "/apis/apps/v1/deployments/x%25y",
            "/api%2fv1",
            "/%61pi%2fv1",
            "/%2fapi/v1/secrets",
            "/%2f%2f/%2Fapis/apps/v1/deployments",
            "/%2f/api/v1/namespaces/a%2fsecrets",
        ] {
            assert_eq!(member_path(path), Err(PathError::EncodedDelimiter), "{path}");
        }
    }

    #[test]
    fn rule_107_what_is_encoded_over_and_over_is_refused_soon() {
        assert_eq!(member_path(&format!("/x/%{}41", "25".repeat(6))).map(drop), Ok(()));
        assert_eq!(member_path(&format!("/x/%{}41", "25".repeat(30_000))), Err(PathError::EncodedTooOften));
    }

    #[test]
    fn rule_140_escapes_are_kept_byte_for_byte() {
        for path in [
            "/a%2Fb%20c%25/d;e/f%3Fg",
            "/api/v1/namespaces/n/services/s/proxy/x%2Fy%25",
            "/%c3%a4",
            "/%ff",
            "/a+b%2b",
        ] {
            assert_eq!(member_path(path).as_deref(), Ok(path));
        }
    }

    #[test]
    fn a_name_is_decoded_once_and_cannot_hold_a_slash() {
        assert_eq!(parsed("m%31/proxy/x"), Ok(Some(("m1".into(), "/x".into()))));
        assert_eq!(parsed("m1%2fproxy/proxy/x"), Err(PathError::EncodedDelimiter));
        assert_eq!(parsed("../proxy/x"), Err(PathError::DotSegment));
    }

    #[test]
    fn writing_and_parsing_are_inverse() {
        for cluster in ["edge", "a.b-c_d", "with space", "ü"] {
            let path = ProxyPath { cluster: cluster.into(), path: "/api/v1/pods".into() };
            assert_eq!(ProxyPath::parse(&path.to_string()), Ok(Some(path)));
        }
    }
}
