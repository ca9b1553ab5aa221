//! HTTP/2 members whose every frame the test writes.

use std::sync::Arc;
use std::time::Duration;

use cluster_gateway::transport::{Transport, TransportError, TransportOptions};
use http_body_util::BodyExt;

use super::{get, options};
use crate::support::frames::{DATA, END_HEADERS, GOAWAY, HEADERS, RST_STREAM};
use crate::support::member_frames::{Raw, STATUS_200};

fn send(transport: &Arc<Transport>) -> tokio::task::JoinHandle<Result<String, TransportError>> {
    let transport = Arc::clone(transport);
    tokio::spawn(async move { Ok(super::text(transport.send(get("/x")).await?).await) })
}

#[tokio::test]
async fn rule_175_a_stream_that_is_reset_without_an_error_has_not_ended() {
    let raw = Raw::start().await;
    let transport = raw.transport(options());
    let sending = tokio::spawn(async move { transport.send(get("/x")).await.unwrap() });
    let mut connection = raw.accept().await;
    let stream = connection.request().await;
    connection.write(HEADERS, END_HEADERS, stream, STATUS_200).await;
    connection.write(DATA, 0, stream, b"half").await;
    let mut body = sending.await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
    connection.write(RST_STREAM, 0, stream, &[0; 4]).await;
    assert!(body.frame().await.expect("no clean end").is_err());
}

#[tokio::test]
async fn a_request_that_the_member_has_not_looked_at_is_sent_again() {
    let raw = Raw::start().await;
    let transport = raw.transport(options());
    let sending = send(&transport);
    let mut first = raw.accept().await;
    let stream = first.request().await;
    // REFUSED_STREAM, then a GOAWAY whose last stream is an earlier one.
    first.write(RST_STREAM, 0, stream, &7_u32.to_be_bytes()).await;
    let again = first.request().await;
    assert!(again > stream);
    first.write(GOAWAY, 0, 0, &[0; 8]).await;
    let mut second = raw.accept().await;
    let stream = second.request().await;
    second.answer(stream).await;
    assert_eq!(sending.await.unwrap().unwrap(), "answer");
}

#[tokio::test]
async fn a_request_that_the_member_may_have_seen_is_not_sent_again() {
    let raw = Raw::start().await;
    let transport = raw.transport(options());
    let sending = send(&transport);
    let mut connection = raw.accept().await;
    let stream = connection.request().await;
    connection.write(RST_STREAM, 0, stream, &2_u32.to_be_bytes()).await;
    assert!(matches!(sending.await.unwrap(), Err(TransportError::Exchange(_))));
    assert_eq!(transport.counters().dials(), 1);
}

#[tokio::test]
async fn rule_129_a_connection_that_says_goodbye_finishes_its_streams_and_takes_no_new_ones() {
    let raw = Raw::start().await;
    let transport = raw.transport(options());
    let sending = send(&transport);
    let mut first = raw.accept().await;
    let stream = first.request().await;
    first.write(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]).await;
    let next = send(&transport);
    let mut second = raw.accept().await;
    let other = second.request().await;
    second.answer(other).await;
    assert_eq!(next.await.unwrap().unwrap(), "answer");
    first.answer(stream).await;
    assert_eq!(sending.await.unwrap().unwrap(), "answer");
    first.closed().await;
}

#[tokio::test]
async fn rule_128_a_connection_that_does_not_answer_pings_is_given_up() {
    let raw = Raw::start().await;
    let limit = Duration::from_millis(20);
    let transport =
        raw.transport(TransportOptions { ping_interval: limit, ping_timeout: limit, ..options() });
    let sending = send(&transport);
    let mut connection = raw.accept().await;
    connection.request().await;
    let error = sending.await.unwrap().unwrap_err();
    assert!(matches!(error, TransportError::Exchange(_)), "{error}");
    let next = send(&transport);
    raw.accept().await;
    next.abort();
}

#[tokio::test]
async fn rule_128_the_time_limits_are_those_of_kubernetes() {
    let options = TransportOptions::default();
    let seconds = [
        options.dial_timeout,
        options.tls_handshake_timeout,
        options.ping_interval,
        options.ping_timeout,
        options.idle_timeout,
    ]
    .map(|limit| limit.as_secs());
    assert_eq!((seconds, options.response_header_timeout), ([30, 10, 30, 15, 90], None));
}
