//! Signing in at an issuer: the authorization code flow with PKCE (OpenID Connect Core 3.1, RFC 7636).
//!
//! Nothing is remembered between the two steps: whoever begins keeps state, nonce and verifier.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::discovery::{self, Discovery};
use super::jwt::Jwt;
use super::{Oidc, OidcConfig, claims};
use crate::authn::UserInfo;

/// What stays as it is in a form (RFC 3986, 2.3).
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// For how long what the issuer says of itself holds.
const HOLDS: Duration = Duration::from_secs(5 * 60);
/// For how long a failure to ask it does.
const FAILURE_HOLDS: Duration = Duration::from_secs(1);
/// Characters of the issuer's own words that people are shown.
const MAX_SHOWN: usize = 200;

/// The client of an issuer at which people sign in.
#[derive(Debug)]
pub(crate) struct AuthorizationCode {
    issuer: Arc<Oidc>,
    scopes: String,
    /// `None`: a public client.
    client_secret_file: Option<PathBuf>,
    known: Mutex<Option<Known>>,
}

/// When the issuer was asked about itself, and what it said.
#[derive(Debug)]
struct Known {
    at: Instant,
    found: Result<Arc<Discovery>, String>,
}

/// What is made anew for each sign-in, and where its answer is to go.
#[derive(Debug)]
pub(crate) struct Begun<'a> {
    pub(crate) state: &'a str,
    pub(crate) nonce: &'a str,
    /// PKCE's secret.
    pub(crate) verifier: &'a str,
    pub(crate) redirect_uri: &'a str,
}

/// Somebody who has signed in.
#[derive(Debug)]
pub(crate) struct SignedIn {
    pub(crate) user: Arc<UserInfo>,
    /// When the ID token ends.
    pub(crate) expires: SystemTime,
}

/// Why somebody could not sign in: one line for people. No text holds a code, a token or a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoginError {
    #[error("the sign-in service cannot be asked: {0}")]
    Unavailable(String),
    #[error("the sign-in service refuses: {0}")]
    Refused(String),
    #[error("the sign-in service's token is not accepted: {0}")]
    Token(String),
    #[error("{0}")]
    Secret(String),
}

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: Option<String>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
    error_description: Option<String>,
}

impl AuthorizationCode {
    /// `scopes`: besides `openid`.
    ///
    /// # Errors
    /// All mistakes, see [`OidcConfig::check`].
    pub(crate) fn new(
        config: OidcConfig,
        scopes: &[String],
        client_secret_file: Option<PathBuf>,
    ) -> Result<Self, Vec<String>> {
        let others =
            scopes.iter().map(String::as_str).filter(|scope| !scope.is_empty() && *scope != "openid");
        let scopes = std::iter::once("openid").chain(others).collect::<Vec<_>>().join(" ");
        Ok(Self { issuer: Arc::new(Oidc::new(config)?), scopes, client_secret_file, known: Mutex::default() })
    }

    fn config(&self) -> &OidcConfig {
        &self.issuer.config
    }

    /// The issuer, as tokens name it.
    pub(crate) fn issuer(&self) -> &str {
        &self.config().issuer_url
    }

    /// What is wrong with the files of the settings.
    pub(crate) async fn check_files(&self) -> Vec<String> {
        let mut problems = self.issuer.check_files().await;
        problems.extend(self.client_secret().await.err().map(|error| error.to_string()));
        problems
    }

    /// Follows the issuer's keys for ever.
    pub(crate) async fn watch(&self) {
        self.issuer.watch().await;
    }

