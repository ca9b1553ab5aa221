//! Tokens in, users or VelaUX' codes out.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const NOW: u64 = 1_800_000_000;

struct World {
    dir: tempfile::TempDir,
    velaux: VelaUx,
}

impl World {
    fn new(prefix: &str, groups: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, format!("{KEY}\n")).unwrap();
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        let config = VelaUxConfig { key_file: Some(path), username_prefix: prefix.to_owned(), groups };
        Self { velaux: VelaUx::new(config, None).unwrap(), dir }
    }

    /// Whose the token is; VelaUX' failure as its code.
    async fn whose(&self, token: &str) -> Result<UserInfo, u32> {
        let value = format!("Bearer {token}");
        let token = match VelaUx::read(&value) {
            Presented::Ours(token) => token,
            Presented::Others(failure) => return Err(Failure::VelaUx(failure).code().number()),
        };
        let found = self.velaux.verify(&token, moment(NOW).unwrap()).await;
        found.map(|(user, _)| Arc::unwrap_or_clone(user)).map_err(|failure| failure.code().number())
    }

    async fn name(&self, token: &str) -> Result<String, u32> {
        self.whose(token).await.map(|user| user.name)
    }
}

fn message(header: &Value, claims: &Value) -> String {
    let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", text(header), text(claims))
}

