//! Bodies that fail, and one that is very large.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use tokio_util::sync::CancellationToken;

use super::Fault;
use crate::respond::{Body, streamed, typed};

/// What was sent before a break must have left: hyper throws away what it still holds.
const ON_ITS_WAY: Duration = Duration::from_millis(20);
/// Bytes of one piece of a large body, about.
const PIECE: usize = 64 << 10;

/// The same answer with a body that fails as told. `reset` resets the connection when cancelled.
pub(crate) fn broken(response: Response<Body>, fault: Fault, reset: CancellationToken) -> Response<Body> {
    match fault {
        Fault::StallMidBody { after } => cut(response, after, stream::pending()),
        Fault::Reset { after: Some(after) } => {
            let end = async move {
                tokio::time::sleep(ON_ITS_WAY).await;
                reset.cancel();
                std::future::pending().await
            };
            cut(response, after, stream::once(end))
        }
        Fault::Abort { after } => {
            let end = async {
                tokio::time::sleep(ON_ITS_WAY).await;
                Err(io::Error::from(io::ErrorKind::ConnectionAborted))
            };
            cut(response, after, stream::once(end))
        }
        Fault::SlowBytes { chunk, every } => slow(response, chunk.max(1), every),
        _ => response,
    }
}

/// Lets `after` bytes of the body pass and goes on with `end`. The head is that of the whole body.
fn cut(
    response: Response<Body>,
    after: usize,
    end: impl stream::Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response<Body> {
    response.map(|body| {
        let passed = stream::unfold((body.into_data_stream(), after), |(mut body, left)| async move {
            if left == 0 {
                return None;
            }
            let piece = body.next().await?.map(|mut bytes| bytes.split_to(left.min(bytes.len())));
            let left = piece.as_ref().map_or(0, |bytes| left - bytes.len());
            Some((piece, (body, left)))
        });
        streamed(passed.chain(end))
    })
}

fn slow(response: Response<Body>, chunk: usize, every: Duration) -> Response<Body> {
    response.map(|body| {
        let pieces = body.into_data_stream().flat_map(move |piece| {
            let mut rest = piece;
            stream::iter(std::iter::from_fn(move || match &mut rest {
                Ok(bytes) if bytes.is_empty() => None,
                Ok(bytes) => Some(Ok(bytes.split_to(chunk.min(bytes.len())))),
                failed => Some(std::mem::replace(failed, Ok(Bytes::new()))),
            }))
        });
        streamed(pieces.then(move |piece| async move {
            tokio::time::sleep(every).await;
            piece
        }))
    })
}

/// A list of config maps that exists only on its way to the client.
pub(crate) fn huge_list(objects: usize, bytes: usize) -> Response<Body> {
    let filler: String = "x".repeat(bytes);
    let head = "{\"kind\":\"ConfigMapList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[";
    let mut next = 0;
    let items = std::iter::from_fn(move || {
        let mut piece = String::new();
        while next < objects && piece.len() < PIECE {
            let comma = if next == 0 { "" } else { "," };
            piece.push_str(&format!(
                "{comma}{{\"metadata\":{{\"name\":\"huge-{next}\",\"namespace\":\"default\"}},\"data\":{{\"filler\":\"{filler}\"}}}}"
            ));
            next += 1;
        }
        (!piece.is_empty()).then_some(piece)
    });
    let pieces = std::iter::once(head.to_owned()).chain(items).chain(std::iter::once("]}\n".to_owned()));
    let body = streamed(stream::iter(pieces.map(|piece| Ok(Bytes::from(piece)))));
    typed(StatusCode::OK, "application/json", body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::respond::text;

    async fn first(response: Response<Body>, count: usize) -> Vec<io::Result<Bytes>> {
        response.into_body().into_data_stream().take(count).collect().await
    }

    #[tokio::test]
    async fn a_huge_list_is_a_list() {
        let body = huge_list(3_000, 100).into_body().collect().await.unwrap().to_bytes();
        let list: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(list["items"].as_array().unwrap().len(), 3_000);
        assert_eq!(list["items"][7]["data"]["filler"].as_str().unwrap().len(), 100);
    }

    #[tokio::test]
    async fn an_aborted_body_ends_with_an_error() {
        let response = broken(text("0123456789"), Fault::Abort { after: 4 }, CancellationToken::new());
        let pieces = first(response, 9).await;
        assert_eq!(pieces[0].as_ref().unwrap(), "0123");
        assert!(pieces[1].is_err());
    }

    #[tokio::test]
    async fn a_reset_comes_after_its_bytes() {
        let reset = CancellationToken::new();
        let response = broken(text("0123456789"), Fault::Reset { after: Some(4) }, reset.clone());
        let mut pieces = response.into_body().into_data_stream();
        assert_eq!(pieces.next().await.unwrap().unwrap(), "0123");
        assert!(!reset.is_cancelled());
        tokio::select! { biased; _ = pieces.next() => panic!("more came"), () = reset.cancelled() => {} }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_body_never_ends() {
        let response = broken(text("0123456789"), Fault::StallMidBody { after: 4 }, CancellationToken::new());
        let mut pieces = response.into_body().into_data_stream();
        assert_eq!(pieces.next().await.unwrap().unwrap(), "0123");
        assert!(tokio::time::timeout(Duration::from_secs(9_999), pieces.next()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn slow_bytes_take_their_time_and_are_all_there() {
        let begun = tokio::time::Instant::now();
        let fault = Fault::SlowBytes { chunk: 3, every: Duration::from_secs(1) };
        let body =
            broken(text("0123456789"), fault, CancellationToken::new()).into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "0123456789");
        assert_eq!(begun.elapsed(), Duration::from_secs(4));
    }
}
