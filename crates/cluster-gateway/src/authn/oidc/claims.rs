//! What a token says, once it is known who says it.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::OidcConfig;
use super::jwt::Jwt;
use crate::authn::UserInfo;

/// How far the clocks of issuer and server may be apart: a token is believed so much longer and sooner than it says.
const LEEWAY: Duration = Duration::from_secs(10);
/// Characters of a foreign text that go into a message.
const MAX_SHOWN: usize = 200;

/// Whether the token says that it comes from `issuer`.
pub(super) fn check_issuer(token: &Jwt<'_>, issuer: &str) -> Result<(), String> {
    match token.claims.get("iss").and_then(Value::as_str) {
        Some(named) if named == issuer => Ok(()),
        Some(named) => {
            let named: String = named.chars().take(MAX_SHOWN).collect();
            Err(format!("it is issued by {named:?}, not by {issuer:?}"))
        }
        None => Err("it names no issuer".to_owned()),
    }
}

/// Whether the token is for this server, and now.
pub(super) fn check(token: &Jwt<'_>, config: &OidcConfig, now: SystemTime) -> Result<(), String> {
    check_audience(token, &config.client_id)?;
    check_times(token, now)?;
    for (name, expected) in &config.required_claims {
        if token.claims.get(name).and_then(Value::as_str) != Some(expected) {
            return Err(format!("its claim {name:?} is not {expected:?}"));
        }
    }
    Ok(())
}

fn check_audience(token: &Jwt<'_>, client_id: &str) -> Result<(), String> {
    let named = match token.claims.get("aud") {
        Some(Value::String(one)) => one == client_id,
        Some(Value::Array(several)) => several.iter().any(|one| one == client_id),
        _ => false,
    };
    if named { Ok(()) } else { Err(format!("it is not for {client_id:?} (claim \"aud\")")) }
}

/// `exp` is required, `nbf` and `iat` count if they are there.
fn check_times(token: &Jwt<'_>, now: SystemTime) -> Result<(), String> {
    let expires = moment(token, "exp")?.ok_or("it does not say when it expires (claim \"exp\")")?;
    let clocks =
        || format!("the clock here says {}; if that is right, see to the issuer's clock", shown(now));
    if now >= expires + LEEWAY {
        return Err(format!("it has expired at {}; {}", shown(expires), clocks()));
    }
    for (claim, what) in [("nbf", "valid"), ("iat", "issued")] {
        if let Some(from) = moment(token, claim)?.filter(|&from| now + LEEWAY < from) {
            return Err(format!("it will be {what} only at {}; {}", shown(from), clocks()));
        }
    }
    Ok(())
}

/// A claim in seconds since 1970, fractions allowed.
fn moment(token: &Jwt<'_>, claim: &str) -> Result<Option<SystemTime>, String> {
    let Some(value) = token.claims.get(claim) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..253_402_300_800.0).contains(seconds));
    let seconds = seconds.ok_or_else(|| format!("its claim {claim:?} is no time"))?;
    Ok(Some(SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds)))
}

fn shown(time: SystemTime) -> String {
    OffsetDateTime::from(time).format(&Rfc3339).unwrap_or_else(|_| "an unknown time".to_owned())
}

/// When the token ends; it is known to say so.
pub(super) fn expires(token: &Jwt<'_>) -> Result<SystemTime, String> {
    moment(token, "exp")?.ok_or_else(|| "it does not say when it expires (claim \"exp\")".to_owned())
}

/// Whether the token was made for the sign-in with this nonce, and for nobody else's client (OpenID Connect Core 3.1.3.7).
pub(super) fn check_login(token: &Jwt<'_>, client_id: &str, nonce: &str) -> Result<(), String> {
    let named = token.claims.get("nonce").and_then(Value::as_str).unwrap_or_default();
    let same = aws_lc_rs::constant_time::verify_slices_are_equal(named.as_bytes(), nonce.as_bytes());
    if nonce.is_empty() || same.is_err() {
        return Err("it was made for another sign-in (claim \"nonce\")".to_owned());
    }
    if token.claims.get("azp").is_some_and(|party| party != client_id) {
        return Err(format!("it was made for another client than {client_id:?} (claim \"azp\")"));
    }
    Ok(())
}