fn signed(algorithm: hmac::Algorithm, key: &[u8], message: &str) -> String {
    let signature = hmac::sign(&hmac::Key::new(algorithm, key), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "username": "alice", "grantType": "access", "iss": ISSUER, "nbf": NOW - 60, "exp": NOW + 3600,
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn token(changes: &Value) -> String {
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    signed(hmac::HMAC_SHA256, KEY.as_bytes(), &message(&header, &claims(changes)))
}

#[tokio::test]
async fn a_user_of_velaux_has_a_prefix_and_the_groups_of_the_settings_alone() {
    let plain = World::new("velaux:", &[]);
    let user = plain.whose(&token(&json!({ "groups": ["system:masters"] }))).await.unwrap();
    assert_eq!((user.name.as_str(), user.groups), ("velaux:alice", vec!["system:authenticated".to_owned()]));
    let grouped = World::new("", &["kubevela:ux"]);
    let user = grouped.whose(&token(&json!({}))).await.unwrap();
    let groups = ["kubevela:ux", "system:authenticated"].map(str::to_owned).to_vec();
    assert_eq!((user.name.as_str(), user.groups), ("alice", groups));
}

#[tokio::test]
async fn a_token_that_velaux_has_not_signed_is_invalid() {
    let world = World::new("", &[]);
    let good = claims(&json!({}));
    assert_eq!(world.name(&token(&json!({}))).await, Ok("alice".to_owned()));
    // `none`, and other algorithms, whatever they are signed by.
    for alg in ["none", "None", "", "HS384", "HS512", "RS256", "ES256", "hs256"] {
        let message = message(&json!({ "alg": alg }), &good);
        assert_eq!(world.name(&format!("{message}.")).await, Err(12004), "{alg}");
        for algorithm in [hmac::HMAC_SHA256, hmac::HMAC_SHA384, hmac::HMAC_SHA512] {
            assert_eq!(world.name(&signed(algorithm, KEY.as_bytes(), &message)).await, Err(12004), "{alg}");
        }
    }
    // Other keys: the empty one, a public key that everybody knows, and what a header names.
    for key in ["", "another key of thirty-two letters", "-----BEGIN PUBLIC KEY-----\n"] {
        let message = message(&json!({ "alg": "HS256" }), &good);
        assert_eq!(world.name(&signed(hmac::HMAC_SHA256, key.as_bytes(), &message)).await, Err(12004));
    }
    for header in [
        json!({ "alg": "HS256", "kid": "../../../../dev/null" }),
        json!({ "alg": "HS256", "kid": "' UNION SELECT ''; --" }),
        json!({ "alg": "HS256", "jku": "https://evil.example", "jwk": { "kty": "oct", "k": "" } }),
    ] {
        let message = message(&header, &good);
        assert_eq!(world.name(&signed(hmac::HMAC_SHA256, b"", &message)).await, Err(12004), "{header}");
        // What the header names is looked up nowhere.
        let ours = signed(hmac::HMAC_SHA256, KEY.as_bytes(), &message);
        assert_eq!(world.name(&ours).await, Ok("alice".to_owned()), "{header}");
    }
    let critical = message(&json!({ "alg": "HS256", "crit": ["b64"], "b64": false }), &good);
    assert_eq!(world.name(&signed(hmac::HMAC_SHA256, KEY.as_bytes(), &critical)).await, Err(12004));
}

#[tokio::test]
async fn a_changed_or_cut_token_is_none() {
    let world = World::new("", &[]);
    let good = token(&json!({}));
    let (message, signature) = good.rsplit_once('.').unwrap();
    let other = token(&json!({ "username": "admin" }));
    let forged = format!("{}.{signature}", other.rsplit_once('.').unwrap().0);
    assert_eq!(world.name(&forged).await, Err(12004));
    for cut in [&good[..good.len() - 4], message, &format!("{message}."), &good[..20], "a.b.c", "x"] {
        let code = world.name(cut).await.unwrap_err();
        assert!(matches!(code, 12004 | 12005), "{cut}: {code}");
    }
    for value in ["", "Bearer", "Bearer ", "Bearer a b", " a", &good, &format!("Bearer  {good}")] {
        let read = VelaUx::read(value);
        let expected =
            matches!(read, Presented::Others(VelaUxFailure::NotAuthorized | VelaUxFailure::Malformed));
        assert!(expected, "{value:?}: {read:?}");
    }
    // The scheme may be any word, as with VelaUX.
    assert!(matches!(VelaUx::read(&format!("Token {good}")), Presented::Ours(_)));
    assert!(matches!(VelaUx::read("Bearer opaque"), Presented::Others(VelaUxFailure::Malformed)));
}

#[tokio::test]
async fn a_token_holds_in_its_time_for_what_it_is_meant_for() {
    let world = World::new("", &[]);
    for (changes, expected) in [
        (json!({ "exp": NOW + 1 }), Ok(())),
        (json!({ "exp": NOW }), Err(12002)),
        (json!({ "exp": NOW - 1 }), Err(12002)),
        (json!({ "exp": null }), Err(12004)),
        (json!({ "exp": "never" }), Err(12004)),
        (json!({ "exp": u64::MAX }), Err(12004)),
        (json!({ "nbf": NOW + 10 }), Ok(())),
        (json!({ "nbf": NOW + 11 }), Err(12003)),
        (json!({ "nbf": null }), Ok(())),
        (json!({ "nbf": -1 }), Err(12004)),
        (json!({ "grantType": "refresh" }), Err(12007)),
        (json!({ "grantType": null }), Err(12007)),
        (json!({ "username": null }), Err(12004)),
        (json!({ "username": "" }), Err(12004)),
        (json!({ "username": 7 }), Err(12004)),
        (json!({ "username": "a\nb" }), Err(12004)),
        (json!({ "username": "a".repeat(254) }), Err(12004)),
        (json!({ "username": "system:admin" }), Err(12004)),
        (json!({ "iss": "somebody" }), Err(12004)),
        (json!({ "iss": null }), Err(12004)),
    ] {
        assert_eq!(world.name(&token(&changes)).await.map(drop), expected, "{changes}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_can_be_changed_and_one_that_can_be_guessed_is_none() {
    let world = World::new("", &[]);
    let path = world.dir.path().join("key");
    assert!(world.name(&token(&json!({}))).await.is_ok());
    std::fs::write(&path, "another key of thirty-two letters").unwrap();
    tokio::time::advance(PAUSE * 2).await;
    let message = message(&json!({ "alg": "HS256" }), &claims(&json!({})));
    let new = signed(hmac::HMAC_SHA256, b"another key of thirty-two letters", &message);
    assert!(world.name(&new).await.is_ok());
    assert_eq!(world.name(&token(&json!({}))).await, Err(12004), "the old key counts no longer");
    for short in ["", "\n", "secret"] {
        std::fs::write(&path, short).unwrap();
        assert!(world.velaux.check().await.unwrap_err().contains("could be guessed"));
        let fresh = VelaUx::new(world.velaux.config.clone(), None).unwrap();
        let forged = signed(hmac::HMAC_SHA256, short.trim().as_bytes(), &message);
        let value = format!("Bearer {forged}");
        let Presented::Ours(token) = VelaUx::read(&value) else { panic!("{value}") };
        let found = fresh.verify(&token, moment(NOW).unwrap()).await;
        assert!(matches!(found, Err(Failure::Unavailable(_))), "{found:?}");
    }
    assert!(!format!("{:?}", world.velaux).contains(KEY));
}
