//! Proxies of the Debian archive, which know who may use them.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::process::{self, Server};
use crate::scratch;

const START_TIMEOUT: Duration = Duration::from_secs(20);
const USER: &str = "gateway";
const PASSWORD: &str = "hunter2";

/// Which proxy.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `tinyproxy`: HTTP CONNECT with Basic authentication.
    HttpConnect,
    /// `microsocks`: SOCKS5 with user and password.
    Socks5,
}

/// A running proxy on loopback. Stopped on drop.
#[derive(Debug)]
pub struct Proxy {
    kind: Kind,
    server: Server,
    port: u16,
    _directory: TempDir,
}

impl Proxy {
    /// Installs it if need be, starts it and waits until it listens.
    pub fn start(kind: Kind) -> Result<Self> {
        let (program, package) = match kind {
            Kind::HttpConnect => ("/usr/bin/tinyproxy", "tinyproxy-bin"),
            Kind::Socks5 => ("/usr/bin/microsocks", "microsocks"),
        };
        install(program, package)?;
        let directory = scratch::directory("proxy")?;
        let port = scratch::free_port()?;
        let mut command = process::command(program);
        match kind {
            Kind::HttpConnect => {
                let file = directory.path().join("tinyproxy.conf");
                let settings = format!(
                    "Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 100\nLogLevel Connect\nAllow 127.0.0.1\n\
                     BasicAuth {USER} {PASSWORD}\n"
                );
                std::fs::write(&file, settings).context("write tinyproxy.conf")?;
                command.arg("-d").arg("-c").arg(file);
            }
            Kind::Socks5 => {
                let port = port.to_string();
                command.args(["-i", "127.0.0.1", "-p", port.as_str(), "-u", USER, "-P", PASSWORD]);
            }
        }
        let mut server = Server::start(package, command, directory.path())?;
        server.wait_ready(START_TIMEOUT, || Ok(TcpStream::connect(("127.0.0.1", port)).is_ok()))?;
        Ok(Self { kind, server, port, _directory: directory })
    }

    /// What stands in `proxy-url` for those who may use it.
    pub fn url(&self) -> String {
        self.url_with(PASSWORD)
    }

    /// The same with another password.
    pub fn url_with(&self, password: &str) -> String {
        let scheme = match self.kind {
            Kind::HttpConnect => "http",
            Kind::Socks5 => "socks5",
        };
        format!("{scheme}://{USER}:{password}@127.0.0.1:{}", self.port)
    }

    /// How many tunnels it says that it has made.
    pub fn tunnels(&self) -> usize {
        let words = match self.kind {
            Kind::HttpConnect => ": CONNECT ",
            Kind::Socks5 => ": connected to ",
        };
        self.server.log().matches(words).count()
    }
}

pub(crate) fn install(program: &str, package: &str) -> Result<()> {
    if Path::new(program).exists() {
        return Ok(());
    }
    let options = ["-qq", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"];
    for arguments in [vec!["update", "-qq"], [&["install"], options.as_slice(), &[package]].concat()] {
        let status =
            Command::new("apt-get").args(&arguments).env("DEBIAN_FRONTEND", "noninteractive").status();
        let status = status.with_context(|| format!("start apt-get to install {package}"))?;
        ensure!(status.success(), "apt-get {}: {status}", arguments.join(" "));
    }
    Ok(())
}
