//! One stream of packets, and the dial on it (contract rules 237-239).

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::connection::Place;
use super::error::DialError;
use super::grpc::{self, Decoder};
use super::packet::Packet;

/// How long the answer to a `CLOSE_REQ`, and the end of the stream, are waited for (rule 239).
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Packets that mean nothing to a tunnel and that it takes in its life. Each may be answered, so they are counted.
const MAX_STRAYS: usize = 1000;

/// A stream of packets.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) send: SendStream<Bytes>,
    receive: Receive,
    decoder: Decoder,
    strays: usize,
    place: Place,
}

#[derive(Debug)]
enum Receive {
    /// The proxy server has not answered yet; it does so with its first packet.
    Waiting(ResponseFuture),
    Packets(RecvStream),
}

/// Why no more packets come.
#[derive(Debug)]
pub(super) enum End {
    /// The connection or the stream broke, or the stream has ended.
    Broken(String),
    /// The proxy server does not want the stream, or does not speak the protocol.
    Refused(String),
}

impl End {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Broken(text) | Self::Refused(text) => text,
        }
    }
}

impl Channel {
    pub(super) fn new(answer: ResponseFuture, send: SendStream<Bytes>, place: Place) -> Self {
        Self { send, receive: Receive::Waiting(answer), decoder: Decoder::default(), strays: 0, place }
    }

    /// The next packet.
    ///
    /// # Errors
    /// Why there is none, now or later.
    pub(super) fn poll_packet(&mut self, cx: &mut Context<'_>) -> Poll<Result<Packet, End>> {
        loop {
            if let Some(packet) = self.decoder.next().map_err(End::Refused)? {
                return Poll::Ready(Ok(packet));
            }
            match ready!(self.poll_piece(cx)) {
                Ok(piece) => self.decoder.push(&piece),
                Err(end) => return Poll::Ready(Err(end)),
            }
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        loop {
            let packets = match &mut self.receive {
                Receive::Packets(packets) => packets,
                Receive::Waiting(answer) => {
                    let answer = match ready!(Pin::new(answer).poll(cx)) {
                        Ok(answer) => answer,
                        Err(error) => return Poll::Ready(Err(self.broken(&error))),
                    };
                    if let Some(refusal) = grpc::refusal(answer.status(), answer.headers()) {
                        return Poll::Ready(Err(End::Refused(refusal)));
                    }
                    self.receive = Receive::Packets(answer.into_body());
                    continue;
                }
            };
            let end = match ready!(packets.poll_data(cx)) {
                Some(Ok(piece)) => {
                    // What is kept here is less than a message and a frame: nobody asks for more before it has been read.
                    let _ = packets.flow_control().release_capacity(piece.len());
                    return Poll::Ready(Ok(piece));
                }
                Some(Err(error)) => Err(error),
                None => ready!(packets.poll_trailers(cx)),
            };
            return Poll::Ready(Err(match end {
                Ok(trailers) => match trailers.as_ref().and_then(grpc::outcome) {
                    Some(outcome) => End::Refused(outcome),
                    None => End::Broken("the stream has ended".to_owned()),
                },
                Err(error) => self.broken(&error),
            }));
        }
    }

    fn broken(&self, error: &h2::Error) -> End {
        End::Broken(self.why(Some(error)))
    }

    /// Why the stream has ended.
    pub(super) fn why(&self, error: Option<&h2::Error>) -> String {
        self.place.connection().why(error)
    }

    /// `host:port` of the proxy server.
    pub(super) fn server(&self) -> &str {
        &self.place.connection().server
    }

    /// Sends a packet without waiting for room: for the few small ones that are not data.
    fn send(&mut self, packet: &Packet) -> Result<(), h2::Error> {
        self.send.send_data(grpc::encode(packet), false)
    }

    /// Does with a packet that is not meant for this tunnel what rule 238 says.
    pub(super) fn stray(&mut self, packet: &Packet) -> Result<(), String> {
        self.strays += 1;
        if self.strays > MAX_STRAYS {
            return Err("too many packets without a meaning".to_owned());
        }
        tracing::debug!(?packet, server = self.server(), "a packet that is not for this tunnel");
        match packet {
            Packet::Data { connect_id, .. } if *connect_id != 0 => self
                .send(&Packet::CloseRequest { connect_id: *connect_id })
                .map_err(|error| self.why(Some(&error))),
            _ => Ok(()),
        }
    }

    /// Ends the stream in the background: what has been sent must arrive, and h2 forgets what a stream has to say as soon as
    /// nobody holds it. Without a runtime the whole process is ending, and the connection with it.
    pub(super) fn leave(self, last_words: LastWords) {
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let server = Arc::clone(&self.place.connection().server);
                if timeout(LEAVE_TIMEOUT, self.finish(last_words)).await.is_err() {
                    tracing::debug!(?last_words, %server, "the konnectivity proxy server does not end a stream");
                }
            });
        }
    }

    async fn finish(mut self, last_words: LastWords) {
        let sent = match last_words {
            LastWords::None => Ok(()),
            LastWords::CloseDial(random) => self.send(&Packet::CloseDial { random }),
            LastWords::Close(connect_id) => self.send(&Packet::CloseRequest { connect_id }),
        };
        if sent.is_err() {
            return;
        }
        if let LastWords::Close(connect_id) = last_words {
            let closed = |packet: &Packet| matches!(packet, Packet::CloseResponse { connect_id: id, .. } if *id == connect_id);
            self.discard_until(closed).await;
        }
        // The proxy server now forgets the stream and what belongs to it.
        let _ = self.send.send_data(Bytes::new(), true);
        self.discard_until(|_| false).await;
    }

    async fn discard_until(&mut self, wanted: impl Fn(&Packet) -> bool) {
        while let Ok(packet) = poll_fn(|cx| self.poll_packet(cx)).await {
            if wanted(&packet) {
                return;
            }
        }
    }
}

