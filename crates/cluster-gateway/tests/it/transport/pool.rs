//! Which connection a request takes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cluster_gateway::body::Body;
use cluster_gateway::transport::{Transport, TransportError, TransportOptions};
use futures_util::future::join_all;
use http::{Request, Version};
use http_body_util::BodyExt;

use super::{get, options, spec, text, transport};
use crate::support::fake_member::{FakeMember, Options, Protocols};

async fn member(protocols: Protocols) -> FakeMember {
    FakeMember::start(Options { protocols, ..Options::default() }).await
}

#[tokio::test]
async fn rule_169_http2_is_spoken_by_agreement_and_one_connection_serves_all() {
    let member = member(Protocols::Both).await;
    let transport = transport(&member);
    for _ in 0..5 {
        assert_eq!(text(transport.send(get("/plain")).await.unwrap()).await, "plain");
    }
    let requests = member.recorder.requests();
    assert!(requests.iter().all(|request| request.version == Version::HTTP_2));
    assert_eq!((member.recorder.connections(), transport.counters().open()), (1, 1));
}

#[tokio::test]
async fn rule_169_http1_connections_are_used_again() {
    let member = member(Protocols::Http1).await;
    let transport = transport(&member);
    for _ in 0..20 {
        assert_eq!(text(transport.send(get("/plain")).await.unwrap()).await, "plain");
    }
    assert!(member.recorder.requests().iter().all(|request| request.version == Version::HTTP_11));
    assert_eq!(member.recorder.connections(), 1);
}

#[tokio::test]
async fn rule_145_the_target_is_host_and_port_of_the_endpoint() {
    let endpoint = |member: &FakeMember| format!("127.0.0.1:{}", member.address.port());
    let http2 = member(Protocols::Both).await;
    transport(&http2).send(get("/plain")).await.unwrap();
    let request = http2.recorder.only_request();
    assert_eq!(request.authority, Some(endpoint(&http2)));
    assert_eq!(request.headers.get("host"), None);

    let http1 = member(Protocols::Http1).await;
    transport(&http1).send(get("/plain")).await.unwrap();
    let request = http1.recorder.only_request();
    assert_eq!((request.authority, request.target.as_str()), (None, "/plain"));
    assert_eq!(request.headers["host"], endpoint(&http1));
}

#[tokio::test]
async fn rule_196_an_absolute_uri_and_a_host_do_not_move_the_target() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let member = member(protocols).await;
        let mut request = get("https://other.test:1/plain?x=1");
        request.headers_mut().insert("host", "other.test".parse().unwrap());
        assert_eq!(text(transport(&member).send(request).await.unwrap()).await, "plain");
        let seen = member.recorder.only_request();
        assert_eq!(seen.target, "/plain?x=1");
        let host = seen.authority.unwrap_or_else(|| seen.headers["host"].to_str().unwrap().to_owned());
        assert_eq!(host, format!("127.0.0.1:{}", member.address.port()));
    }
}

#[tokio::test]
async fn watches_beyond_a_connections_limit_open_another() {
    let member = FakeMember::start(Options { max_streams: 10, ..Options::default() }).await;
    let transport = transport(&member);
    let watches = join_all((0..25).map(|_| transport.send(get("/watch")))).await;
    assert!(watches.iter().all(Result::is_ok));
    assert_eq!(text(transport.send(get("/plain")).await.unwrap()).await, "plain");
    assert_eq!(member.recorder.connections(), 3);
    drop(watches);
    for watch in member.recorder.watches(25).await {
        watch.closed().await;
    }
    assert_eq!(text(transport.send(get("/plain")).await.unwrap()).await, "plain");
    assert_eq!(member.recorder.connections(), 3);
}

