//! Long lists, which are written as they are taken.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use http_body::Body as _;

use super::*;

const CLUSTERS: usize = 2000;
const PARTIAL: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

fn many() -> Fixture {
    let created = |n: usize| format!("2026-01-{:02}T00:00:00Z", n % 28 + 1);
    let clusters =
        (0..CLUSTERS).map(|n| cluster(&format!("c{n:04}"), CredentialType::ServiceAccountToken, &created(n)));
    Fixture::new(clusters.collect())
}

async fn list(fixture: &Fixture, uri: &str, accept: &str) -> Body {
    let (parts, ()) = Request::get(uri).header("accept", accept).body(()).unwrap().into_parts();
    let RequestInfo::Resource(target) = RequestInfo::parse(&parts).unwrap() else { panic!("{uri}") };
    let response = fixture.api.answer(&target, &parts, Body::empty()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    response.into_body()
}

#[tokio::test]
async fn what_is_written_in_pieces_is_what_is_written_at_once() {
    let fixture = many();
    for uri in [CG, VC] {
        for accept in ["application/json", TABLE, PARTIAL] {
            let pieces = list(&fixture, uri, accept).await.collect().await.unwrap().to_bytes();
            let whole = list(&fixture, &format!("{uri}?pretty=true"), accept).await;
            assert!(whole.as_full().is_some());
            let whole = whole.collect().await.unwrap().to_bytes();
            let parsed = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
            assert_eq!(parsed(&pieces), parsed(&whole), "{uri} as {accept}");
            assert!(pieces.ends_with(b"]}\n"), "{uri} as {accept}");
            let rows = parsed(&pieces);
            let rows = rows["items"].as_array().or(rows["rows"].as_array()).unwrap();
            assert!(rows.len() >= CLUSTERS, "{uri} as {accept}: {}", rows.len());
        }
    }
}

#[tokio::test]
async fn a_long_list_is_not_there_before_it_is_taken_and_lets_others_go_first() {
    let fixture = many();
    let mut body = list(&fixture, CG, "application/json").await;
    let mut cx = Context::from_waker(Waker::noop());
    let (mut lengths, mut pauses) = (Vec::new(), 0);
    loop {
        match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Pending => pauses += 1,
            Poll::Ready(Some(frame)) => lengths.push(frame.unwrap().into_data().unwrap().len()),
            Poll::Ready(None) => break,
        }
    }
    assert!(lengths.len() > 3 && lengths.iter().all(|length| *length < 200 << 10), "{lengths:?}");
    assert_eq!(pauses, lengths.len(), "one after each piece");
}

#[tokio::test]
async fn a_short_list_has_its_length() {
    let body = list(&many(), &format!("{CG}?limit=10"), "application/json").await;
    assert!(body.size_hint().exact().is_some_and(|length| length > 1000));
}