    /// Where somebody is sent to sign in.
    ///
    /// # Errors
    /// [`LoginError::Unavailable`].
    pub(crate) async fn authorization_url(&self, begun: &Begun<'_>) -> Result<String, LoginError> {
        let discovery = self.discovery().await?;
        let endpoint = &discovery.authorization_endpoint;
        discovery::checked(endpoint)
            .map_err(|problem| LoginError::Unavailable(format!("its authorization_endpoint {problem}")))?;
        let challenge = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, begun.verifier.as_bytes());
        let query = form(&[
            ("response_type", "code"),
            ("client_id", &self.config().client_id),
            ("redirect_uri", begun.redirect_uri),
            ("scope", &self.scopes),
            ("state", begun.state),
            ("nonce", begun.nonce),
            ("code_challenge", &URL_SAFE_NO_PAD.encode(challenge)),
            ("code_challenge_method", "S256"),
        ]);
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        Ok(format!("{endpoint}{separator}{query}"))
    }

    /// Who has come back with a code.
    ///
    /// # Errors
    /// [`LoginError`].
    pub(crate) async fn finish(&self, code: &str, begun: &Begun<'_>) -> Result<SignedIn, LoginError> {
        let token = self.exchange(code, begun).await?;
        let refused = LoginError::Token;
        let token = Jwt::parse(&token).ok_or_else(|| refused("it is no signed token".to_owned()))?;
        let user = self.issuer.user(&token, SystemTime::now()).await.map_err(refused)?;
        claims::check_login(&token, &self.config().client_id, begun.nonce).map_err(refused)?;
        let expires = claims::expires(&token).map_err(refused)?;
        Ok(SignedIn { user: UserInfo::completed(Arc::new(user)), expires })
    }

    /// The ID token for a code.
    async fn exchange(&self, code: &str, begun: &Begun<'_>) -> Result<String, LoginError> {
        let discovery = self.discovery().await?;
        let (client_id, secret) = (&self.config().client_id, self.client_secret().await?);
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", begun.redirect_uri),
            ("code_verifier", begun.verifier),
        ];
        let authorization = match &secret {
            Some(secret) if in_header(&discovery) => Some(basic(client_id, secret)?),
            Some(secret) => {
                fields.extend([("client_id", client_id.as_str()), ("client_secret", secret)]);
                None
            }
            None => {
                fields.push(("client_id", client_id));
                None
            }
        };
        let answer = discovery::post(self.config(), &discovery.token_endpoint, form(&fields), authorization);
        let (status, body) = answer.await.map_err(LoginError::Unavailable)?;
        if status == StatusCode::OK {
            let token = serde_json::from_slice::<TokenAnswer>(&body).ok().and_then(|answer| answer.id_token);
            return token.ok_or_else(|| LoginError::Refused("its answer holds no ID token".to_owned()));
        }
        Err(match serde_json::from_slice::<ErrorAnswer>(&body) {
            Ok(answer) => LoginError::Refused(words(&answer.error, answer.error_description.as_deref())),
            Err(_) => {
                LoginError::Unavailable(format!("{}: the answer is {status}", discovery.token_endpoint))
            }
        })
    }

    /// What the issuer says of itself, now or not long ago. Whoever comes meanwhile waits for the one question.
    async fn discovery(&self) -> Result<Arc<Discovery>, LoginError> {
        let mut known = self.known.lock().await;
        if let Some(Known { at, found }) = known.as_ref()
            && at.elapsed() < if found.is_ok() { HOLDS } else { FAILURE_HOLDS }
        {
            return found.clone().map_err(LoginError::Unavailable);
        }
        let found = discovery::discovery(self.config()).await.map(Arc::new);
        *known = Some(Known { at: Instant::now(), found: found.clone() });
        found.map_err(LoginError::Unavailable)
    }

    /// Read each time: it can be changed while people work.
    async fn client_secret(&self) -> Result<Option<String>, LoginError> {
        let Some(path) = &self.client_secret_file else { return Ok(None) };
        let wrong = |problem: &dyn std::fmt::Display| {
            LoginError::Secret(format!(
                "{}client-secret-file: {}: {problem}",
                self.config().flags,
                path.display()
            ))
        };
        let text = tokio::fs::read_to_string(path).await.map_err(|error| wrong(&error))?;
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() { Err(wrong(&"is empty")) } else { Ok(Some(secret.to_owned())) }
    }
}

/// An error in the issuer's own words (RFC 6749, 4.1.2.1 and 5.2), as one line of bounded length.
pub(crate) fn words(error: &str, description: Option<&str>) -> String {
    let text = match description.filter(|text| !text.is_empty()) {
        Some(description) => format!("{description} ({error})"),
        None => error.to_owned(),
    };
    let printable = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    printable.take(MAX_SHOWN).collect()
}

/// Whether the client's secret goes into the header, as it does unless the issuer takes it in the form alone.
fn in_header(discovery: &Discovery) -> bool {
    let Some(methods) = &discovery.token_endpoint_auth_methods_supported else { return true };
    let takes = |name: &str| methods.iter().any(|method| method == name);
    takes("client_secret_basic") || !takes("client_secret_post")
}

fn basic(client_id: &str, secret: &str) -> Result<HeaderValue, LoginError> {
    // RFC 6749, 2.3.1: each is encoded as in a form before.
    let pair = format!("{}:{}", utf8_percent_encode(client_id, FORM), utf8_percent_encode(secret, FORM));
    let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
    let mut value =
        value.map_err(|_| LoginError::Secret("the client's secret makes no header".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, FORM)));
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_encoded_before_it_goes_into_the_header() {
        let value = basic("a b", "s:e/c+r%et\u{e9}").unwrap();
        let text = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(text).unwrap(), b"a%20b:s%3Ae%2Fc%2Br%25et%C3%A9");
        assert!(!format!("{value:?}").contains(text));
    }

    #[test]
    fn the_issuer_says_where_the_secret_goes() {
        let with = |methods: Option<&[&str]>| {
            let document = serde_json::json!({
                "issuer": "", "jwks_uri": "", "token_endpoint_auth_methods_supported": methods,
            });
            serde_json::from_value::<Discovery>(document).unwrap()
        };
        assert!(in_header(&with(None)));
        assert!(in_header(&with(Some(&["client_secret_post", "client_secret_basic"]))));
        assert!(!in_header(&with(Some(&["client_secret_post"]))));
    }

    #[test]
    fn the_issuers_words_are_one_line_of_bounded_length() {
        assert_eq!(words("access_denied", None), "access_denied");
        assert_eq!(words("access_denied", Some("not\nyou\t!")), "not you ! (access_denied)");
        assert_eq!(words("x", Some(&"a".repeat(9999))).chars().count(), MAX_SHOWN);
    }
}
