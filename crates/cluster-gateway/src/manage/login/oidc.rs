//! Signing in at an OpenID Connect provider. What must be known when somebody comes back lies sealed in a cookie of theirs.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use http::request::Parts;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::forgery;
use super::session::{Secret, moment, seconds};
use crate::authn::{AuthorizationCode, Begun, LoginError, OidcConfig, words};
use crate::request::query_value;

/// What cannot stand in a header, besides what is not ASCII, or means something in a page.
const INVISIBLE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>');

/// Where the provider leads back to.
pub const CALLBACK: &str = "/api/v1/login/oidc/callback";
/// How long signing in at the provider may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// Bytes of the path to return to, at most.
const MAX_RETURN: usize = 1024;
/// Bytes of a code, at most.
const MAX_CODE: usize = 4096;

/// Where people sign in.
#[derive(Debug, Clone)]
pub struct LoginOidcConfig {
    /// The provider, and how claims become a user; its client is the console.
    pub issuer: OidcConfig,
    /// `--login-oidc-client-secret-file`; `None`: a public client.
    pub client_secret_file: Option<PathBuf>,
    /// `--login-oidc-scopes`: what is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// `--login-oidc-redirect-url`: [`CALLBACK`] as browsers and the provider know it. `None`: at the host that the browser
    /// asks for.
    pub redirect_url: Option<String>,
    /// `--login-oidc-name`: what people call the provider.
    pub name: String,
}

/// Where people sign in, at work.
#[derive(Debug)]
pub(super) struct OidcLogin {
    pub(super) client: AuthorizationCode,
    pub(super) redirect_url: Option<String>,
    pub(super) name: String,
}

/// What must be known when somebody comes back.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    #[serde(rename = "s")]
    state: String,
    #[serde(rename = "n")]
    nonce: String,
    #[serde(rename = "v")]
    verifier: String,
    /// Where they wanted to go.
    #[serde(rename = "r")]
    pub(super) to: String,
    /// Where the provider was told to lead.
    #[serde(rename = "u")]
    redirect_uri: String,
    #[serde(rename = "e")]
    expires: u64,
}

/// What the provider has somebody bring.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Brought {
    Code(String),
    /// They could not, or would not.
    Refusal(String),
}

impl OidcLogin {
    pub(super) fn new(config: LoginOidcConfig) -> Result<Self, Vec<String>> {
        let LoginOidcConfig { issuer, client_secret_file, scopes, redirect_url, name } = config;
        let client = AuthorizationCode::new(issuer, &scopes, client_secret_file)?;
        Ok(Self { client, redirect_url, name })
    }

    /// Scheme and host of the console, if they are set.
    pub(super) fn origin(&self) -> Option<String> {
        let uri: http::Uri = self.redirect_url.as_deref()?.parse().ok()?;
        Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
    }

    /// A new sign-in, which is to lead to the path `to`. `None`: it is not known where the provider is to lead back to, or
    /// there is no randomness.
    pub(super) fn begin(&self, parts: &Parts, secure: bool, to: &str, now: SystemTime) -> Option<State> {
        let redirect_uri = match &self.redirect_url {
            Some(url) => url.clone(),
            None => {
                let scheme = if secure { "https" } else { "http" };
                format!("{scheme}://{}{CALLBACK}", forgery::host(parts)?)
            }
        };
        let random = || Secret::random().map(|secret| secret.text());
        Some(State {
            state: random()?,
            nonce: random()?,
            verifier: random()?,
            to: return_path(to),
            redirect_uri,
            expires: seconds(now + PATIENCE),
        })
    }
}

impl State {
    /// `None`: it is none of this release, or too old.
    pub(super) fn from_bytes(bytes: &[u8], now: SystemTime) -> Option<Self> {
        let state: Self = serde_json::from_slice(bytes).ok()?;
        (now < moment(state.expires)?).then_some(state)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn begun(&self) -> Begun<'_> {
        Begun {
            state: &self.state,
            nonce: &self.nonce,
            verifier: &self.verifier,
            redirect_uri: &self.redirect_uri,
        }
    }