/// Whom the token names.
pub(super) fn user(token: &Jwt<'_>, config: &OidcConfig) -> Result<UserInfo, String> {
    let claim = &config.username_claim;
    let name = token.claims.get(claim).and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| format!("its claim {claim:?} holds no name"))?;
    if claim == "email" && token.claims.get("email_verified").is_some_and(|verified| *verified != true) {
        return Err("its e-mail address is not verified (claim \"email_verified\")".to_owned());
    }
    let name = format!("{}{name}", config.effective_username_prefix());
    not_of_the_system(&name, "user", config.flags, "username-prefix")?;
    Ok(UserInfo { name, groups: groups(token, config)?, ..UserInfo::default() })
}

fn groups(token: &Jwt<'_>, config: &OidcConfig) -> Result<Vec<String>, String> {
    let Some((claim, value)) =
        config.groups_claim.as_ref().and_then(|claim| token.claims.get_key_value(claim))
    else {
        return Ok(Vec::new());
    };
    let names = match value {
        Value::String(_) => std::slice::from_ref(value),
        Value::Array(names) => names,
        _ => &[Value::Null],
    };
    let group = |name: &Value| {
        let name = name.as_str().ok_or_else(|| format!("its claim {claim:?} is not a list of strings"))?;
        let group = format!("{}{name}", config.groups_prefix);
        not_of_the_system(&group, "group", config.flags, "groups-prefix").map(|()| group)
    };
    names.iter().map(group).collect()
}

/// Names that Kubernetes keeps for itself, `system:masters` above all, are not an issuer's to give.
fn not_of_the_system(name: &str, what: &str, flags: &str, flag: &str) -> Result<(), String> {
    if name.starts_with("system:") {
        let name: String = name.chars().take(MAX_SHOWN).collect();
        return Err(format!("it names the {what} {name:?}, which no issuer may; set {flags}{flag}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;

    /// What is said at second 1000 of a token with these claims; the signature is not looked at here.
    fn at_1000(mut claims: Value) -> Result<(), String> {
        claims["aud"] = json!("gateway");
        let text = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!("{}.{}.", text(json!({ "alg": "RS256" })), text(claims));
        let config = OidcConfig { client_id: "gateway".to_owned(), ..OidcConfig::default() };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        check(&Jwt::parse(&token).unwrap(), &config, now)
    }

    #[test]
    fn a_token_holds_in_its_time_with_exactly_ten_seconds_to_spare() {
        for (claims, expected) in [
            (json!({ "exp": 991 }), None),
            (json!({ "exp": 990.5 }), None),
            (json!({ "exp": 990 }), Some("it has expired at 1970-01-01T00:16:30Z; the clock here says 1970")),
            (json!({ "exp": 2000, "nbf": 1010, "iat": 1010 }), None),
            (json!({ "exp": 2000, "nbf": 1011 }), Some("it will be valid only at 1970-01-01T00:16:51Z")),
            (json!({ "exp": 2000, "iat": 1010.5 }), Some("it will be issued only at")),
            (json!({ "exp": null }), Some("claim \"exp\" is no time")),
            (json!({ "exp": "2000" }), Some("claim \"exp\" is no time")),
            (json!({ "exp": -1 }), Some("claim \"exp\" is no time")),
            (json!({ "exp": 1e300 }), Some("claim \"exp\" is no time")),
            (json!({}), Some("does not say when it expires")),
        ] {
            let found = at_1000(claims.clone());
            match expected {
                None => assert_eq!(found, Ok(()), "{claims}"),
                Some(text) => {
                    assert!(found.as_ref().is_err_and(|reason| reason.contains(text)), "{claims}: {found:?}")
                }
            }
        }
    }
}
