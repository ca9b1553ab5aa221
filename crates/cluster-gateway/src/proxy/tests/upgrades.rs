//! Upgrades, through a real HTTP/1.1 server in front.

use std::convert::Infallible;

use http::StatusCode;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

const GREETING: &str = "server speaks first;";

/// A client's connection to a gateway that forwards every upgrade to `path` of the member.
fn client(member: &FakeMember, path: &'static str, tasks: &TaskTracker) -> DuplexStream {
    let (client, server) = duplex(1 << 20);
    let (upstream, tasks) = (upstream(member), tasks.clone());
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (upstream, tasks) = (upstream.clone(), tasks.clone());
        async move {
            let (mut parts, body) = request.into_parts();
            let (method, uri, hop) = (parts.method.clone(), parts.uri.clone(), Hop::default());
            let outbound = outbound(&upstream, &method, path, uri.query(), &hop);
            let mut body = body.into();
            let answer = upgrade::forward(&outbound, &mut parts, &mut body, &peer(), stream(&tasks)).await;
            Ok::<_, Infallible>(answer.unwrap_or_else(|error| error.into_response(false)))
        }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service);
    tokio::spawn(connection.with_upgrades());
    client
}

fn stream(tasks: &TaskTracker) -> upgrade::Stream<'_> {
    upgrade::Stream { tasks, observer: None, place: Place::default() }
}

/// An upgrade request followed by `early` bytes in the same write.
fn request(early: &str) -> String {
    format!(
        "POST /x HTTP/1.1\r\nHost: gateway\r\nConnection: X-Drop, upgrade, Authorization\r\nUpgrade: SPDY/3.1\r\n\
         X-Drop: 1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\nX-Stream-Protocol-Version: channel.k8s.io\r\n\
         Origin: https://ui\r\nContent-Length: 0\r\n\r\n{early}"
    )
}

async fn read_head(client: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.expect("a head"));
    }
    String::from_utf8(head).expect("text")
}

async fn read(client: &mut DuplexStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    client.read_exact(&mut bytes).await.expect("bytes");
    String::from_utf8(bytes).expect("text")
}

#[tokio::test]
async fn rule_184_rule_185_rule_190_bytes_flow_both_ways_and_early_ones_are_kept() {
    let (member, tasks) = (member(Protocols::Both).await, TaskTracker::new());
    let mut client = client(&member, "/upgrade", &tasks);
    client.write_all(request("early;").as_bytes()).await.expect("a write");
    let head = read_head(&mut client).await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    for line in ["upgrade: spdy/3.1\r\n", "x-stream-protocol-version: v4.channel.k8s.io\r\n"] {
        assert!(head.contains(line), "{line} {head}");
    }
    assert_eq!(read(&mut client, GREETING.len()).await, GREETING);
    assert_eq!(read(&mut client, 6).await, "early;");
    client.write_all(b"late").await.expect("a write");
    assert_eq!(read(&mut client, 4).await, "late");
    assert_eq!(tasks.len(), 1);
    client.shutdown().await.expect("an end");
    assert_eq!(client.read_to_end(&mut Vec::new()).await.expect("an end"), 0);
    tasks.close();
    tasks.wait().await;
}

#[tokio::test]
async fn rule_158_rule_191_rule_192_the_member_sees_one_upgrade_token_and_the_credential() {
    let (member, tasks) = (member(Protocols::Both).await, TaskTracker::new());
    let mut client = client(&member, "/upgrade", &tasks);
    client.write_all(request("").as_bytes()).await.expect("a write");
    read_head(&mut client).await;
    let seen = member.recorder.only_request();
    let values = |name| seen.headers.get_all(name).iter().collect::<Vec<_>>();
    assert_eq!(seen.version, http::Version::HTTP_11);
    assert_eq!(values("connection"), ["Upgrade"]);
    assert_eq!(values("upgrade"), ["SPDY/3.1"]);
    assert_eq!(values("authorization"), ["Bearer member-token"]);
    assert_eq!(values("x-stream-protocol-version"), ["v4.channel.k8s.io", "channel.k8s.io"]);
    assert_eq!(values("origin"), ["https://ui"]);
    assert!(values("x-drop").is_empty());
    assert_eq!(values("x-forwarded-for"), ["10.1.2.3"]);
}