    /// What is brought back in the query of [`CALLBACK`], if it belongs to this sign-in at this provider.
    pub(super) fn brought(&self, query: &str, issuer: &str) -> Option<Brought> {
        let state = query_value(query, "state")?;
        aws_lc_rs::constant_time::verify_slices_are_equal(self.state.as_bytes(), state.as_bytes()).ok()?;
        // RFC 9207: whoever says who they are must be the provider that we asked.
        if query_value(query, "iss").is_some_and(|named| named != issuer) {
            return None;
        }
        if let Some(error) = query_value(query, "error") {
            let description = query_value(query, "error_description");
            return Some(Brought::Refusal(words(&error, description.as_deref())));
        }
        let code = query_value(query, "code").filter(|code| !code.is_empty() && code.len() <= MAX_CODE)?;
        Some(Brought::Code(code.into_owned()))
    }
}

/// A path of the console, in characters that a header takes. Whatever could lead elsewhere is the first page: browsers take
/// `\` for `/`, and pass over tabs and line ends.
pub(super) fn return_path(asked: &str) -> String {
    let inside = asked.starts_with('/')
        && !asked.starts_with("//")
        && !asked.contains(|character: char| character == '\\' || character.is_control());
    let page = !["/login", "/api"].iter().any(|start| {
        asked.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    });
    if !inside || !page || asked.len() > MAX_RETURN {
        return "/".to_owned();
    }
    utf8_percent_encode(asked, INVISIBLE).to_string()
}

/// What people are told if it did not work.
pub(super) fn told(error: &LoginError) -> String {
    match error {
        LoginError::Secret(_) => "signing in is not set up right; the server's log says more".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_returns_to_a_path_of_the_console_or_to_the_first_page() {
        for (asked, expected) in [
            ("/", "/"),
            ("/clusters/a.b", "/clusters/a.b"),
            ("/?label=env%3Dprod&sort=name", "/?label=env%3Dprod&sort=name"),
            ("/clusters/ü x", "/clusters/%C3%BC%20x"),
            ("/loginx", "/loginx"),
            ("/apix", "/apix"),
            ("", "/"),
            ("clusters", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/x\\..\\evil", "/"),
            ("/\t/evil.example", "/"),
            ("/\r\nSet-Cookie: a=b", "/"),
            ("https://evil.example", "/"),
            ("javascript:alert(1)", "/"),
            (" /x", "/"),
            ("/login", "/"),
            ("/login?return=/x", "/"),
            ("/api/v1/session", "/"),
        ] {
            assert_eq!(return_path(asked), expected, "{asked:?}");
        }
        assert_eq!(return_path(&format!("/{}", "x".repeat(MAX_RETURN))), "/");
    }

    #[test]
    fn what_is_brought_back_must_belong_to_the_sign_in() {
        let login = OidcLogin::new(LoginOidcConfig {
            issuer: OidcConfig {
                issuer_url: "https://sso.example".to_owned(),
                client_id: "console".to_owned(),
                ..OidcConfig::default()
            },
            client_secret_file: None,
            scopes: Vec::new(),
            redirect_url: None,
            name: String::new(),
        })
        .unwrap();
        let now = moment(1_800_000_000).unwrap();
        let parts = http::Request::get("/").header("host", "gw:8443").body(()).unwrap().into_parts().0;
        let state = login.begin(&parts, true, "/x", now).unwrap();
        assert_eq!(state.redirect_uri, "https://gw:8443/api/v1/login/oidc/callback");
        let brought = |query: &str| state.brought(query, login.client.issuer());
        let own = &state.state;
        assert_eq!(brought(&format!("code=c&state={own}")), Some(Brought::Code("c".to_owned())));
        let iss = "iss=https%3A%2F%2Fsso.example";
        assert_eq!(brought(&format!("code=c&state={own}&{iss}")), Some(Brought::Code("c".to_owned())));
        let refused = brought(&format!("error=access_denied&error_description=no%20way&state={own}"));
        assert_eq!(refused, Some(Brought::Refusal("no way (access_denied)".to_owned())));
        for query in [
            String::new(),
            "code=c".to_owned(),
            "code=c&state=".to_owned(),
            format!("code=c&state={}", state.nonce),
            format!("code=&state={own}"),
            format!("state={own}"),
            format!("code={}&state={own}", "c".repeat(MAX_CODE + 1)),
            format!("code=c&state={own}&iss=https%3A%2F%2Fevil.example"),
            "error=access_denied".to_owned(),
        ] {
            assert_eq!(brought(&query), None, "{query}");
        }
        let bytes = state.to_bytes();
        assert!(State::from_bytes(&bytes, now + PATIENCE - Duration::from_secs(1)).is_some());
        assert!(State::from_bytes(&bytes, now + PATIENCE).is_none());
    }
}
