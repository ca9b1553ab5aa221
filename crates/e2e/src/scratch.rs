//! Places that belong to this test process: directories and ports.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::settings::variable;

/// The workspace that this crate is part of.
pub fn workspace() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        root.canonicalize().unwrap_or(root)
    });
    &ROOT
}

/// Cargo's target directory, where everything that is built or written ends up.
pub fn target() -> PathBuf {
    variable("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// A fresh directory under `target/e2e/PID`, removed on drop.
///
/// What hangs on a `static` is never dropped, so the first call also removes what dead processes left behind.
/// (Until then it is at hand: the logs of a failed run are in there.)
pub fn directory(name: &str) -> Result<TempDir> {
    static OURS: LazyLock<PathBuf> = LazyLock::new(|| {
        let all = target().join("e2e");
        remove_leftovers(&all);
        all.join(std::process::id().to_string())
    });
    std::fs::create_dir_all(&*OURS).with_context(|| format!("create {}", OURS.display()))?;
    let prefix = format!("{name}-");
    tempfile::Builder::new().prefix(&prefix).tempdir_in(&*OURS).context("create a scratch directory")
}

fn remove_leftovers(all: &Path) {
    let Ok(entries) = std::fs::read_dir(all) else { return };
    for entry in entries.flatten() {
        let pid = entry.file_name();
        if !Path::new("/proc").join(&pid).exists() {
            // Another test process may be removing the same one.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A port of 127.0.0.1 that nobody listens on, below the range from which Linux takes the ports of outgoing
/// connections: one of those could otherwise take it before the server that it is meant for.
pub fn free_port() -> Result<u16> {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Each process starts elsewhere, so that two of them rarely try the same port at the same time.
    let start = std::process::id().wrapping_mul(131);
    for _ in 0..COUNT {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + offset).context("a port is 16 bits")?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no free port on 127.0.0.1 between {FIRST} and {}", FIRST + COUNT)
}
