//! PostgreSQL of the Debian archive, with data and port of its own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use tempfile::TempDir;

use crate::pki::{Authority, Leaf};
use crate::process::{Group, Server};
use crate::{proxies, scratch};

const TIMEOUT: Duration = Duration::from_secs(90);

/// `nobody`: PostgreSQL does not run as root.
const NOBODY: u32 = 65534;

/// The user that everything is made as.
pub const USER: &str = "postgres";

/// Their password.
pub const PASSWORD: &str = "hun/ter2@ä";

/// A running server on loopback, with passwords and TLS. Stopped on drop.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    port: u16,
    ca: Authority,
    directory: TempDir,
}

impl Postgres {
    /// Installs it if need be, makes its data, starts it and waits until it answers.
    pub fn start() -> Result<Self> {
        let programs = programs()?;
        let directory = scratch::directory("postgres")?;
        let path = directory.path();
        let ca = Authority::new("postgres CA")?;
        let identity = ca.issue(&Leaf::server(&["db.example"]))?;
        let files = [
            ("password", PASSWORD),
            ("server.crt", &identity.certificate),
            ("server.key", &identity.key),
            ("ca.crt", &ca.pem()),
        ];
        for (name, text) in files {
            let file = path.join(name);
            fs::write(&file, text).with_context(|| format!("write {name}"))?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).context("chmod")?;
            give_away(&file)?;
        }
        give_away(path)?;
        let mut initdb = unprivileged(&programs.join("initdb"), path);
        initdb.args([
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
            "--username",
            USER,
        ]);
        initdb.arg("--pwfile").arg(path.join("password")).arg("--pgdata").arg(path.join("data"));
        initdb.stdin(Stdio::null()).stdout(Stdio::null());
        let status = Group::spawn(initdb)?.wait(TIMEOUT)?;
        ensure!(status.success(), "initdb: {status}");

        let port = scratch::free_port()?;
        let mut command = unprivileged(&programs.join("postgres"), path);
        command.arg("-D").arg(path.join("data")).args(["-p", &port.to_string(), "-k", "", "-F"]);
        for setting in ["listen_addresses=127.0.0.1", "max_connections=100", "ssl=on"] {
            command.args(["-c", setting]);
        }
        for (key, file) in [("ssl_cert_file", "server.crt"), ("ssl_key_file", "server.key")] {
            command.arg("-c").arg(format!("{key}={}", path.join(file).display()));
        }
        let mut server = Server::start("postgres", command, path)?;
        let log = path.join("postgres.log");
        server.wait_ready(TIMEOUT, || {
            Ok(fs::read_to_string(&log)?.contains("database system is ready to accept connections"))
        })?;
        Ok(Self { server, port, ca, directory })
    }

    /// The server that all tests of this process share.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: LazyLock<Result<Postgres>> = LazyLock::new(Postgres::start);
        SHARED.as_ref().map_err(|error| anyhow!("{error:#}"))
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The file with the CA of its certificate, which is for `db.example`.
    pub fn ca_file(&self) -> Result<PathBuf> {
        // Its own directory belongs to somebody else.
        let file = scratch::directory("ca")?.keep().join("ca.crt");
        fs::write(&file, self.ca.pem()).context("write ca.crt")?;
        Ok(file)
    }

    /// What the server has written so far.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// The folder of the newest version.
fn programs() -> Result<PathBuf> {
    let newest = || {
        let versions =
            fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path().join("bin"));
        versions.filter(|folder| folder.join("initdb").is_file()).max()
    };
    if newest().is_none() {
        proxies::install("/usr/lib/postgresql", "postgresql")?;
    }
    newest().context("no /usr/lib/postgresql/*/bin/initdb")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn give_away(path: &Path) -> Result<()> {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).with_context(|| format!("chown {}", path.display()))?;
    }
    Ok(())
}

/// As [`crate::process::command`], but never as root. The death signal comes last: changing the user takes it away.
fn unprivileged(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        let nobody = NOBODY.to_string();
        command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups", "--", "setpriv"]);
    }
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).current_dir(directory);
    command
}
