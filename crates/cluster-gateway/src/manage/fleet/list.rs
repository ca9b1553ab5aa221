//! All clusters in one answer.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use http::{HeaderMap, HeaderValue, header};

use super::card::Card;
use super::sight::Sight;
use crate::api::compress;
use crate::manage::{Caller, Code, Manage, Refusal};

/// Answers from this length on, in bytes, are compressed.
const LARGE: usize = 4096;

pub(super) async fn list(
    manage: &Arc<Manage>,
    caller: &Caller,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    if !manage.gateway.registry.synced() {
        return Err(Refusal::new(Code::Unavailable, "the clusters have not been read yet"));
    }
    let mut sight = Sight::of(manage, caller).await;
    let _place = manage.fleet.lists.acquire().await;
    let records = manage.records.view().await;
    // Before the clusters are looked at: what changes in between is told to who goes on from here.
    let generation = manage.gateway.registry.generation().to_string();
    let cards = manage.fleet.board.all(&manage.gateway.registry.snapshot(), &records);
    let cards = sight.only(manage, cards).await;
    let compressed = compress::accepts_gzip(headers);
    // So much text is a task of its own.
    let written = tokio::task::spawn_blocking(move || {
        let text = written(&generation, &cards);
        let packed =
            (compressed && text.len() >= LARGE).then(|| compress::gzip(text.as_bytes(), Compression::fast()));
        match packed.flatten() {
            Some(packed) => (packed, true),
            None => (Bytes::from(text), false),
        }
    });
    let (body, packed) =
        written.await.map_err(|_| Refusal::new(Code::Internal, "the list could not be written"))?;
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if packed {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

fn written(generation: &str, cards: &[Arc<Card>]) -> String {
    let length: usize = cards.iter().map(|card| card.len() + 1).sum();
    let mut text = String::with_capacity(length + 64);
    text.push_str("{\"generation\":\"");
    text.push_str(generation);
    text.push_str("\",");
    clusters(&mut text, cards);
    text.push('}');
    text
}

/// Appends `"clusters":[…]`.
pub(super) fn clusters(text: &mut String, cards: &[Arc<Card>]) {
    text.push_str("\"clusters\":[");
    for (index, card) in cards.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        card.write(text);
    }
    text.push(']');
}
