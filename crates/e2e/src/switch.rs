//! An address behind which a server can be reached, until it is switched off.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use crate::scratch;

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// They lead to the server.
    On,
    /// They are closed at once, and those that were open are cut.
    Off,
    /// They are accepted, and nothing is ever answered; those that were open are cut.
    Silent,
}

#[derive(Debug)]
struct State {
    position: Position,
    open: Vec<TcpStream>,
}

/// A port of 127.0.0.1, for as long as the process lives.
#[derive(Clone, Debug)]
pub struct Switch {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Switch {
    /// Leads to `target`.
    pub fn start(target: &str) -> Result<Self> {
        let port = scratch::free_port()?;
        let listener = TcpListener::bind(("127.0.0.1", port)).with_context(|| format!("listen on {port}"))?;
        let state = Arc::new(Mutex::new(State { position: Position::On, open: Vec::new() }));
        let switch = Self { port, state };
        let (accepting, target) = (switch.clone(), target.to_owned());
        std::thread::spawn(move || {
            for inbound in listener.incoming().flatten() {
                let _ = accepting.accept(inbound, &target);
            }
        });
        Ok(switch)
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Turns it.
    pub fn turn(&self, position: Position) {
        let mut state = self.state();
        state.position = position;
        for open in state.open.drain(..) {
            let _ = open.shutdown(Shutdown::Both);
        }
    }

    fn accept(&self, inbound: TcpStream, target: &str) -> io::Result<()> {
        let mut state = self.state();
        match state.position {
            Position::Off => return Ok(()),
            Position::Silent => state.open.push(inbound),
            Position::On => {
                let outbound = TcpStream::connect(target)?;
                for (from, to) in [(&inbound, &outbound), (&outbound, &inbound)] {
                    let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
                    std::thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                state.open.extend([inbound, outbound]);
            }
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
