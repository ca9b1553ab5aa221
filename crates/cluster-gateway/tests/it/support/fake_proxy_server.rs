//! A konnectivity proxy server together with the agents of its clusters, as a client sees them. It reads and writes
//! packets by itself, so that nobody agrees with himself.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cluster_gateway::transport::{ProxyFiles, ProxyMode, ProxyServerConfig};
use h2::RecvStream;
use h2::server::SendResponse;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

mod packets;

pub(crate) use packets::Packet;
use packets::Stream;

use super::fake_member::{Leaf, TestCa, server_config};

/// What becomes of a dial.
#[derive(Debug, Clone)]
pub(crate) enum Agent {
    /// It connects to this address.
    At(SocketAddr),
    /// It never answers.
    Silent,
    /// The dial is answered with these packets as they are; `random` goes over that of the dial where it is 0.
    Answers(Vec<Packet>),
    /// As `At`, with packets between that belong to nobody.
    Chatty(SocketAddr),
    /// The stream ends with a gRPC status.
    Status(&'static str),
    /// The connection to the server is closed without a word.
    Hangs,
}

/// What has been seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicUsize,
    pub(crate) streams: AtomicUsize,
    pub(crate) open_streams: AtomicUsize,
    pub(crate) open_tunnels: AtomicUsize,
    packets: Mutex<Vec<Packet>>,
}

impl Seen {
    /// All packets but data, in their order.
    pub(crate) fn packets(&self) -> Vec<Packet> {
        self.packets.lock().unwrap().clone()
    }

    /// Connections, streams.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.streams.load(Ordering::SeqCst))
    }

    pub(crate) fn nothing_open(&self) -> bool {
        self.open_streams.load(Ordering::SeqCst) == 0 && self.open_tunnels.load(Ordering::SeqCst) == 0
    }
}

#[derive(Default)]
struct Shared {
    agents: Mutex<HashMap<String, Agent>>,
    seen: Seen,
}

/// A running server; ends when dropped.
pub(crate) struct FakeProxyServer {
    pub(crate) address: SocketAddr,
    pub(crate) ca: TestCa,
    pub(crate) clients: TestCa,
    leaf: Leaf,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
    directory: tempfile::TempDir,
    /// Told to cut every connection.
    cut: watch::Sender<()>,
}

