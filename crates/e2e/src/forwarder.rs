//! An address that passes connections on, and that can appear late.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

/// A port of 127.0.0.1 behind which another one can be reached, for as long as the process lives.
#[derive(Debug)]
pub struct Forwarder {
    accepted: Arc<AtomicUsize>,
}

impl Forwarder {
    /// Listens on `port` and connects whoever comes to `target`.
    pub fn start(port: u16, target: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).with_context(|| format!("listen on {port}"))?;
        let accepted = Arc::new(AtomicUsize::new(0));
        let (count, target) = (accepted.clone(), target.to_owned());
        std::thread::spawn(move || {
            for inbound in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                // A target that is gone closes the connection, as a dead server would.
                if let Ok(outbound) = TcpStream::connect(&target) {
                    let _ = splice(&inbound, &outbound);
                }
            }
        });
        Ok(Self { accepted })
    }

    /// How many connections have come.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

fn splice(inbound: &TcpStream, outbound: &TcpStream) -> io::Result<()> {
    for (from, to) in [(inbound, outbound), (outbound, inbound)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        std::thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}
