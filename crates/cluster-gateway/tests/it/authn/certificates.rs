//! The front proxy's headers and client certificates.

use cluster_gateway::authn::{GROUP_AUTHENTICATED, GROUP_UNAUTHENTICATED, UserInfo};
use cluster_gateway::status::Error;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue};
use time::OffsetDateTime;

use super::{World, connection, request, user};
use crate::support::certificates::Ca;

#[tokio::test]
async fn rule_067_identity_headers_count_only_beside_the_front_proxy_s_certificate() {
    let world = World::new().await;
    let claim = [("x-remote-user", "admin"), ("x-remote-group", "system:masters")];
    let front_proxy = world.front.client("front-proxy", &[]);
    let bob = world.clients.client("bob", &["team", "ops"]);
    let admin = user("admin", &["system:masters", GROUP_AUTHENTICATED]);
    assert_eq!(world.who(&[&front_proxy], &claim).await.unwrap(), admin);
    let real = user("bob", &["team", "ops", GROUP_AUTHENTICATED]);
    assert_eq!(world.who(&[&bob], &claim).await.unwrap(), real);
    assert_eq!(world.who(&[], &claim).await.unwrap(), UserInfo::anonymous());
    for certificate in [
        world.front.client("somebody", &[]),
        world.front.client("", &[]),
        world.front.server("front-proxy"),
        Ca::new("front").client("front-proxy", &[]),
        world.front.client_until("front-proxy", OffsetDateTime::now_utc() - time::Duration::HOUR),
    ] {
        let refused = world.who(&[&certificate], &claim).await;
        assert!(matches!(refused, Err(Error::Unauthorized(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn rule_068_the_first_user_that_is_not_empty_and_all_groups_in_order() {
    let world = World::new().await;
    let front_proxy = world.front.client("front-proxy", &[]);
    let headers = [
        ("X-REMOTE-USER", ""),
        ("x-alias", "alice"),
        ("x-team", "c"),
        ("x-remote-group", "a"),
        ("X-Remote-Group", ""),
        ("X-Remote-Group", "b"),
        ("x-remote-uid", "42"),
    ];
    let alice = world.who(&[&front_proxy], &headers).await.unwrap();
    let expected = user("alice", &["a", "b", "c", GROUP_AUTHENTICATED]);
    assert_eq!(alice, UserInfo { uid: "42".to_owned(), ..expected });
}

#[tokio::test]
async fn rule_069_extra_keys_are_lower_case_and_decoded_unless_malformed() {
    let world = World::new().await;
    let front_proxy = world.front.client("front-proxy", &[]);
    let headers = [
        ("x-remote-user", "alice"),
        ("X-Remote-Extra-Example.com%2fScope", "a"),
        ("x-more-example.com%2Fscope", "b"),
        ("x-remote-extra-half%2", "c"),
        ("x-remote-extra-a%25b", "d"),
    ];
    let extra = world.who(&[&front_proxy], &headers).await.unwrap().extra;
    let expected = [("a%b", vec!["d"]), ("example.com/scope", vec!["a", "b"]), ("half%2", vec!["c"])];
    let found: Vec<(&str, Vec<&str>)> = extra
        .iter()
        .map(|(key, values)| {
            let mut values: Vec<_> = values.iter().map(String::as_str).collect();
            values.sort_unstable();
            (key.as_str(), values)
        })
        .collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn rule_070_a_front_proxy_without_a_user_is_nobody() {
    let world = World::new().await;
    let front_proxy = world.front.client("front-proxy", &[]);
    for headers in [&[][..], &[("x-remote-user", "")], &[("x-remote-group", "system:masters")]] {
        assert!(
            matches!(world.who(&[&front_proxy], headers).await, Err(Error::Unauthorized(_))),
            "{headers:?}"
        );
    }
    // It falls through to the next scheme rather than failing for good.
    world.hub.token("t", user("carol", &[]));
    let carol = world.who(&[&front_proxy], &[("authorization", "Bearer t")]).await.unwrap();
    assert_eq!(carol.name, "carol");
}

#[tokio::test]
async fn names_that_are_not_utf_8_are_refused() {
    let world = World::new().await;
    let connection = connection(&[&world.front.client("front-proxy", &[])]);
    let mut parts = request(&[]);
    parts.headers.insert("x-remote-user", HeaderValue::from_bytes("jürgen".as_bytes()).unwrap());
    assert_eq!(world.authenticator.authenticate(&connection, &mut parts).await.unwrap().name, "jürgen");
    let mut parts = request(&[]);
    parts.headers.insert("x-remote-user", HeaderValue::from_bytes(b"j\xfcrgen").unwrap());
    assert!(world.authenticator.authenticate(&connection, &mut parts).await.is_err());
}

#[tokio::test]
async fn rule_062_the_group_of_the_authenticated_is_added_once() {
    let world = World::new().await;
    let front_proxy = world.front.client("front-proxy", &[]);
    for (name, given, expected) in [
        ("a", "x", vec!["x", GROUP_AUTHENTICATED]),
        ("a", GROUP_AUTHENTICATED, vec![GROUP_AUTHENTICATED]),
        ("a", GROUP_UNAUTHENTICATED, vec![GROUP_UNAUTHENTICATED]),
        ("system:anonymous", GROUP_UNAUTHENTICATED, vec![GROUP_UNAUTHENTICATED]),
        ("system:anonymous", "x", vec!["x"]),
    ] {
        let headers = [("x-remote-user", name), ("x-remote-group", given)];
        assert_eq!(world.who(&[&front_proxy], &headers).await.unwrap(), user(name, &expected));
    }
}

#[tokio::test]
async fn rule_075_a_client_certificate_names_user_and_groups() {
    let world = World::new().await;
    let bob = world.who(&[&world.clients.client("bob", &["z", "a"])], &[]).await.unwrap();
    assert_eq!(bob, user("bob", &["z", "a", GROUP_AUTHENTICATED]));
    assert!(world.who(&[&world.clients.server("bob")], &[]).await.is_err());
    // No name is no opinion; the front proxy's scheme has failed all the same.
    assert!(world.who(&[&world.clients.client("", &["system:masters"])], &[]).await.is_err());
}

#[tokio::test]
async fn rule_061_rule_063_a_bad_credential_is_not_anonymous_and_none_is() {
    let world = World::new().await;
    assert_eq!(world.who(&[], &[]).await.unwrap(), UserInfo::anonymous());
    assert_eq!(UserInfo::anonymous(), user("system:anonymous", &["system:unauthenticated"]));
    assert!(world.who_has_token("bad").await.is_err());
    let stranger = Ca::new("stranger").client("bob", &[]);
    assert!(world.who(&[&stranger], &[]).await.is_err());
    // Who fails with a certificate may still succeed with a token.
    world.hub.token("good", user("carol", &[]));
    let carol = world.who(&[&stranger], &[("authorization", "Bearer good")]).await.unwrap();
    assert_eq!(carol.name, "carol");
}

#[tokio::test]
async fn rule_063_anonymous_can_be_switched_off() {
    let config = cluster_gateway::authn::AuthenticationConfig { anonymous: false, ..Default::default() };
    let world = World::with(config).await;
    assert!(matches!(world.who(&[], &[]).await, Err(Error::Unauthorized(_))));
}

#[tokio::test]
async fn rule_064_on_http2_the_connection_of_the_refused_and_of_strangers_is_closed() {
    let world = World::new().await;
    let front_proxy = world.front.client("front-proxy", &[]);
    let forwarded = [("x-remote-user", "system:anonymous"), ("x-remote-group", GROUP_UNAUTHENTICATED)];
    let bad = [("authorization", "Bearer bad")];
    for (version, certificates, headers, closes) in [
        (http::Version::HTTP_2, vec![], &[][..], true),
        (http::Version::HTTP_11, vec![], &[], false),
        (http::Version::HTTP_2, vec![], &bad, true),
        (http::Version::HTTP_11, vec![], &bad, false),
        (http::Version::HTTP_2, vec![&front_proxy], &[("x-remote-user", "a")], false),
        (http::Version::HTTP_2, vec![&front_proxy], &forwarded, false),
    ] {
        let connection = connection(&certificates);
        let mut parts = request(headers);
        parts.version = version;
        let _ = world.authenticator.authenticate(&connection, &mut parts).await;
        assert_eq!(connection.closing().now_or_never().is_some(), closes, "{version:?} {headers:?}");
    }
}

#[tokio::test]
async fn rule_082_rule_083_rule_084_no_credential_and_no_identity_goes_on() {
    let world = World::new().await;
    world.hub.token("good", user("carol", &[]));
    let front_proxy = world.front.client("front-proxy", &[]);
    let names = "proxy-authorization cookie x-remote-user x-remote-group x-remote-uid x-remote-extra-a \
                 x-remote-extra-b x_remote_user x_remote_extra_c x-alias x_odd x-team x-more-z";
    for (certificates, authorization) in
        [(vec![&front_proxy], "Bearer good"), (vec![], "Basic eDp5"), (vec![], "Bearer good")]
    {
        let mut parts = request(&[("x-kept", "1"), ("user-agent", "kubectl")]);
        for name in names.split(' ').filter(|name| !name.is_empty()) {
            parts.headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::from_static("v"));
        }
        for value in [authorization, "Bearer second"] {
            parts.headers.append("authorization", value.parse().unwrap());
        }
        let user = world.authenticator.authenticate(&connection(&certificates), &mut parts).await.unwrap();
        let left: Vec<_> = parts.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["x-kept", "user-agent"], "{} with {authorization}", user.name);
        assert_eq!(user.is_anonymous(), authorization.starts_with("Basic"));
    }
}
