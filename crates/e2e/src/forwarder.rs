//! An address that passes connections on: to a target that can appear late, or to several in turn.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

/// A port of 127.0.0.1, or of another address, behind which another one can be reached, for as long as the process lives.
#[derive(Debug)]
pub struct Forwarder {
    accepted: Arc<AtomicUsize>,
    targets: Arc<Mutex<Vec<String>>>,
}

impl Forwarder {
    /// Listens on `port` and connects whoever comes to `target`, if that can be reached.
    pub fn start(port: u16, target: &str) -> Result<Self> {
        Self::at(("127.0.0.1", port), target)
    }

    /// Listens on an address instead.
    pub fn at(address: (&str, u16), target: &str) -> Result<Self> {
        let (host, port) = address;
        let listener = TcpListener::bind(address).with_context(|| format!("listen on {host}:{port}"))?;
        let accepted = Arc::new(AtomicUsize::new(0));
        let targets = Arc::new(Mutex::new(vec![target.to_owned()]));
        let forwarder = Self { accepted: accepted.clone(), targets: targets.clone() };
        std::thread::spawn(move || {
            for inbound in listener.incoming().flatten() {
                let turn = accepted.fetch_add(1, Ordering::Relaxed);
                let targets = targets.lock().unwrap_or_else(PoisonError::into_inner).clone();
                // Targets that are all gone close the connection, as a dead server would.
                if let Some(outbound) = connect(&targets, turn) {
                    let _ = splice(&inbound, &outbound);
                }
            }
        });
        Ok(forwarder)
    }

    /// Connects whoever comes from now on to another target.
    pub fn lead_to(&self, target: &str) {
        self.balance(vec![target.to_owned()]);
    }

    /// Connects whoever comes from now on to these in turn; one that cannot be reached is passed over.
    pub fn balance(&self, targets: Vec<String>) {
        *self.targets.lock().unwrap_or_else(PoisonError::into_inner) = targets;
    }

    /// How many connections have come.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

fn connect(targets: &[String], turn: usize) -> Option<TcpStream> {
    (0..targets.len()).find_map(|next| TcpStream::connect(&targets[(turn + next) % targets.len()]).ok())
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
