//! Settings of an issuer, as plain values with kube-apiserver's names.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::algorithm::Algorithm;

/// Whose ID tokens are believed, and how their claims become a user.
#[derive(Debug, Clone)]
pub struct OidcConfig {
    /// `--oidc-issuer-url`: `https://…`, exactly as in the tokens' `iss`.
    pub issuer_url: String,
    /// `--oidc-client-id`: must be among the tokens' `aud`.
    pub client_id: String,
    /// `--oidc-username-claim`. Default `sub`. With `email`, a token that says `email_verified: false` is refused.
    pub username_claim: String,
    /// `--oidc-username-prefix`. `None` or empty: the issuer's URL and `#`, but nothing when the claim is `email`. `-`:
    /// nothing.
    pub username_prefix: Option<String>,
    /// `--oidc-groups-claim`: a string or a list of strings. Default: no groups.
    pub groups_claim: Option<String>,
    /// `--oidc-groups-prefix`. Default: none.
    pub groups_prefix: String,
    /// `--oidc-required-claim`: claims that must have exactly these values.
    pub required_claims: BTreeMap<String, String>,
    /// `--oidc-ca-file`: PEM bundle to verify the issuer's server with, read again with every look. Default: the system's
    /// roots.
    pub ca_file: Option<PathBuf>,
    /// `--oidc-signing-algs`: of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512. Default RS256.
    pub signing_algs: Vec<String>,
    /// How often the issuer's keys are read again. Default 5 min.
    pub key_refresh: Duration,
    /// How long after a look at the issuer's keys a token with an unknown key does not cause another. Default 10 s.
    pub key_pause: Duration,
    /// What the names of these flags begin with, for messages. Default `--oidc-`.
    pub flags: &'static str,
}

impl Default for OidcConfig {
    fn default() -> Self {
        Self {
            issuer_url: String::new(),
            client_id: String::new(),
            username_claim: "sub".to_owned(),
            username_prefix: None,
            groups_claim: None,
            groups_prefix: String::new(),
            required_claims: BTreeMap::new(),
            ca_file: None,
            signing_algs: vec!["RS256".to_owned()],
            key_refresh: Duration::from_secs(5 * 60),
            key_pause: Duration::from_secs(10),
            flags: "--oidc-",
        }
    }
}

impl OidcConfig {
    /// Whether the settings make sense, without looking at files or asking the issuer.
    ///
    /// # Errors
    /// Every mistake, each with its flag.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let (mut mistakes, flags) = (Vec::new(), self.flags);
        if let Err(problem) = check_url(&self.issuer_url) {
            mistakes.push(format!("{flags}issuer-url: {:?} {problem}", self.issuer_url));
        }
        for (flag, value) in [("client-id", &self.client_id), ("username-claim", &self.username_claim)] {
            if value.is_empty() {
                mistakes.push(format!("{flags}{flag} must not be empty"));
            }
        }
        if self.groups_claim.as_ref().is_some_and(String::is_empty) {
            mistakes.push(format!("{flags}groups-claim must not be empty; leave it out for no groups"));
        }
        if self.required_claims.keys().any(String::is_empty) {
            mistakes.push(format!("{flags}required-claim: a claim has no name; write NAME=VALUE"));
        }
        if self.signing_algs.is_empty() {
            mistakes.push(format!("{flags}signing-algs names none; RS256 is the usual one"));
        }
        for name in self.signing_algs.iter().filter(|name| Algorithm::parse(name).is_none()) {
            mistakes.push(format!("{flags}signing-algs: {name:?} is not one of {}", Algorithm::names()));
        }
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
    }

    /// What stands before every user name.
    pub(super) fn effective_username_prefix(&self) -> String {
        match self.username_prefix.as_deref() {
            Some("-") => String::new(),
            None | Some("") if self.username_claim == "email" => String::new(),
            None | Some("") => format!("{}#", self.issuer_url),
            Some(prefix) => prefix.to_owned(),
        }
    }
}

/// A URL that documents may be fetched from: a downgrade to plain HTTP would let anybody on the way hand out keys.
fn check_url(url: &str) -> Result<(), &'static str> {
    let uri: Uri = url.parse().map_err(|_| "is no URL")?;
    if uri.scheme_str() != Some("https") {
        return Err("does not begin with https://");
    }
    if uri.host().is_none_or(str::is_empty) || uri.authority().is_some_and(|all| all.as_str().contains('@')) {
        return Err("must name a host, and no user");
    }
    if url.contains(['?', '#']) {
        return Err("must have neither query nor fragment");
    }
    Ok(())
}
