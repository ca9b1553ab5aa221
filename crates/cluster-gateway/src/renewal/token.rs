//! Tokens as the TokenRequest API makes them, and what is remembered of them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cluster_gateway_client::v1alpha1::{
    ANNOTATION_SERVICE_ACCOUNT, ANNOTATION_TOKEN_ENDS, ANNOTATION_TOKEN_ISSUED,
};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ServiceAccountRef;
use crate::credential::Credential;

/// The shortest life of a token that kube-apiserver issues.
pub const SHORTEST_LIFETIME: Duration = Duration::from_secs(600);
/// The life that is asked for where nobody says another. Members may shorten it.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// From when to when a token holds, by this machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When it was asked for.
    pub issued: SystemTime,
    /// When it ends.
    pub ends: SystemTime,
}

/// A token that a member has issued.
#[derive(Clone)]
pub struct Token {
    /// The token itself.
    pub(crate) text: String,
    /// How long it holds.
    pub life: Life,
}

/// The body of a TokenRequest.
#[must_use]
pub(super) fn request(lifetime: Duration) -> Vec<u8> {
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"expirationSeconds": lifetime.max(SHORTEST_LIFETIME).as_secs()},
    });
    request.to_string().into_bytes()
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    token: String,
    expiration_timestamp: Option<String>,
}

impl Token {
    /// Reads a TokenRequest that the member has answered; it was sent at `asked`.
    ///
    /// # Errors
    /// The answer holds no token that can be used; in words without any part of it.
    pub(super) fn read(answer: &[u8], asked: SystemTime) -> Result<Self, String> {
        let Answer { status } = serde_json::from_slice(answer)
            .map_err(|_| "the member's answer is no TokenRequest".to_owned())?;
        Credential::token(status.token.as_bytes())
            .map_err(|error| format!("the member's answer to a TokenRequest has no token: {error}"))?;
        let lifetime = claimed(&status.token)
            .or_else(|| {
                let ends = parse(status.expiration_timestamp.as_deref()?)?;
                ends.duration_since(asked).ok()
            })
            .filter(|lifetime| !lifetime.is_zero())
            .ok_or("the member's answer to a TokenRequest does not say how long the token holds")?;
        let ends = asked.checked_add(lifetime).ok_or("the member's token holds for ever")?;
        Ok(Self { text: status.token, life: Life { issued: asked, ends } })
    }

    /// The annotations that go with it on the cluster's Secret.
    #[must_use]
    pub fn annotations(&self, account: &ServiceAccountRef) -> BTreeMap<String, String> {
        BTreeMap::from([
            (ANNOTATION_SERVICE_ACCOUNT.to_owned(), account.to_string()),
            (ANNOTATION_TOKEN_ISSUED.to_owned(), written(self.life.issued)),
            (ANNOTATION_TOKEN_ENDS.to_owned(), written(self.life.ends)),
        ])
    }
}

/// How long a token holds by its own words. Both are said by the member's clock, so that it does not matter what ours says.
fn claimed(token: &str) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Claims {
        iat: f64,
        exp: f64,
    }
    let payload = token.split('.').nth(1)?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    Duration::try_from_secs_f64(claims.exp - claims.iat).ok()
}

impl Life {
    /// What a Secret's annotations say of its token; `None` if they do not, or it makes no sense.
    #[must_use]
    pub fn of(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let time = |key| annotations.get(key).and_then(|text| parse(text));
        let (issued, ends) = (time(ANNOTATION_TOKEN_ISSUED)?, time(ANNOTATION_TOKEN_ENDS)?);
        (issued < ends).then_some(Self { issued, ends })
    }

    /// How long it holds as a whole.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.ends.duration_since(self.issued).unwrap_or_default()
    }
}

fn parse(text: &str) -> Option<SystemTime> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    // Nothing before 1970 or after 9999: arithmetic with what is left cannot fail.
    (1970..=9999).contains(&time.year()).then(|| time.into())
}

/// A time in whole seconds; empty for one that RFC 3339 has no form for.
#[must_use]
pub(super) fn written(time: SystemTime) -> String {
    let text = OffsetDateTime::from(time).replace_nanosecond(0).ok().map(|time| time.format(&Rfc3339));
    text.and_then(Result::ok).unwrap_or_default()
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("life", &self.life).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn jwt(claims: &str) -> String {
        format!("{0}.{1}.sig", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode(claims))
    }

    fn answer(token: &str, ends: &str) -> Vec<u8> {
        json!({"status": {"token": token, "expirationTimestamp": ends}}).to_string().into_bytes()
    }

    #[test]
    fn the_life_of_a_token_does_not_depend_on_the_members_clock() {
        // The member lives an hour ahead.
        let token = jwt("{\"iat\":4600,\"exp\":5200}");
        let read = Token::read(&answer(&token, "1970-01-01T01:26:40Z"), at(1000)).unwrap();
        assert_eq!(read.life, Life { issued: at(1000), ends: at(1600) });
        let opaque = Token::read(&answer("opaque", "1970-01-01T00:26:40Z"), at(1000)).unwrap();
        assert_eq!(opaque.life.ends, at(1600), "a token that says nothing itself");
        assert!(!format!("{read:?}").contains("eyJ"), "{read:?}");
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_repeated() {
        for bad in ["{}", "[]", "x", "{\"status\":{\"token\":\"\"}}"] {
            assert!(Token::read(bad.as_bytes(), at(1)).is_err(), "{bad}");
        }
        for (token, ends) in
            [("se cret", "1970-01-01T00:26:40Z"), ("secret", ""), ("secret", "1970-01-01T00:00:00Z")]
        {
            let error = Token::read(&answer(token, ends), at(1)).unwrap_err();
            assert!(!error.contains("cret"), "{error}");
        }
        for claims in ["{\"iat\":5,\"exp\":5}", "{\"iat\":5,\"exp\":1e300}", "{\"iat\":9,\"exp\":5}"] {
            assert!(Token::read(&answer(&jwt(claims), ""), at(1)).is_err(), "{claims}");
        }
    }

    #[test]
    fn what_is_written_on_the_secret_is_read_again() {
        let account = ServiceAccountRef::new("ns", "a").unwrap();
        let life = Life { issued: at(1000), ends: at(1600) };
        let annotations = Token { text: "t".to_owned(), life }.annotations(&account);
        assert_eq!(Life::of(&annotations), Some(life));
        assert_eq!(
            annotations.into_values().collect::<Vec<_>>(),
            ["ns/a", "1970-01-01T00:26:40Z", "1970-01-01T00:16:40Z",]
        );
        for (issued, ends) in
            [("", ""), ("1970-01-01T00:00:09Z", "1970-01-01T00:00:09Z"), ("1970-01-01T00:00:09Z", "soon")]
        {
            let annotations = BTreeMap::from([
                (ANNOTATION_TOKEN_ISSUED.to_owned(), issued.to_owned()),
                (ANNOTATION_TOKEN_ENDS.to_owned(), ends.to_owned()),
            ]);
            assert_eq!(Life::of(&annotations), None);
        }
    }

    #[test]
    fn no_member_is_asked_for_less_than_it_gives() {
        let body: serde_json::Value = serde_json::from_slice(&request(Duration::from_secs(5))).unwrap();
        assert_eq!(body["spec"]["expirationSeconds"], 600);
    }
}
