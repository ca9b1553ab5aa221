//! Streams: at once, of any length, and never a clean end after a fault.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};

use crate::support::fake_member::{Options, Protocols};
use crate::support::frames::{DATA, END_HEADERS, END_STREAM, Frames, HEADERS, literal, request};
use crate::support::world::{PROXY, Setup, World, until};

async fn world(protocols: Protocols) -> World {
    World::with(Setup { member: Options { protocols, ..Options::default() }, ..Setup::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_173_each_event_of_a_watch_passes_at_once() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        for http2 in [false, true] {
            let world = world(protocols).await;
            let caller = if http2 { world.masters().http2() } else { world.masters() };
            let mut watch = caller.open(Method::GET, &format!("{PROXY}/watch"), "").await;
            let upstream = world.member.recorder.watch().await;
            for event in ["{\"type\":\"ADDED\"}\n", "{\"type\":\"DELETED\"}\n"] {
                upstream.send(event).await;
                let frame = tokio::time::timeout(Duration::from_secs(60), watch.frame()).await.unwrap();
                assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), event);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_175_a_member_that_breaks_off_breaks_off_for_the_client() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        for http2 in [false, true] {
            for kind in ["sized", "chunked"] {
                let world = world(protocols).await;
                let caller = if http2 { world.masters().http2() } else { world.masters() };
                let answer = caller.open(Method::GET, &format!("{PROXY}/reset-mid-body/{kind}"), "").await;
                assert_eq!(answer.status(), 200);
                world.member.recorder.watch().await.fail().await;
                let end = answer.into_body().collect().await;
                assert!(end.is_err(), "{protocols:?}, h2 {http2}, {kind}: a clean end after a reset");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_176_a_client_that_leaves_ends_the_request_at_the_member() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let world = world(protocols).await;
        let watch = world.masters().open(Method::GET, &format!("{PROXY}/watch"), "").await;
        let upstream = world.member.recorder.watch().await;
        drop(watch);
        tokio::time::timeout(Duration::from_secs(60), upstream.closed())
            .await
            .expect("the member's stream ends");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_170_trailers_pass() {
    let world = world(Protocols::Both).await;
    let answer = world.masters().http2().open(Method::GET, &format!("{PROXY}/trailers"), "").await;
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["x-checksum"], "42");
    assert_eq!(body.to_bytes(), "body");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_159_rule_170_of_an_answers_trailers_only_harmless_ones_pass() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let world = world(protocols).await;
        let caller = world.masters().http2().header("te", "trailers");
        let answer = caller.open(Method::GET, &format!("{PROXY}/bad-trailers"), "").await;
        let body = answer.into_body().collect().await.unwrap();
        let names: Vec<_> = body.trailers().unwrap().keys().map(|name| name.as_str().to_owned()).collect();
        assert_eq!(names, ["x-checksum"], "{protocols:?}");
        assert_eq!(body.to_bytes(), "body");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_149_rule_159_no_trailer_of_a_request_reaches_the_member() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let world = world(protocols).await;
        let caller = world.masters();
        let Frames { mut reader, mut writer } = Frames::open(&caller).await;
        let block = request(&caller, "POST", &format!("{PROXY}/echo"), &[("trailer", "impersonate-user")]);
        writer.frame(HEADERS, END_HEADERS, 1, &block).await.unwrap();
        writer.frame(DATA, 0, 1, b"body").await.unwrap();
        let mut trailers = Vec::new();
        literal(&mut trailers, "impersonate-user", "admin");
        literal(&mut trailers, "x-checksum", "42");
        writer.frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers).await.unwrap();
        let echo = reader.find(|frame| frame.kind == DATA).await.unwrap();
        let echo: serde_json::Value = serde_json::from_slice(&echo.payload).unwrap();
        assert_eq!((&echo["length"], &echo["trailers"]), (&4.into(), &false.into()), "{protocols:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_174_large_bodies_pass_both_ways_and_head_has_none() {
    let world = world(Protocols::Both).await;
    let caller = world.masters().http2();
    let answer = caller.get(&format!("{PROXY}/big/20000000")).await;
    assert_eq!(answer.body.len(), 20_000_000);
    let body = Bytes::from(vec![b'z'; 5_000_000]);
    let request = Request::post("/").body(Full::new(body)).unwrap();
    let mut request = request;
    request.headers_mut().extend(world.masters().headers());
    let echoed = caller.exchange(request, &format!("{PROXY}/echo")).await.unwrap();
    let echoed = echoed.into_body().collect().await.unwrap().to_bytes();
    let echoed: serde_json::Value = serde_json::from_slice(&echoed).unwrap();
    assert_eq!(echoed["length"], 5_000_000);
    for caller in [caller.clone(), world.masters()] {
        for path in [&format!("{PROXY}/plain"), "/healthz"] {
            let head = caller.send(Method::HEAD, path, "").await;
            assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_130_a_slow_reader_stops_nobody_else() {
    let world = world(Protocols::Both).await;
    let caller = world.masters().http2();
    // Nobody reads this one: its member must be held back, and others not.
    let stalled = caller.open(Method::GET, &format!("{PROXY}/big/200000000"), "").await;
    for _ in 0..20 {
        let answer =
            tokio::time::timeout(Duration::from_secs(60), caller.get(&format!("{PROXY}/plain"))).await;
        assert_eq!(answer.expect("an answer beside a stalled reader").status, 200);
    }
    drop(stalled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_closes_before_its_head_is_named() {
    let world = world(Protocols::Both).await;
    let answer = world.masters().get(&format!("{PROXY}/close-before-head")).await;
    assert_eq!(answer.status, 500);
    assert!(answer.message().contains("cluster m"), "{}", answer.message());
    until(|| async { world.masters().get(&format!("{PROXY}/plain")).await.status == 200 }).await;
}
