//! What the client gets.

use http::StatusCode;

use super::*;

#[tokio::test]
async fn rule_170_answers_pass_as_they_are() {
    for protocols in BOTH {
        let member = member(protocols).await;
        let upstream = upstream(&member);
        for code in [200, 401, 403, 404, 409, 410, 429, 500, 503] {
            let answer = get(&upstream, &format!("/status/{code}")).await;
            assert_eq!(answer.status().as_u16(), code);
            let values = |name| answer.headers().get_all(name).iter().collect::<Vec<_>>();
            assert_eq!(values("retry-after"), ["7"]);
            assert_eq!(values("warning"), ["299 - \"one\"", "299 - \"two\""]);
            assert_eq!(values("set-cookie"), ["a=1", "b=2"]);
            assert_eq!(values("x-kubernetes-pf-flowschema-uid"), ["f"]);
            assert_eq!(text(answer).await, format!("answer {code}"));
        }
    }
}

#[tokio::test]
async fn rule_115_rule_159_the_members_connection_and_audit_id_stay_behind() {
    for protocols in BOTH {
        let member = member(protocols).await;
        let upstream = upstream(&member);
        let answer = get(&upstream, "/status/200").await;
        for gone in ["audit-id", "connection", "keep-alive", "transfer-encoding"] {
            assert_eq!(answer.headers().get(gone), None, "{gone}");
        }
        assert_eq!(answer.headers()["cache-control"], "max-age=5");
        assert_eq!(get(&upstream, "/plain").await.headers()["cache-control"], "no-cache, private");
        assert_eq!(get(&upstream, "/cacheable").await.headers().get("cache-control"), None);
    }
}

#[tokio::test]
async fn rule_170_trailers_pass() {
    for protocols in BOTH {
        let member = member(protocols).await;
        let request = Request::get("/").header("te", "trailers");
        let answer = send(&upstream(&member), "/trailers", request, Body::empty()).await.expect("an answer");
        let body = answer.into_body().collect().await.expect("a body");
        assert_eq!(body.trailers().expect("trailers")["x-checksum"], "42");
    }
}

#[tokio::test]
async fn rule_171_redirects_pass_and_are_not_followed() {
    for protocols in BOTH {
        let member = member(protocols).await;
        let answer = get(&upstream(&member), "/redirect").await;
        assert_eq!(answer.status(), StatusCode::FOUND);
        assert_eq!(answer.headers()["location"], "https://canary.test/");
        assert_eq!(member.recorder.requests().len(), 1);
    }
}

#[tokio::test]
async fn rule_173_each_event_of_a_watch_comes_at_once() {
    for protocols in BOTH {
        let member = member(protocols).await;
        let mut body = get(&upstream(&member), "/watch").await.into_body();
        let watch = member.recorder.watch().await;
        for event in ["one", "two", "three"] {
            watch.send(event).await;
            let frame = body.frame().await.expect("a frame").expect("data");
            assert_eq!(frame.into_data().expect("data"), event);
        }
        drop(watch);
        assert!(body.collect().await.expect("a clean end").to_bytes().is_empty());
    }
}

#[tokio::test]
async fn rule_175_a_watch_that_breaks_off_is_an_error() {
    for protocols in BOTH {
        let member = member(protocols).await;
        let mut body = get(&upstream(&member), "/watch").await.into_body();
        let watch = member.recorder.watch().await;
        watch.send("one").await;
        assert!(body.frame().await.expect("a frame").is_ok());
        watch.fail().await;
        assert!(body.frame().await.expect("no clean end").is_err());
    }
}

#[tokio::test]
async fn rule_174_a_head_request_has_no_body() {
    for protocols in BOTH {
        let member = member(protocols).await;
        let answer =
            send(&upstream(&member), "/plain", Request::head("/"), Body::empty()).await.expect("an answer");
        assert_eq!(answer.headers()["content-length"], "5");
        assert_eq!(text(answer).await, "");
    }
}

#[tokio::test]
async fn rule_177_a_dead_member_is_a_failed_dial() {
    let mut member = member(Protocols::Both).await;
    member.stop_accepting().await;
    let upstream = upstream(&member);
    let error = send(&upstream, "/echo", Request::get("/"), Body::empty()).await.expect_err("nobody listens");
    assert_eq!(error.code(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(error.to_string(), format!("dial tcp {}: connect: connection refused", member.address));
}

#[tokio::test]
async fn rule_181_a_broken_exchange_says_what_happened_but_no_secret() {
    for protocols in BOTH {
        let member = member(protocols).await;
        let error = send(&upstream(&member), "/close-before-head", Request::get("/"), Body::empty())
            .await
            .expect_err("no head");
        assert_eq!(error.code(), StatusCode::INTERNAL_SERVER_ERROR);
        let text = error.to_string();
        assert!(text.starts_with("cluster c: ") && text.contains("may have acted"), "{text}");
        assert!(!text.contains("member-token") && !format!("{error:?}").contains("member-token"));
    }
}
