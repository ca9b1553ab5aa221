//! How people sign in to management.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{LoginOptions, check_files};
use crate::authn::OidcConfig;
use crate::manage::login::{CALLBACK, LoginConfig, LoginOidcConfig, VelaUxConfig};

/// Sessions shorter than this are of no use to anybody.
const SHORTEST: Duration = Duration::from_secs(60);
/// Sessions longer than this are no sessions.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// What is asked of a provider besides `openid`, unless something else is said.
const SCOPES: [&str; 3] = ["profile", "email", "groups"];
/// What VelaUX' users are called, unless something else is said: they must not be taken for the hub's own.
const VELAUX_PREFIX: &str = "velaux:";

/// `issuer`: that of ID tokens, in standalone; people sign in there, too, unless another one is named.
pub(super) fn resolve(
    options: &LoginOptions,
    issuer: Option<&OidcConfig>,
    mistakes: &mut Vec<String>,
) -> LoginConfig {
    check_files(
        &[
            ("--session-key-file", &options.session_key_file),
            ("--login-oidc-client-secret-file", &options.login_oidc_client_secret_file),
            ("--login-oidc-ca-file", &options.login_oidc_ca_file),
            ("--velaux-signed-key-file", &options.velaux_signed_key_file),
        ],
        mistakes,
    );
    let default = LoginConfig::default();
    let session_lifetime = options.session_lifetime.unwrap_or(default.session_lifetime);
    if !(SHORTEST..=LONGEST).contains(&session_lifetime) {
        mistakes.push(format!("--session-lifetime: {session_lifetime:?} is not between 1m and 720h"));
    }
    LoginConfig {
        session_lifetime,
        session_key_file: options.session_key_file.clone(),
        oidc: oidc(options, issuer, mistakes),
        velaux: velaux(options, mistakes),
    }
}

/// Flags that were given, by their names.
pub(super) fn given(options: &LoginOptions) -> Vec<&'static str> {
    let mut flags = given_for_oidc(options);
    let others = [
        (options.session_lifetime.is_some(), "--session-lifetime"),
        (options.session_key_file.is_some(), "--session-key-file"),
        (options.login_oidc_issuer_url.is_some(), "--login-oidc-issuer-url"),
        (options.velaux_login, "--velaux-login"),
    ];
    flags.extend(others.iter().filter(|(given, _)| *given).map(|(_, flag)| *flag));
    flags
}

fn given_for_oidc(options: &LoginOptions) -> Vec<&'static str> {
    let flags = [
        (options.login_oidc_client_id.is_some(), "--login-oidc-client-id"),
        (options.login_oidc_client_secret_file.is_some(), "--login-oidc-client-secret-file"),
        (options.login_oidc_ca_file.is_some(), "--login-oidc-ca-file"),
        (options.login_oidc_username_claim.is_some(), "--login-oidc-username-claim"),
        (options.login_oidc_username_prefix.is_some(), "--login-oidc-username-prefix"),
        (options.login_oidc_groups_claim.is_some(), "--login-oidc-groups-claim"),
        (options.login_oidc_groups_prefix.is_some(), "--login-oidc-groups-prefix"),
        (!options.login_oidc_required_claim.is_empty(), "--login-oidc-required-claim"),
        (!options.login_oidc_signing_algs.is_empty(), "--login-oidc-signing-algs"),
        (options.login_oidc_scopes.is_some(), "--login-oidc-scopes"),
        (options.login_oidc_redirect_url.is_some(), "--login-oidc-redirect-url"),
        (options.login_oidc_name.is_some(), "--login-oidc-name"),
    ];
    flags.iter().filter(|(given, _)| *given).map(|(_, flag)| *flag).collect()
}

