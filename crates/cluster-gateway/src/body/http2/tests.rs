use h2::client::SendRequest;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::mpsc;

use super::*;

/// A client whose first request has reached its server, and the server's side of it.
struct Pair {
    answer: h2::client::ResponseFuture,
    respond: SendResponse<Bytes>,
    _client: SendRequest<Bytes>,
}

impl Pair {
    /// The client reads ahead `window` bytes at most.
    async fn new(window: u32) -> Self {
        let (here, there) = tokio::io::duplex(1 << 16);
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window);
        let (client, server) =
            tokio::join!(builder.handshake::<_, Bytes>(here), h2::server::handshake(there));
        let ((mut client, connection), mut server) = (client.unwrap(), server.unwrap());
        tokio::spawn(async move { _ = connection.await });
        let request = Request::get("https://member/").body(()).unwrap();
        let (answer, _) = client.send_request(request, true).unwrap();
        let (_, respond) = server.accept().await.unwrap().unwrap();
        tokio::spawn(async move { while server.accept().await.is_some() {} });
        Self { answer, respond, _client: client }
    }

    /// Sends `body` as the answer's; gives what the client gets, and how the sending ends.
    async fn answer(mut self, body: Body) -> (Body, tokio::task::JoinHandle<Result<(), BodyError>>) {
        let stream = self.respond.send_response(Response::new(()), false).unwrap();
        let sending = tokio::spawn(Sending::new(body, stream));
        let received = self.answer.await.unwrap().into_body();
        // The client lives as long as its connection is needed.
        let client = self._client;
        (Body::received(received).holding(client), sending)
    }
}

fn body(frames: Vec<Result<Frame<Bytes>, BodyError>>) -> Body {
    Body::boxed(StreamBody::new(futures_util::stream::iter(frames)))
}

fn data(text: &'static str) -> Result<Frame<Bytes>, BodyError> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

#[tokio::test]
async fn bytes_and_trailers_arrive_and_the_end_is_told() {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let frames = vec![data("a"), data(""), data("bc"), Ok(Frame::trailers(trailers.clone()))];
    let (received, sending) = Pair::new(65_535).await.answer(body(frames)).await;
    let received = received.collect().await.unwrap();
    assert_eq!(received.trailers(), Some(&trailers));
    assert_eq!(received.to_bytes(), "abc");
    sending.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_end_travels_with_the_last_bytes() {
    let (mut received, _) = Pair::new(65_535).await.answer(body(vec![data("all of it")])).await;
    assert_eq!(received.frame().await.unwrap().unwrap().into_data().unwrap(), "all of it");
    assert!(http_body::Body::is_end_stream(&received), "no frame of its own for the end");
}

#[tokio::test]
async fn rule_175_a_body_that_breaks_off_resets_the_stream() {
    let frames = vec![data("half"), Err("broken".into())];
    let (received, sending) = Pair::new(65_535).await.answer(body(frames)).await;
    let error = received.collect().await.unwrap_err();
    let reason = error.downcast_ref::<h2::Error>().and_then(h2::Error::reason);
    assert_eq!(reason, Some(Reason::INTERNAL_ERROR));
    assert_eq!(sending.await.unwrap().unwrap_err().to_string(), "broken");
}

#[tokio::test]
async fn rule_130_no_more_is_read_than_the_peer_has_room_for() {
    let (sender, mut frames) = mpsc::channel(1);
    let stream = futures_util::stream::poll_fn(move |cx| frames.poll_recv(cx));
    let (mut received, _sending) = Pair::new(4).await.answer(Body::boxed(StreamBody::new(stream))).await;
    let mut taken = 0;
    // A reader that stands still stops the sender after a few frames.
    while tokio::time::timeout(std::time::Duration::from_millis(200), sender.send(data("four"))).await.is_ok()
    {
        taken += 1;
        assert!(taken < 10, "the sender reads on");
    }
    let mut seen = 0;
    while seen < 4 * taken {
        seen += received.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    sender.send(data("four")).await.unwrap();
}

#[tokio::test]
async fn rule_176_a_peer_that_leaves_ends_the_sending() {
    let endless = Body::boxed(StreamBody::new(futures_util::stream::pending()));
    let (received, sending) = Pair::new(65_535).await.answer(endless).await;
    drop(received);
    sending.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn what_is_read_makes_room_again() {
    let frames = (0..1000).map(|_| data("0123456789")).collect();
    let (received, sending) = Pair::new(16).await.answer(body(frames)).await;
    assert_eq!(received.collect().await.unwrap().to_bytes().len(), 10_000);
    sending.await.unwrap().unwrap();
}

/// A body that has a frame every second time it is asked, and counts how often that is.
struct EverySecond(usize);

impl http_body::Body for EverySecond {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Item> {
        self.0 += 1;
        assert!(self.0 < 3, "asked again without a break");
        if self.0 == 1 { Poll::Ready(Some(data("a"))) } else { Poll::Pending }
    }
}

#[tokio::test]
async fn a_body_that_lets_others_go_first_is_not_asked_again_at_once() {
    let mut pair = Pair::new(65_535).await;
    let stream = pair.respond.send_response(Response::new(()), false).unwrap();
    let mut sending = Sending::new(Body::boxed(EverySecond(0)), stream);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(Pin::new(&mut sending).poll(&mut cx).is_pending());
}
