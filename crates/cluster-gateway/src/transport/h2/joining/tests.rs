use std::collections::VecDeque;

use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;

use super::*;

/// A body that gives what it has and then, where `None` stands, nothing for now.
struct Script(VecDeque<Option<Frame<Bytes>>>);

impl http_body::Body for Script {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Polled> {
        match self.0.pop_front() {
            Some(Some(frame)) => Poll::Ready(Some(Ok(frame))),
            Some(None) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }
}

fn data(length: usize) -> Option<Frame<Bytes>> {
    Some(Frame::data(Bytes::from(vec![b'x'; length])))
}

/// Lengths of the frames that leave; a trailer counts as 0.
fn leaving(script: impl IntoIterator<Item = Option<Frame<Bytes>>>) -> Vec<usize> {
    let mut body = Joining::new(Body::boxed(Script(script.into_iter().collect())));
    let mut lengths = Vec::new();
    loop {
        match body.frame().now_or_never() {
            None => {}
            Some(None) => return lengths,
            Some(Some(frame)) => {
                lengths.push(frame.expect("no error").data_ref().map_or(0, Bytes::len));
            }
        }
    }
}

#[test]
fn small_frames_that_are_there_leave_together_and_nothing_waits() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x", HeaderValue::from_static("1"));
    assert_eq!(leaving([data(1), data(2), None, data(3)]), [3, 3]);
    assert_eq!(leaving([data(1), data(5000), data(1)]), [1, 5000, 1], "large ones are not copied");
    assert_eq!(leaving([data(1), data(1), Some(Frame::trailers(trailers))]), [2, 0]);
    assert_eq!(
        leaving((0..100_000).map(|_| data(1))),
        [JOINED, JOINED, JOINED, JOINED, JOINED, JOINED, 1696]
    );
    assert!(leaving([]).is_empty());
}
