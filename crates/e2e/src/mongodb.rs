//! A server that speaks MongoDB's wire protocol, in memory. MongoDB itself is in no package registry that CI reaches.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::pki::Identity;
use crate::process::{self, Group, Server};
use crate::{proxies, scratch};

const FETCH_TIMEOUT: Duration = Duration::from_secs(10 * 60);
const START_TIMEOUT: Duration = Duration::from_secs(90);

/// A running server on loopback. Stopped on drop.
#[derive(Debug)]
pub struct MongoDb {
    _server: Server,
    port: u16,
    _directory: TempDir,
}

impl MongoDb {
    /// Fetches it if need be, starts it and waits until it listens. With an identity it speaks TLS only.
    pub fn start(identity: Option<&Identity>) -> Result<Self> {
        let jars = jars()?;
        let directory = scratch::directory("mongodb")?;
        let port = scratch::free_port()?;
        let mut command = process::command("java");
        // Small, and up soon: it is one of many on this machine.
        command.args(["-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp"]).arg(jars.join("*"));
        command.arg(module().join("Server.java")).arg(port.to_string());
        if let Some(identity) = identity {
            for (name, text) in [("tls.key", &identity.key), ("tls.crt", &identity.certificate)] {
                let file = directory.path().join(name);
                fs::write(&file, text).with_context(|| format!("write {name}"))?;
                command.arg(file);
            }
        }
        let mut server = Server::start("mongodb", command, directory.path())?;
        server.wait_ready(START_TIMEOUT, || Ok(TcpStream::connect(("127.0.0.1", port)).is_ok()))?;
        Ok(Self { _server: server, port, _directory: directory })
    }

    /// The server without TLS that all tests of this process share.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: LazyLock<Result<MongoDb>> = LazyLock::new(|| MongoDb::start(None));
        SHARED.as_ref().map_err(|error| anyhow!("{error:#}"))
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

fn module() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mongodb")
}

/// The folder of `target/` with the server and what it needs, fetched once, and checked each time.
fn jars() -> Result<PathBuf> {
    let pinned = fs::read_to_string(module().join("jars.sha256")).context("read jars.sha256")?;
    let id: String = Sha256::digest(&pinned).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let folder = scratch::target().join("mongodb").join(id);
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let lock = fs::File::create(folder.join("lock")).context("create a lock")?;
    lock.lock().context("lock")?;
    let jars = folder.join("jars");
    if !jars.is_dir() {
        fetch(&folder)?;
    }
    for line in pinned.lines() {
        let (sum, name) = line.split_once("  ").context("a line of jars.sha256")?;
        let bytes = fs::read(jars.join(name)).with_context(|| format!("read {name}"))?;
        let found: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        ensure!(found == sum, "{name} in {} is not what jars.sha256 says", jars.display());
    }
    let found = fs::read_dir(&jars).context("list jars")?.count();
    ensure!(found == pinned.lines().count(), "{found} files in {}", jars.display());
    Ok(jars)
}

fn fetch(folder: &Path) -> Result<()> {
    proxies::install("/usr/bin/mvn", "maven")?;
    eprintln!("e2e: fetching a MongoDB server into {}, once", folder.display());
    let partial = folder.join("partial");
    let mut command: Command = process::command("mvn");
    command.args(["-q", "-B", "-f"]).arg(module().join("pom.xml"));
    command.arg("org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies");
    command.arg(format!("-DoutputDirectory={}", partial.display())).stdin(Stdio::null());
    let status = Group::spawn(command)?.wait(FETCH_TIMEOUT)?;
    ensure!(status.success(), "mvn: {status}");
    fs::rename(&partial, folder.join("jars")).context("move the jars")
}