impl FakeProxyServer {
    pub(crate) async fn start() -> Self {
        let [ca, clients] = ["proxy server CA", "proxy clients"].map(TestCa::new);
        let leaf = ca.server(&["localhost"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shared) = (listener.local_addr().unwrap(), Arc::<Shared>::default());
        let tls = TlsAcceptor::from(server_config(&leaf, Some(&clients), &[b"h2"]));
        let (cut, cuts) = watch::channel(());
        let accepting = tokio::spawn(accept(listener, tls, Arc::clone(&shared), cuts));
        let directory = tempfile::tempdir().unwrap();
        let server = Self { address, ca, clients, leaf, shared, accepting, directory, cut };
        server.write_files(&server.ca, &server.clients.client("gateway"));
        server
    }

    /// Writes the files of the gateway.
    pub(crate) fn write_files(&self, ca: &TestCa, leaf: &Leaf) {
        let files = self.files();
        for (path, text) in
            [(&files.ca, &ca.pem()), (&files.certificate, &leaf.certificate), (&files.key, &leaf.key)]
        {
            std::fs::write(path, text).unwrap();
        }
    }

    pub(crate) fn files(&self) -> ProxyFiles {
        let file = |name: &str| Path::new(self.directory.path()).join(name);
        ProxyFiles { ca: file("ca.crt"), certificate: file("tls.crt"), key: file("tls.key") }
    }

    pub(crate) fn config(&self) -> ProxyServerConfig {
        ProxyServerConfig {
            host: "localhost".to_owned(),
            port: self.address.port(),
            mode: ProxyMode::Grpc,
            files: self.files(),
        }
    }

    /// Lets the agent of `cluster` connect, or go.
    pub(crate) fn agent(&self, cluster: &str, agent: impl Into<Option<Agent>>) {
        let (mut agents, address) = (self.shared.agents.lock().unwrap(), format!("{cluster}:443"));
        match agent.into() {
            Some(agent) => _ = agents.insert(address, agent),
            None => _ = agents.remove(&address),
        }
    }

    pub(crate) fn seen(&self) -> &Seen {
        &self.shared.seen
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(());
    }

    /// Goes away, and takes no more connections.
    pub(crate) async fn stop(&mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
        self.cut();
    }

    /// Comes back at the same address.
    pub(crate) async fn restart(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let tls = TlsAcceptor::from(server_config(&self.leaf, Some(&self.clients), &[b"h2"]));
        self.accepting = tokio::spawn(accept(listener, tls, Arc::clone(&self.shared), self.cut.subscribe()));
    }
}

impl Drop for FakeProxyServer {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>, cuts: watch::Receiver<()>) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        shared.seen.connections.fetch_add(1, Ordering::SeqCst);
        let (tls, shared, mut cuts) = (tls.clone(), Arc::clone(&shared), cuts.clone());
        cuts.borrow_and_update();
        tokio::spawn(async move {
            tokio::select! {
                () = connection(socket, tls, shared) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

async fn connection(socket: TcpStream, tls: TlsAcceptor, shared: Arc<Shared>) {
    socket.set_nodelay(true).unwrap();
    let Ok(stream) = tls.accept(socket).await else { return };
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(64 * 1024).initial_connection_window_size(1 << 20);
    let Ok(mut http2) = builder.handshake(stream).await else { return };
    let mut tunnels = JoinSet::new();
    let hangs = Arc::new(tokio::sync::Notify::new());
    loop {
        let accepted = tokio::select! {
            accepted = http2.accept() => accepted,
            () = hangs.notified() => return,
        };
        let Some(Ok((request, respond))) = accepted else { return };
        assert_eq!(request.uri().path(), "/ProxyService/Proxy");
        assert_eq!(request.headers()["content-type"], "application/grpc");
        assert_eq!(request.headers()["te"], "trailers");
        tunnels.spawn(serve(request.into_body(), respond, Arc::clone(&shared), Arc::clone(&hangs)));
    }
}

struct Open<'c>(&'c AtomicUsize);

impl<'c> Open<'c> {
    fn new(count: &'c AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One stream, until the client ends it.
async fn serve(
    body: RecvStream,
    respond: SendResponse<Bytes>,
    shared: Arc<Shared>,
    hangs: Arc<tokio::sync::Notify>,
) {
    let seen = &shared.seen;
    seen.streams.fetch_add(1, Ordering::SeqCst);
    let _open = Open::new(&seen.open_streams);
    let mut stream = Stream::new(body, respond);
    let mut socket: Option<(TcpStream, Open<'_>)> = None;
    let mut buffer = vec![0; 4096];
    let id = 40 + seen.streams.load(Ordering::SeqCst) as u64;
    loop {
        let read = async {
            match &mut socket {
                Some((socket, _)) => socket.read(&mut buffer).await.unwrap_or(0),
                None => std::future::pending().await,
            }
        };
        let packet = tokio::select! {
            packet = stream.receive() => packet,
            length = read => {
                if length == 0 {
                    socket = None;
                    stream.send(&Packet::close_response(id)).await;
                } else {
                    stream.send(&Packet::data(id, &buffer[..length])).await;
                }
                continue;
            }
        };
        let Some(packet) = packet else { return };
        if packet.kind != packets::DATA {
            seen.packets.lock().unwrap().push(packet.clone());
        }
        match packet.kind {
            packets::DIAL_REQ => {
                assert_eq!(packet.text, "tcp");
                let agent = shared.agents.lock().unwrap().get(&packet.address).cloned();
                let Some(address) = answer(&mut stream, &packet, agent, id, &hangs).await else { continue };
                let Ok(connected) = TcpStream::connect(address).await else {
                    let text = format!("dial tcp {address}: connect: connection refused");
                    stream.send(&Packet::dial_response(&text, 0, packet.random)).await;
                    continue;
                };
                connected.set_nodelay(true).unwrap();
                socket = Some((connected, Open::new(&seen.open_tunnels)));
                stream.send(&Packet::dial_response("", id, packet.random)).await;
            }
            packets::DATA if packet.connect_id == id => {
                if let Some((socket, _)) = &mut socket {
                    let _ = socket.write_all(&packet.data).await;
                }
            }
            packets::CLOSE_REQ if packet.connect_id == id => {
                socket = None;
                stream.send(&Packet::close_response(id)).await;
            }
            _ => {}
        }
    }
}

/// Answers a dial; returns where to connect to, if that is the answer.
async fn answer(
    stream: &mut Stream,
    dial: &Packet,
    agent: Option<Agent>,
    id: u64,
    hangs: &tokio::sync::Notify,
) -> Option<SocketAddr> {
    match agent {
        None => stream.send(&Packet::dial_response("No agent available", 0, dial.random)).await,
        Some(Agent::Silent) => {}
        Some(Agent::At(address)) => return Some(address),
        Some(Agent::Answers(packets)) => {
            for mut packet in packets {
                packet.random = if packet.random == 0 { dial.random } else { packet.random };
                stream.send(&packet).await;
            }
        }
        Some(Agent::Chatty(address)) => {
            for packet in [
                Packet::dial_response("of another dial", 0, dial.random + 1),
                Packet::close_dial(dial.random + 1),
                Packet::data(id + 1000, b"of another connection"),
                Packet::data(0, b"of no connection"),
                Packet::close_response(id + 1000),
                Packet::other(6),
                Packet::other(99),
            ] {
                stream.send(&packet).await;
            }
            return Some(address);
        }
        Some(Agent::Status(status)) => stream.end(status),
        Some(Agent::Hangs) => hangs.notify_one(),
    }
    None
}
