//! Connections over hours that pass in no time. The test plays the proxy server, frame by frame.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::*;

const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

/// A frame of the client: its kind, and when it came.
type Seen = mpsc::Receiver<(u8, Instant)>;

/// A proxy server that says nothing but what HTTP/2 demands.
struct Server {
    seen: Seen,
    write: Arc<tokio::sync::Mutex<WriteHalf<DuplexStream>>>,
}

impl Server {
    /// Starts one, and connects to it. It answers pings if `answers`.
    async fn start(answers: bool) -> (Self, Arc<Connection>) {
        let (client, server) = tokio::io::duplex(1 << 20);
        let (read, write) = tokio::io::split(server);
        let write = Arc::new(tokio::sync::Mutex::new(write));
        let (sender, seen) = mpsc::channel(1000);
        let server = Self { seen, write: Arc::clone(&write) };
        server.send(SETTINGS, 0, &[]).await;
        tokio::spawn(serve(read, write, sender, answers));
        (server, Connection::start(client, "proxy:8090".into()).await.unwrap())
    }

    async fn send(&self, kind: u8, flags: u8, payload: &[u8]) {
        send(&self.write, kind, flags, payload).await;
    }

    /// When pings have come so far.
    fn pings(&mut self) -> Vec<Instant> {
        let mut pings = Vec::new();
        while let Ok((kind, at)) = self.seen.try_recv() {
            if kind == PING {
                pings.push(at);
            }
        }
        pings
    }

    /// Whether the client has said that it goes.
    fn left(&mut self) -> bool {
        let mut left = false;
        while let Ok((kind, _)) = self.seen.try_recv() {
            left |= kind == GOAWAY;
        }
        left
    }
}

async fn send(write: &tokio::sync::Mutex<WriteHalf<DuplexStream>>, kind: u8, flags: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let frame = [&length[1..], &[kind, flags, 0, 0, 0, 0], payload].concat();
    write.lock().await.write_all(&frame).await.unwrap();
}

async fn serve(
    mut read: ReadHalf<DuplexStream>,
    write: Arc<tokio::sync::Mutex<WriteHalf<DuplexStream>>>,
    seen: mpsc::Sender<(u8, Instant)>,
    answers: bool,
) {
    read.read_exact(&mut [0; 24]).await.unwrap();
    let mut head = [0; 9];
    while read.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        read.read_exact(&mut payload).await.unwrap();
        let _ = seen.try_send((head[3], Instant::now()));
        if answers && head[3] == PING && head[4] & ACK == 0 {
            send(&write, PING, ACK, &payload).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rule_242_silence_is_pinged_once_and_then_no_more_often_than_servers_bear() {
    let (mut server, connection) = Server::start(true).await;
    let _channel = connection.open().await.unwrap();
    let begun = Instant::now();
    sleep(Duration::from_secs(660)).await;
    let after = |pings: Vec<Instant>| pings.iter().map(|at| (*at - begun).as_secs()).collect::<Vec<_>>();
    assert_eq!(after(server.pings()), [30, 335, 640], "the first time after 20 to 30 s without a byte");
    // Whoever speaks is listened to as closely as at first.
    server.send(SETTINGS, 0, &[]).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(after(server.pings()), [680]);
    assert!(connection.is_usable());
}

#[tokio::test(start_paused = true)]
async fn rule_242_a_server_that_answers_no_ping_is_given_up_with_all_tunnels() {
    let (_server, connection) = Server::start(false).await;
    let mut channel = connection.open().await.unwrap();
    sleep(Duration::from_secs(44)).await;
    assert!(connection.is_usable());
    sleep(Duration::from_secs(2)).await;
    assert!(!connection.is_usable());
    let end = poll_fn(|cx| channel.poll_packet(cx)).await.unwrap_err().into_text();
    assert_eq!(end, "it does not answer pings");
    assert_eq!(connection.open().await.unwrap_err(), "it does not answer pings");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_uses_is_closed_and_one_that_somebody_uses_is_not() {
    let (mut server, connection) = Server::start(true).await;
    let channel = connection.open().await.unwrap();
    sleep(Duration::from_secs(300)).await;
    assert!(connection.is_usable() && !server.left());
    drop(channel);
    sleep(Duration::from_secs(44)).await;
    assert!(connection.is_usable(), "somebody may come back");
    sleep(Duration::from_secs(60)).await;
    assert!(!connection.is_usable());
    assert!(server.left());
}

#[tokio::test(start_paused = true)]
async fn a_server_with_a_limit_gets_no_more_tunnels_than_it_allows() {
    let (server, connection) = Server::start(true).await;
    server.send(SETTINGS, 0, &[0, 3, 0, 0, 0, 2]).await;
    sleep(Duration::from_secs(1)).await;
    let first = connection.open().await.unwrap();
    assert!(connection.is_usable());
    let second = connection.open().await.unwrap();
    assert!(!connection.is_usable(), "the next tunnel needs another connection");
    drop(first);
    assert!(connection.is_usable());
    drop(second);
}