/// What is said before a stream ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum LastWords {
    /// Nothing: the other side knows.
    None,
    /// The dial with this number is given up (rule 237).
    CloseDial(i64),
    /// The connection with this number is to be closed; that is waited for (rule 239).
    Close(i64),
}

/// A dial that is under way. Dropping it gives it up.
struct Dialing {
    channel: Option<Channel>,
    random: i64,
}

impl Drop for Dialing {
    fn drop(&mut self) {
        if let Some(channel) = self.channel.take() {
            channel.leave(LastWords::CloseDial(self.random));
        }
    }
}

/// Connects to `address` behind the stream. Returns the stream with the number of the connection.
pub(super) async fn dial(channel: Channel, address: &str) -> Result<(Channel, i64), DialError> {
    let server = channel.server().to_owned();
    // The proxy server keeps the dials of all its clients in one table, by this number.
    let random = (uuid::Uuid::new_v4().as_u64_pair().0 >> 1).cast_signed();
    let mut dialing = Dialing { channel: Some(channel), random };
    let request = Packet::DialRequest { protocol: "tcp".to_owned(), address: address.to_owned(), random };
    let mut request = Some(request);
    let answered = poll_fn(|cx| {
        let Some(channel) = &mut dialing.channel else { return Poll::Pending };
        if let Some(request) = request.take()
            && let Err(error) = channel.send(&request)
        {
            return Poll::Ready(Err(End::Broken(channel.why(Some(&error)))));
        }
        channel.poll_answer(random, cx)
    });
    let answer = answered.await;
    // From here on there is no dial to be given up.
    let channel = dialing.channel.take();
    match (answer, channel) {
        (Ok(Answer::Connected(connect_id)), Some(channel)) => Ok((channel, connect_id)),
        (answer, channel) => {
            if let Some(channel) = channel {
                channel.leave(LastWords::None);
            }
            Err(match answer {
                Ok(Answer::Failed(error)) => DialError::of_answer(&server, &error),
                Ok(Answer::Closed | Answer::Connected(_)) => DialError::Closed { server },
                Err(End::Broken(cause)) => DialError::Broken { server, cause },
                Err(End::Refused(cause)) => DialError::Refused { server, cause },
            })
        }
    }
}

/// What became of a dial.
enum Answer {
    Connected(i64),
    Failed(String),
    Closed,
}

impl Channel {
    /// Waits for what belongs to the dial `random`.
    fn poll_answer(&mut self, random: i64, cx: &mut Context<'_>) -> Poll<Result<Answer, End>> {
        loop {
            match ready!(self.poll_packet(cx))? {
                Packet::DialResponse { error, connect_id, random: of } if of == random => {
                    return Poll::Ready(Ok(match error.is_empty() {
                        true => Answer::Connected(connect_id),
                        false => Answer::Failed(error),
                    }));
                }
                Packet::CloseDial { random: of } if of == random => return Poll::Ready(Ok(Answer::Closed)),
                other => self.stray(&other).map_err(End::Refused)?,
            }
        }
    }
}
