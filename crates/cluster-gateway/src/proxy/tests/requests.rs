//! What the member receives.

use sha2::{Digest, Sha256};

use super::*;

#[tokio::test]
async fn rule_157_what_connection_names_cannot_remove_the_credential() {
    for protocols in BOTH {
        let member = member(protocols).await;
        let request = Request::get("/")
            .header("connection", "Authorization, close")
            .header("Connection", "X-Forwarded-For, Impersonate-User")
            .header("authorization", "Bearer caller")
            .header("impersonate-user", "admin")
            .header("x-remote-user", "admin");
        let answer = send(&upstream(&member), "/echo", request, Body::empty()).await.expect("an answer");
        let echo = json(answer).await;
        assert_eq!(header(&echo, "authorization"), ["Bearer member-token"]);
        assert_eq!(header(&echo, "x-forwarded-for"), ["10.1.2.3"]);
        for gone in ["connection", "impersonate-user", "x-remote-user"] {
            assert!(header(&echo, gone).is_empty(), "{gone}");
        }
    }
}

#[tokio::test]
async fn rule_162_a_certificate_credential_leaves_no_authorization() {
    let member = member(Protocols::Both).await;
    let leaf = member.ca.client("gateway");
    let credential =
        Credential::x509(leaf.certificate.as_bytes(), leaf.key.as_bytes()).expect("a credential");
    let upstream = Upstream { credential, ..upstream(&member) };
    let request = Request::get("/").header("authorization", "Bearer caller");
    let echo = json(send(&upstream, "/echo", request, Body::empty()).await.expect("an answer")).await;
    assert!(header(&echo, "authorization").is_empty());
}

#[tokio::test]
async fn rule_160_rule_161_nothing_is_added_but_the_chain_of_addresses() {
    for protocols in BOTH {
        let member = member(protocols).await;
        let echo = json(get(&upstream(&member), "/echo").await).await;
        for absent in ["user-agent", "accept-encoding", "x-forwarded-host", "x-forwarded-proto", "via"] {
            assert!(header(&echo, absent).is_empty(), "{absent}");
        }
        let request = Request::get("/").header("user-agent", "kubectl").header("accept-encoding", "gzip");
        let echo =
            json(send(&upstream(&member), "/echo", request, Body::empty()).await.expect("an answer")).await;
        assert_eq!(
            (header(&echo, "user-agent"), header(&echo, "accept-encoding")),
            (vec!["kubectl"], vec!["gzip"])
        );
    }
}

#[tokio::test]
async fn rule_138_rule_140_rule_142_the_target_is_the_permits_with_the_clients_query() {
    for protocols in BOTH {
        let member = member(protocols).await;
        let upstream = Upstream { base_path: "/base".into(), ..upstream(&member) };
        let request = Request::get("https://other.test/not/this?b=1&a=%2F+&__dryRun=All");
        send(&upstream, "/echo/a%2Fb/", request, Body::empty()).await.expect("an answer");
        assert_eq!(member.recorder.only_request().target, "/base/echo/a%2Fb/?b=1&a=%2F+&dryRun=All");
    }
}

#[tokio::test]
async fn rule_142_a_refused_query_reaches_nobody() {
    let member = member(Protocols::Both).await;
    let refused = send(&upstream(&member), "/echo", Request::get("/?a;b"), Body::empty()).await;
    assert!(matches!(refused, Err(Error::BadRequest(_))));
    assert_eq!(member.recorder.connections(), 0);
}

#[tokio::test]
async fn rule_174_bodies_of_every_method_arrive_whole() {
    let body = vec![b'q'; 1 << 20];
    let digest: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
    for protocols in BOTH {
        let member = member(protocols).await;
        let upstream = upstream(&member);
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let request = Request::builder().method(method).header("expect", "100-continue");
            let echo =
                json(send(&upstream, "/echo", request, body.clone().into()).await.expect("an answer")).await;
            assert_eq!(
                (echo["method"].as_str(), echo["sha256"].as_str()),
                (Some(method), Some(digest.as_str()))
            );
            assert_eq!(header(&echo, "expect"), ["100-continue"]);
        }
    }
}

#[tokio::test]
async fn rule_175_a_request_body_that_breaks_off_is_never_a_whole_one() {
    for protocols in BOTH {
        let member = member(protocols).await;
        let broken = futures_util::stream::iter([
            Ok(http_body::Frame::data(bytes::Bytes::from_static(b"half"))),
            Err(crate::body::BodyError::from("the client went away")),
        ]);
        let body = Body::boxed(http_body_util::StreamBody::new(broken));
        let answer = send(&upstream(&member), "/echo", Request::post("/"), body).await;
        assert!(matches!(answer, Err(Error::Member { .. })), "{protocols:?} {answer:?}");
    }
}