#[tokio::test]
async fn many_requests_at_once_make_one_dial() {
    let member = member(Protocols::Both).await;
    let transport = transport(&member);
    let answers = join_all((0..100).map(|_| transport.send(get("/plain")))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!((member.recorder.connections(), transport.counters().dials()), (1, 1));
}

#[tokio::test]
async fn a_failed_dial_fails_all_who_wait_with_the_same_words() {
    let mut member = member(Protocols::Both).await;
    member.stop_accepting().await;
    let transport = transport(&member);
    let answers = join_all((0..20).map(|_| transport.send(get("/plain")))).await;
    let expected = format!("dial tcp {}: connect: connection refused", member.address);
    for answer in answers {
        assert_eq!(answer.unwrap_err(), TransportError::Dial(expected.clone()));
    }
    assert_eq!((transport.counters().dials(), transport.counters().dial_failures()), (1, 1));
}

#[tokio::test]
async fn a_waiter_that_gives_up_does_not_end_the_dial() {
    let member = member(Protocols::Both).await;
    let transport = Arc::new(transport(&member));
    let mut first = Box::pin(transport.send(get("/plain")));
    // One poll starts the dial; then its starter goes away.
    assert!(futures_util::poll!(&mut first).is_pending());
    let second = tokio::spawn({
        let transport = Arc::clone(&transport);
        async move { transport.send(get("/plain")).await }
    });
    drop(first);
    assert!(second.await.unwrap().is_ok());
    assert_eq!(transport.counters().dials(), 1);
}

#[tokio::test]
async fn rule_176_a_dropped_answer_ends_the_request_at_the_member() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let member = member(protocols).await;
        let transport = transport(&member);
        let response = transport.send(get("/watch")).await.unwrap();
        let watch = member.recorder.watch().await;
        watch.send("event").await;
        drop(response);
        watch.closed().await;
        assert_eq!(text(transport.send(get("/plain")).await.unwrap()).await, "plain");
    }
}

#[tokio::test]
async fn rule_176_a_dropped_request_ends_at_the_member() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let member = member(protocols).await;
        let transport = Arc::new(transport(&member));
        let sending = tokio::spawn({
            let transport = Arc::clone(&transport);
            async move { transport.send(get("/slow-head")).await.map(drop) }
        });
        member.recorder.received(1).await;
        sending.abort();
        assert!(sending.await.unwrap_err().is_cancelled());
        assert_eq!(text(transport.send(get("/plain")).await.unwrap()).await, "plain");
    }
}

#[tokio::test]
async fn rule_175_a_body_that_breaks_off_is_an_error() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        for path in ["/reset-mid-body/sized", "/reset-mid-body/chunked"] {
            let member = member(protocols).await;
            let mut body = transport(&member).send(get(path)).await.unwrap().into_body();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 2000);
            member.recorder.watch().await.fail().await;
            assert!(body.collect().await.is_err(), "{protocols:?} {path}");
        }
    }
}

#[tokio::test]
async fn rule_174_a_request_body_streams_while_the_answer_does() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let member = member(protocols).await;
        let body = Bytes::from(vec![b'z'; 3 << 20]);
        let request = Request::post("/echo").body(Body::from(body)).unwrap();
        let answer = text(transport(&member).send(request).await.unwrap()).await;
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["length"], 3 << 20);
    }
}

#[tokio::test]
async fn rule_130_readers_that_stand_still_do_not_stop_the_others() {
    let member = member(Protocols::Both).await;
    let transport = transport(&member);
    let mut stalled = Vec::new();
    for _ in 0..99 {
        stalled.push(transport.send(get("/big/1000000")).await.unwrap());
    }
    let body = transport.send(get("/big/1000000")).await.unwrap().into_body();
    assert_eq!(body.collect().await.unwrap().to_bytes().len(), 1_000_000);
    assert_eq!(member.recorder.connections(), 1);
    drop(stalled);
}

#[tokio::test]
async fn rule_128_an_answer_that_does_not_begin_is_given_up() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let member = member(protocols).await;
        let limit = Duration::from_millis(50);
        let options = TransportOptions { response_header_timeout: Some(limit), ..options() };
        let transport = Transport::new(spec(&member), Arc::new(options));
        let error = transport.send(get("/slow-head")).await.unwrap_err();
        assert!(matches!(&error, TransportError::Timeout(text) if text.contains("50ms")), "{error}");
        assert!(transport.send(get("/plain")).await.is_ok());
    }
}