#[tokio::test]
async fn rule_185_eight_megabytes_come_back_unharmed() {
    let (member, tasks) = (member(Protocols::Both).await, TaskTracker::new());
    let mut client = client(&member, "/upgrade", &tasks);
    client.write_all(request("").as_bytes()).await.expect("a write");
    read_head(&mut client).await;
    read(&mut client, GREETING.len()).await;
    let sent: Vec<u8> = (0..8_u32 << 20).map(|number| (number / 7) as u8).collect();
    let (mut reader, mut writer) = tokio::io::split(client);
    let writing = tokio::spawn({
        let sent = sent.clone();
        async move { writer.write_all(&sent).await.map(|()| writer) }
    });
    let mut received = vec![0; sent.len()];
    reader.read_exact(&mut received).await.expect("an echo");
    assert!(received == sent);
    writing.await.expect("a task").expect("a write");
}

#[tokio::test]
async fn rule_189_a_client_that_goes_away_ends_the_splice_and_the_member() {
    let (member, tasks) = (member(Protocols::Both).await, TaskTracker::new());
    let mut client = client(&member, "/upgrade", &tasks);
    client.write_all(request("").as_bytes()).await.expect("a write");
    read_head(&mut client).await;
    read(&mut client, GREETING.len()).await;
    drop(client);
    tasks.close();
    tasks.wait().await;
}

#[tokio::test]
async fn rule_189_a_member_that_ends_ends_the_client() {
    let (member, tasks) = (member(Protocols::Both).await, TaskTracker::new());
    let mut client = client(&member, "/upgrade-and-close", &tasks);
    client.write_all(request("").as_bytes()).await.expect("a write");
    read_head(&mut client).await;
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.expect("an end");
    assert_eq!(rest, GREETING);
}

#[tokio::test]
async fn rule_186_rule_187_a_refusal_is_relayed_and_nothing_follows_it() {
    let (member, tasks) = (member(Protocols::Both).await, TaskTracker::new());
    let mut client = client(&member, "/upgrade-refused", &tasks);
    client
        .write_all(request("GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
        .await
        .expect("a write");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("a closed connection");
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(
        answer.contains("x-member: yes\r\n") && answer.ends_with("{\"reason\":\"Forbidden\"}"),
        "{answer}"
    );
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert_eq!(member.recorder.requests().len(), 1);
    assert_eq!(member.recorder.upgraded(), b"");
}

#[tokio::test]
async fn rule_186_any_other_answer_is_an_error() {
    for status in [200, 204, 302] {
        let (member, tasks) = (member(Protocols::Both).await, TaskTracker::new());
        let path = format!("/upgrade-status/{status}").leak();
        let mut client = client(&member, path, &tasks);
        client.write_all(request("").as_bytes()).await.expect("a write");
        let head = read_head(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
        let body = read(&mut client, 120).await;
        assert!(body.contains(&format!("invalid upgrade response: status code {status}")), "{body}");
    }
}

#[tokio::test]
async fn rule_177_a_failed_dial_of_an_upgrade_says_so() {
    let mut member = member(Protocols::Both).await;
    member.stop_accepting().await;
    let upstream = upstream(&member);
    let hop = Hop::default();
    let outbound = outbound(&upstream, &Method::POST, "/upgrade", None, &hop);
    let mut request =
        Request::post("/x").header("upgrade", "SPDY/3.1").body(Body::empty()).expect("a request");
    let on_upgrade = hyper::upgrade::on(&mut request);
    request.extensions_mut().insert(on_upgrade);
    let (mut parts, mut body) = request.into_parts();
    let error = upgrade::forward(&outbound, &mut parts, &mut body, &peer(), stream(&TaskTracker::new()))
        .await
        .expect_err("nobody listens");
    let expected = format!("error dialing backend: dial tcp {}: connect: connection refused", member.address);
    assert_eq!((error.code(), error.to_string()), (StatusCode::INTERNAL_SERVER_ERROR, expected));
}
