//! An identity webhook: one thread, one question at a time, one question for each connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::pki::{Authority, Leaf};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// A running webhook; gone when dropped.
pub(super) struct Webhook {
    ca: Authority,
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Makes the `status` of an answer out of a question.
type Decide = fn(&Value) -> Value;

impl Webhook {
    pub(super) fn start(decide: Decide) -> Result<Self> {
        let ca = Authority::new("webhook CA")?;
        let serving = ca.issue(&Leaf::server(&["localhost"]))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(serving.certificate.as_bytes())?],
                PrivateKeyDer::from_pem_slice(serving.key.as_bytes())?,
            )?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let stop = Arc::new(AtomicBool::new(false));
        let (tls, stopped) = (Arc::new(tls), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for socket in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                if let Err(error) = socket.map_err(Into::into).and_then(|socket| answer(socket, &tls, decide))
                {
                    eprintln!("the webhook: {error:#}");
                }
            }
        });
        Ok(Self { ca, port, stop, thread: Some(thread) })
    }

    pub(super) fn url(&self) -> String {
        format!("https://localhost:{}/exchange", self.port)
    }

    pub(super) fn ca(&self) -> String {
        self.ca.pem()
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes it.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(socket: TcpStream, tls: &Arc<ServerConfig>, decide: Decide) -> Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let stream = StreamOwned::new(ServerConnection::new(Arc::clone(tls))?, socket);
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().context("a length")?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut review: Value = serde_json::from_slice(&body)?;
    review["status"] = decide(&review);
    let body = json!(review).to_string();
    let mut stream = reader.into_inner();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}