fn oidc(
    options: &LoginOptions,
    issuer: Option<&OidcConfig>,
    mistakes: &mut Vec<String>,
) -> Option<LoginOidcConfig> {
    let given = given_for_oidc(options);
    let issuer = match (&options.login_oidc_issuer_url, issuer) {
        (Some(url), _) => {
            OidcConfig { issuer_url: url.clone(), flags: "--login-oidc-", ..OidcConfig::default() }
        }
        (None, Some(issuer)) if given.is_empty() => issuer.clone(),
        (None, Some(issuer)) => OidcConfig { flags: "--login-oidc-", ..issuer.clone() },
        (None, None) => {
            mistakes.extend(given.iter().map(|flag| format!("{flag} needs --login-oidc-issuer-url")));
            return None;
        }
    };
    let issuer = overridden(issuer, options, mistakes);
    // What is wrong with that of ID tokens has been said.
    if issuer.flags == "--login-oidc-"
        && let Err(problems) = issuer.check()
    {
        mistakes.extend(problems);
    }
    if let Some(problem) = options.login_oidc_redirect_url.as_deref().and_then(wrong_callback) {
        mistakes.push(format!("--login-oidc-redirect-url {problem}"));
    }
    let scopes = options.login_oidc_scopes.clone();
    let host = issuer.issuer_url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    let name = options.login_oidc_name.clone().or(host);
    Some(LoginOidcConfig {
        client_secret_file: options.login_oidc_client_secret_file.clone(),
        scopes: scopes.unwrap_or_else(|| SCOPES.map(str::to_owned).to_vec()),
        redirect_url: options.login_oidc_redirect_url.clone(),
        name: name.unwrap_or_else(|| issuer.issuer_url.clone()),
        issuer,
    })
}

fn overridden(issuer: OidcConfig, options: &LoginOptions, mistakes: &mut Vec<String>) -> OidcConfig {
    let or = |given: &Option<String>, before: String| given.clone().unwrap_or(before);
    let mut required_claims: BTreeMap<String, String> = issuer.required_claims;
    for claim in &options.login_oidc_required_claim {
        match claim.split_once('=') {
            Some((name, value)) => _ = required_claims.insert(name.to_owned(), value.to_owned()),
            None => mistakes.push(format!("--login-oidc-required-claim: \"{claim}\" is not CLAIM=VALUE")),
        }
    }
    let algorithms = Some(&options.login_oidc_signing_algs).filter(|names| !names.is_empty());
    let file = |given: &Option<PathBuf>, before: Option<PathBuf>| given.clone().or(before);
    OidcConfig {
        client_id: or(&options.login_oidc_client_id, issuer.client_id),
        username_claim: or(&options.login_oidc_username_claim, issuer.username_claim),
        username_prefix: options.login_oidc_username_prefix.clone().or(issuer.username_prefix),
        groups_claim: options.login_oidc_groups_claim.clone().or(issuer.groups_claim),
        groups_prefix: or(&options.login_oidc_groups_prefix, issuer.groups_prefix),
        ca_file: file(&options.login_oidc_ca_file, issuer.ca_file),
        signing_algs: algorithms.cloned().unwrap_or(issuer.signing_algs),
        required_claims,
        ..issuer
    }
}

/// A provider hands codes to whatever is there, so it must be ours, and nobody on the way may read along.
fn wrong_callback(url: &str) -> Option<String> {
    let uri: Option<http::Uri> = url.parse().ok();
    let host = |uri: &http::Uri| uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let loopback =
        |host: &str| host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let right = uri.is_some_and(|uri| {
        let scheme = uri.scheme_str();
        (scheme == Some("https") || (scheme == Some("http") && loopback(&host(&uri))))
            && uri.path() == CALLBACK
            && uri.query().is_none()
            && !url.contains(['@', '#'])
    });
    (!right).then(|| format!("must be https://HOST{CALLBACK}, not \"{}\"", url.escape_default()))
}

