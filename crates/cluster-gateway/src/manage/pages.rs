//! The console's files, which are in this program, and the headers that keep a browser from doing more with them than it should.

use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use axum::response::{IntoResponse, Response};

use super::{Code, Refusal};

/// One file of the console, as it is and smaller.
#[derive(Debug)]
struct File {
    path: &'static str,
    tag: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

const FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// What is shown where a program was built without the console.
const ABSENT: &str = "<!doctype html>\n<html lang=\"en\"><title>Cluster Gateway</title>\n\
    <h1>This program was built without the console</h1>\n\
    <p>The management API is here all the same, below <code>/api/v1/</code>. To have the console, too, build it and then the \
    program:</p>\n<pre>(cd console &amp;&amp; npm ci &amp;&amp; npm run build)\ncargo build --release</pre>\n</html>\n";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Everything outside of the API: a file of the console, or its page, which knows itself what pages there are.
pub(super) async fn page(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        let message = format!("{method} is not possible on {}", uri.path());
        return Refusal::new(Code::MethodNotAllowed, message).into_response();
    }
    let answer = match find(FILES, uri.path()) {
        Some(file) => file.answer(&headers),
        None => ([(CONTENT_TYPE, "text/html; charset=utf-8")], ABSENT).into_response(),
    };
    guarded(answer, uri.path())
}

fn find<'f>(files: &'f [File], path: &str) -> Option<&'f File> {
    let named = |name: &str| files.iter().find(|file| file.path == name);
    named(path).or_else(|| named("/index.html"))
}

impl File {
    fn answer(&self, headers: &HeaderMap) -> Response {
        let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == self.tag) {
            return (StatusCode::NOT_MODIFIED, self.tags()).into_response();
        }
        let (body, encoding) = self.packed(headers);
        let mut response = (self.tags(), [(CONTENT_TYPE, kind(self.path))], body).into_response();
        if let Some(encoding) = encoding {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    }

    fn tags(&self) -> [(HeaderName, &'static str); 2] {
        [(ETAG, self.tag), (VARY, "accept-encoding")]
    }

    fn packed(&self, headers: &HeaderMap) -> (&'static [u8], Option<&'static str>) {
        let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match (self.brotli, self.gzip) {
            (Some(bytes), _) if accepts(accepted, "br") => (bytes, Some("br")),
            (_, Some(bytes)) if accepts(accepted, "gzip") => (bytes, Some("gzip")),
            _ => (self.plain, None),
        }
    }
}

/// Whether a list of encodings names this one, and not with the weight 0.
fn accepts(list: &str, encoding: &str) -> bool {
    list.split(',').any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().trim_start_matches("q=");
        name.trim().eq_ignore_ascii_case(encoding) && weight.parse() != Ok(0.0_f32)
    })
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json" | "webmanifest") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn guarded(mut response: Response, path: &str) -> Response {
    // The names of these files carry a hash of what is in them. A page that is answered in place of one is not kept.
    let is_page =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let cache = match path.starts_with("/assets/") && !is_page {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, cache),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: &[File] = &[
        File { path: "/assets/a.js", tag: "\"1\"", plain: b"plain", brotli: Some(b"br"), gzip: Some(b"gz") },
        File { path: "/index.html", tag: "\"2\"", plain: b"page", brotli: None, gzip: None },
    ];

    fn asked(path: &str, headers: &[(HeaderName, &'static str)]) -> Response {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        guarded(find(SOME, path).unwrap().answer(&headers), path)
    }

    #[test]
    fn the_smallest_form_that_is_accepted_is_sent() {
        let encoding = |accepted| {
            let answer = asked("/assets/a.js", &[(ACCEPT_ENCODING, accepted)]);
            answer.headers().get(CONTENT_ENCODING).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(encoding("gzip, deflate, br"), Some("br".to_owned()));
        assert_eq!(encoding("gzip;q=0.5"), Some("gzip".to_owned()));
        assert_eq!(encoding("br;q=0, identity"), None);
        assert_eq!(encoding("brotli"), None);
    }

    #[test]
    fn every_path_that_is_no_file_is_the_page_and_only_files_with_a_hash_are_kept() {
        for path in ["/", "/clusters/a.b", "/clusters/a.b/doctor", "/assets/gone.js", "/../etc/passwd"] {
            let answer = asked(path, &[]);
            assert_eq!(answer.headers()[CONTENT_TYPE], "text/html; charset=utf-8", "{path}");
            assert_eq!(answer.headers()[CACHE_CONTROL], "no-cache", "{path}");
            assert_eq!(answer.headers()[CONTENT_SECURITY_POLICY], POLICY, "{path}");
        }
        let kept = asked("/assets/a.js", &[]);
        assert_eq!(kept.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert_eq!(kept.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
    }

    #[test]
    fn what_the_browser_has_is_not_sent_again() {
        assert_eq!(asked("/", &[(IF_NONE_MATCH, "\"1\", W/\"2\"")]).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(asked("/", &[(IF_NONE_MATCH, "\"1\"")]).status(), StatusCode::OK);
    }

    #[test]
    fn the_embedded_files_are_what_the_page_names() {
        let Some(page) = FILES.iter().find(|file| file.path == "/index.html") else {
            assert!(FILES.is_empty(), "a console without a page");
            return;
        };
        let page = std::str::from_utf8(page.plain).unwrap();
        let named: Vec<&str> = page.split('"').filter(|part| part.starts_with("/assets/")).collect();
        assert!(!named.is_empty());
        for name in named {
            let file =
                FILES.iter().find(|file| file.path == name).unwrap_or_else(|| panic!("{name} is missing"));
            assert!(file.brotli.is_some() && file.gzip.is_some(), "{name} is there only as it is");
        }
    }
}