#[tokio::test]
async fn rule_128_idle_connections_are_closed() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let member = member(protocols).await;
        let options = TransportOptions { idle_timeout: Duration::from_millis(20), ..options() };
        let transport = Transport::new(spec(&member), Arc::new(options));
        text(transport.send(get("/plain")).await.unwrap()).await;
        while transport.counters().open() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        text(transport.send(get("/plain")).await.unwrap()).await;
        assert_eq!(member.recorder.connections(), 2);
    }
}

#[tokio::test]
async fn rule_164_a_dropped_transport_lets_open_streams_end() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let member = member(protocols).await;
        let transport = transport(&member);
        let response = transport.send(get("/watch")).await.unwrap();
        drop(transport);
        let watch = member.recorder.watch().await;
        watch.send("after").await;
        drop(watch);
        assert_eq!(text(response).await, "after");
    }
}

#[tokio::test]
async fn more_connections_than_allowed_are_refused() {
    let member = member(Protocols::Http1).await;
    let options = TransportOptions { max_connections: 2, ..options() };
    let transport = Transport::new(spec(&member), Arc::new(options));
    let _first = transport.send(get("/watch")).await.unwrap();
    let _second = transport.send(get("/watch")).await.unwrap();
    let error = transport.send(get("/plain")).await.unwrap_err();
    assert!(matches!(error, TransportError::Saturated(_)), "{error}");
}

#[tokio::test]
async fn requests_that_dial_at_the_same_time_see_each_other() {
    let member = member(Protocols::Http1).await;
    let options = TransportOptions { max_connections: 3, ..options() };
    let transport = Transport::new(spec(&member), Arc::new(options));
    let watches = join_all((0..20).map(|_| transport.send(get("/watch")))).await;
    assert_eq!(member.recorder.connections(), 3);
    assert_eq!(watches.iter().filter(|watch| watch.is_ok()).count(), 3);
    let refused = |watch: &Result<_, TransportError>| matches!(watch, Err(TransportError::Saturated(_)));
    assert_eq!(watches.iter().filter(|watch| refused(watch)).count(), 17);
}

#[tokio::test]
async fn a_request_that_others_always_overtake_is_given_up() {
    let member = FakeMember::start(Options { max_streams: 1, ..Options::default() }).await;
    let transport = transport(&member);
    let watches = join_all((0..120).map(|_| transport.send(get("/watch")))).await;
    let (held, refused): (Vec<_>, Vec<_>) = watches.into_iter().partition(Result::is_ok);
    assert!(held.len() >= 100 && !refused.is_empty(), "{} of 120", held.len());
    for error in refused.into_iter().filter_map(Result::err) {
        let expected = "100 connections in a row were taken by others";
        assert!(matches!(&error, TransportError::Saturated(text) if text.starts_with(expected)), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_get_each_their_own_answer_over_few_connections() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let member = member(protocols).await;
        let transport = Arc::new(transport(&member));
        let callers = (0..32).map(|caller| {
            let transport = Arc::clone(&transport);
            tokio::spawn(async move {
                for number in 0..100 {
                    let target = format!("/echo?{caller}-{number}");
                    let answer = text(transport.send(get(&target)).await.unwrap()).await;
                    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
                    assert_eq!(answer["target"], target);
                }
            })
        });
        for caller in join_all(callers).await {
            caller.unwrap();
        }
        let connections = member.recorder.connections();
        let most = if protocols == Protocols::Both { 1 } else { 64 };
        assert!(connections <= most, "{protocols:?} {connections}");
    }
}

#[tokio::test]
async fn rule_163_two_members_never_share_a_connection() {
    let (one, other) = (member(Protocols::Both).await, member(Protocols::Both).await);
    let (to_one, to_other) = (transport(&one), transport(&other));
    for _ in 0..20 {
        let (first, second) = tokio::join!(to_one.send(get("/echo?one")), to_other.send(get("/echo?other")));
        assert!(first.is_ok() && second.is_ok());
    }
    assert!(one.recorder.requests().iter().all(|request| request.target == "/echo?one"));
    assert!(other.recorder.requests().iter().all(|request| request.target == "/echo?other"));
    assert_eq!((one.recorder.connections(), other.recorder.connections()), (1, 1));
}
