//! Faults, from the other end of the wire. Nothing is measured: that something never comes is seen by what comes instead.

use std::time::Duration;

use anyhow::{Result, ensure};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use simulated_member::{Certificate, Fault, Member, User};

use crate::client::{Client, is_reset};

const PODS: &str = "/api/v1/pods";
/// For how long something is awaited that should not come.
const NEVER: Duration = Duration::from_millis(200);

async fn member() -> Result<Member> {
    Member::builder().token("t", User::new("ann")).start().await
}

#[tokio::test]
async fn no_answer_comes() -> Result<()> {
    let member = member().await?;
    member.faults().set_for(PODS, Fault::StallBeforeHeaders);
    let client = Client::http2(&member, "t");
    assert!(tokio::time::timeout(NEVER, client.get(PODS)).await.is_err());
    assert_eq!(client.get("/api/v1/secrets").await?.status, StatusCode::OK);
    member.faults().clear();
    assert_eq!(client.get(PODS).await?.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_body_stalls_or_breaks_off() -> Result<()> {
    let member = member().await?;
    for client in [Client::with_token(&member, "t"), Client::http2(&member, "t")] {
        member.faults().set(Fault::StallMidBody { after: 7 });
        let mut body = client.send(Method::GET, PODS, "").await?.into_body();
        assert_eq!(body.frame().await.unwrap()?.into_data().unwrap().len(), 7);
        assert!(tokio::time::timeout(NEVER, body.frame()).await.is_err());

        member.faults().set(Fault::Abort { after: 7 });
        let body = client.send(Method::GET, PODS, "").await?.into_body();
        assert!(body.collect().await.is_err());
    }
    Ok(())
}

#[tokio::test]
async fn connections_are_reset() -> Result<()> {
    let member = member().await?;
    let client = Client::with_token(&member, "t");
    member.faults().set_times(PODS, Fault::Reset { after: None }, 1);
    let error = client.get(PODS).await.unwrap_err();
    ensure!(is_reset(&error), "{error:?}");
    member.faults().set_times(PODS, Fault::Reset { after: Some(7) }, 1);
    let error = client.get(PODS).await.unwrap_err();
    ensure!(is_reset(&error), "{error:?}");
    assert_eq!(client.get(PODS).await?.status, StatusCode::OK);
    let mut watch = client.send(Method::GET, "/api/v1/pods?watch=true", "").await?.into_body();
    member.faults().disconnect();
    let error = watch.frame().await.unwrap().unwrap_err().into();
    ensure!(is_reset(&error), "{error:?}");
    assert_eq!(client.get(PODS).await?.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_connection_that_goes_away_ends_what_is_under_way() -> Result<()> {
    let member = member().await?;
    let slow = Fault::SlowBytes { chunk: 64, every: Duration::from_millis(1) };
    member.faults().set_times(PODS, slow, 1);
    let client = Client::http2(&member, "t");
    let mut connection = client.connection().await?;
    let under_way = connection.send_request(client.request(PODS)?).await?;
    member.faults().go_away();
    let body = under_way.into_body().collect().await?.to_bytes();
    ensure!(serde_json::from_slice::<serde_json::Value>(&body)?["items"].is_array(), "{body:?}");
    // The end of the connection follows at once.
    while connection.ready().await.is_ok() {
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::test]
async fn connections_are_refused_and_taken_again() -> Result<()> {
    let member = member().await?;
    let client = Client::with_token(&member, "t");
    member.faults().refuse_connections(true).await;
    let error = client.get(PODS).await.unwrap_err();
    ensure!(format!("{error:#}").contains("refused"), "{error:#}");
    member.faults().refuse_connections(false).await;
    assert_eq!(client.get(PODS).await?.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn too_many_requests_says_when_to_come_back() -> Result<()> {
    let member = member().await?;
    member.faults().set(Fault::TooManyRequests { retry_after: 7 });
    let answer = Client::with_token(&member, "t").get(PODS).await?;
    assert_eq!(
        (answer.status, &answer.headers["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"7".parse()?)
    );
    assert_eq!(answer.body["reason"], "TooManyRequests");
    Ok(())
}

#[tokio::test]
async fn bytes_come_slowly_and_all() -> Result<()> {
    let member = member().await?;
    member.faults().set(Fault::SlowBytes { chunk: 50, every: Duration::from_millis(1) });
    assert_eq!(Client::http2(&member, "t").get(PODS).await?.body["kind"], "PodList");
    Ok(())
}

#[tokio::test]
async fn a_huge_list_is_streamed() -> Result<()> {
    let member = member().await?;
    member.faults().set(Fault::HugeList { objects: 20_000, bytes: 1_000 });
    let client = Client::with_token(&member, "t");
    let answer = client.get("/api/v1/configmaps").await?;
    assert_eq!(answer.body["items"].as_array().unwrap().len(), 20_000);
    assert_eq!(client.get("/api/v1/namespaces/default").await?.body["kind"], "Namespace");
    Ok(())
}

#[tokio::test]
async fn other_certificates_are_shown() -> Result<()> {
    let member = member().await?;
    let client = Client::with_token(&member, "t");
    for (certificate, reason) in [
        (Certificate::Expired, "expired"),
        (Certificate::WrongName, "not valid for name"),
        (Certificate::UnknownIssuer, "UnknownIssuer"),
    ] {
        member.faults().show_certificate(certificate)?;
        let error = format!("{:#}", client.get(PODS).await.unwrap_err());
        ensure!(error.contains(reason), "{certificate:?}: {error}");
    }
    member.faults().show_certificate(Certificate::Good)?;
    assert_eq!(client.get(PODS).await?.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_member_that_stops_leaves_nothing() -> Result<()> {
    let member = member().await?;
    let client = Client::with_token(&member, "t");
    let mut watch = client.send(Method::GET, "/api/v1/pods?watch=true", "").await?.into_body();
    member.stop().await;
    assert!(watch.frame().await.is_none_or(|frame| frame.is_err()));
    assert!(client.get(PODS).await.is_err());
    Ok(())
}
