//! The processes of a measurement or a soak: started here, measured by /proc, ended here.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Programs and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 5] = [
    ("haproxy", "haproxy"),
    ("nginx", "nginx-light"),
    ("wrk", "wrk"),
    ("h2load", "nghttp2-client"),
    ("taskset", "util-linux"),
];

/// The kernel counts in this unit towards programs, whatever its own.
const TICK: Duration = Duration::from_millis(10);

const START_TIMEOUT: Duration = Duration::from_secs(15);

/// Installs what is missing, as Debian's packages.
pub(crate) fn install_missing() -> Result<()> {
    let missing: Vec<_> =
        PROGRAMS.iter().filter(|(program, _)| !exists(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("xtask: installing {}", missing.join(" "));
    for arguments in
        [vec!["update", "-qq"], [vec!["install", "-qq", "-y", "--no-install-recommends"], missing].concat()]
    {
        let status =
            Command::new("apt-get").args(&arguments).env("DEBIAN_FRONTEND", "noninteractive").status();
        let status = status.context("start apt-get")?;
        ensure!(status.success(), "apt-get {}: {status}", arguments.join(" "));
    }
    Ok(())
}

fn exists(program: &str) -> bool {
    ["/usr/local/bin", "/usr/bin", "/usr/sbin", "/bin", "/sbin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).exists())
}

/// On which side of the machine something runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Core {
    /// What is measured.
    Proxy,
    /// What it is measured with.
    Others,
}

impl Core {
    fn number(self) -> usize {
        match self {
            Self::Proxy => 0,
            Self::Others => 1,
        }
    }
}

/// Binds this process, and whatever it starts without saying otherwise, to the core that is not measured.
pub(crate) fn leave_the_core_of_the_proxies() -> Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    set.set(Core::Others.number());
    rustix::thread::sched_setaffinity(None, &set).context("bind to the second core (two are needed)")
}

/// A command that is bound to one core and dies with this process.
pub(crate) fn command(core: Core, program: impl AsRef<Path>) -> Command {
    let mut command = e2e::process::command("taskset");
    command.args(["--cpu-list", &core.number().to_string()]).arg(program.as_ref());
    command
}

/// A running server. Killed on drop.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    child: Child,
}

impl Server {
    /// Starts it and waits until something listens on all of `ports`.
    pub(crate) fn start(name: &'static str, mut command: Command, log: &Path, ports: &[u16]) -> Result<Self> {
        let file = fs::File::create(log).with_context(|| format!("create {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("start {command:?}"))?;
        let mut server = Self { name, child };
        for port in ports {
            server.wait_for(*port).with_context(|| fs::read_to_string(log).unwrap_or_default())?;
        }
        Ok(server)
    }

    fn wait_for(&mut self, port: u16) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = self.child.try_wait().context("wait for a child")? {
                bail!("{} exited with {status}", self.name);
            }
            ensure!(Instant::now() < deadline, "{} does not listen on {port}", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The processor time that it has used since it began.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu_in(&self.proc("stat")?).with_context(|| format!("the processor time of {}", self.name))
    }

    /// The memory that it occupies, in KiB.
    pub(crate) fn memory(&self) -> Result<u64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        line.trim().trim_end_matches(" kB").parse().context("VmRSS is no number")
    }

    /// How many files and sockets it has open.
    pub(crate) fn descriptors(&self) -> Result<usize> {
        let path = format!("/proc/{}/fd", self.child.id());
        Ok(fs::read_dir(&path).with_context(|| format!("read {path}: has {} ended?", self.name))?.count())
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(&path).with_context(|| format!("read {path}: has {} ended?", self.name))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// User and system time in the text of `/proc/PID/stat`.
fn cpu_in(stat: &str) -> Option<Duration> {
    // The second field is the name in parentheses, which may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u32>().ok()? + fields.next()?.parse::<u32>().ok()?;
    Some(TICK * ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 2094 0 1 0 150 25 0 0 20 0 4 0 12345 1 2";
        assert_eq!(cpu_in(stat), Some(Duration::from_millis(1750)));
        assert_eq!(cpu_in("42 (x) S 1"), None);
    }
}