fn velaux(options: &LoginOptions, mistakes: &mut Vec<String>) -> Option<VelaUxConfig> {
    if !options.velaux_login {
        let given = [
            (options.velaux_signed_key_file.is_some(), "--velaux-signed-key-file"),
            (options.velaux_username_prefix.is_some(), "--velaux-username-prefix"),
            (!options.velaux_groups.is_empty(), "--velaux-groups"),
        ];
        for (_, flag) in given.iter().filter(|(given, _)| *given) {
            mistakes.push(format!("{flag} has no meaning without --velaux-login"));
        }
        return None;
    }
    let prefix = options.velaux_username_prefix.as_deref().unwrap_or(VELAUX_PREFIX);
    let groups: Vec<String> = options
        .velaux_groups
        .iter()
        .map(|group| group.trim().to_owned())
        .filter(|group| !group.is_empty())
        .collect();
    for group in groups.iter().filter(|group| group.starts_with("system:")) {
        mistakes.push(format!(
            "--velaux-groups: \"{group}\" is a group of Kubernetes' own; bind roles to another one"
        ));
    }
    if prefix.starts_with("system:") {
        mistakes.push(format!("--velaux-username-prefix: \"{prefix}\" makes users of Kubernetes' own"));
    }
    let username_prefix = if prefix == "-" { String::new() } else { prefix.to_owned() };
    Some(VelaUxConfig { key_file: options.velaux_signed_key_file.clone(), username_prefix, groups })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: LoginOptions,
    }

    fn resolved(flags: &[&str], issuer: Option<&OidcConfig>) -> Result<LoginConfig, String> {
        let mut mistakes = Vec::new();
        let options = Line::try_parse_from(["x"].iter().chain(flags)).unwrap().options;
        let config = resolve(&options, issuer, &mut mistakes);
        if mistakes.is_empty() { Ok(config) } else { Err(mistakes.join("; ")) }
    }

    fn issuer() -> OidcConfig {
        OidcConfig {
            issuer_url: "https://sso.example".to_owned(),
            client_id: "gateway".to_owned(),
            groups_claim: Some("groups".to_owned()),
            ..OidcConfig::default()
        }
    }

    #[test]
    fn without_a_word_there_are_tokens_and_certificates_alone() {
        let config = resolved(&[], None).unwrap();
        assert!(config.oidc.is_none() && config.velaux.is_none() && config.session_key_file.is_none());
        assert_eq!(config.session_lifetime, Duration::from_secs(8 * 3600));
    }

    #[test]
    fn people_sign_in_at_the_issuer_of_tokens_unless_another_one_is_named() {
        let oidc = resolved(&[], Some(&issuer())).unwrap().oidc.unwrap();
        assert_eq!((oidc.name.as_str(), oidc.issuer.client_id.as_str()), ("sso.example", "gateway"));
        assert_eq!(oidc.scopes, ["profile", "email", "groups"]);
        let oidc = resolved(&["--login-oidc-client-id=console"], Some(&issuer())).unwrap().oidc.unwrap();
        assert_eq!((oidc.issuer.client_id.as_str(), oidc.issuer.flags), ("console", "--login-oidc-"));
        assert_eq!(oidc.issuer.groups_claim.as_deref(), Some("groups"));
        let flags = ["--login-oidc-issuer-url=https://other.example", "--login-oidc-client-id=c"];
        let oidc = resolved(&flags, Some(&issuer())).unwrap().oidc.unwrap();
        assert_eq!(
            (oidc.issuer.issuer_url.as_str(), oidc.issuer.groups_claim),
            (flags[0].split_once('=').unwrap().1, None)
        );
    }

    #[test]
    fn every_mistake_is_said_with_its_flag() {
        for (flags, words) in [
            (&["--session-lifetime=1s"][..], "--session-lifetime: 1s is not between"),
            (&["--session-key-file=/nowhere"], "--session-key-file: cannot read /nowhere"),
            (&["--login-oidc-name=x"], "--login-oidc-name needs --login-oidc-issuer-url"),
            (&["--login-oidc-issuer-url=https://x"], "--login-oidc-client-id must not be empty"),
            (&["--login-oidc-issuer-url=http://x", "--login-oidc-client-id=c"], "--login-oidc-issuer-url: "),
            (&["--velaux-groups=a"], "--velaux-groups has no meaning without --velaux-login"),
            (&["--velaux-login", "--velaux-groups=a,system:masters"], "\"system:masters\" is a group of"),
            (&["--velaux-login", "--velaux-username-prefix=system:"], "--velaux-username-prefix"),
        ] {
            let error = resolved(flags, None).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        for url in [
            "http://console.example/api/v1/login/oidc/callback",
            "https://console.example/",
            "https://console.example/api/v1/login/oidc/callback?x",
            "https://a@console.example/api/v1/login/oidc/callback",
            "console.example",
        ] {
            let error =
                resolved(&[&format!("--login-oidc-redirect-url={url}")], Some(&issuer())).unwrap_err();
            assert!(error.contains("--login-oidc-redirect-url must be"), "{url}: {error}");
        }
        for url in
            ["https://console.example:8443", "http://localhost:8000", "http://127.0.0.1", "http://[::1]:1"]
        {
            let flag = format!("--login-oidc-redirect-url={url}{CALLBACK}");
            assert!(resolved(&[&flag], Some(&issuer())).is_ok(), "{url}");
        }
    }

    #[test]
    fn velauxs_users_have_a_prefix_unless_none_is_wanted() {
        let velaux = |flags: &[&str]| resolved(flags, None).unwrap().velaux.unwrap();
        assert_eq!(velaux(&["--velaux-login"]).username_prefix, "velaux:");
        let config = velaux(&["--velaux-login", "--velaux-username-prefix=-", "--velaux-groups=kubevela:ux"]);
        assert_eq!((config.username_prefix.as_str(), config.groups), ("", vec!["kubevela:ux".to_owned()]));
    }
}
