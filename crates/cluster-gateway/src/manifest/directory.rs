//! A directory whose files are read again when they change.
//!
//! A file that is half written is not believed: after a change the directory must look the same twice before it is
//! parsed. A file that cannot be read or parsed keeps its last good version in force.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Problem;

/// Size of a file, in bytes, from which on it is refused.
const MAX_FILE: u64 = 8 * 1024 * 1024;
/// Files in a directory, at most.
const MAX_FILES: usize = 10_000;
/// Problems of one file that are reported one by one.
const MAX_REPORTED: usize = 10;
/// How long a changed directory must stay as it is before it is believed.
const SETTLE: Duration = Duration::from_millis(50);
/// How often a directory that keeps changing is looked at before it is believed all the same.
const MAX_LOOKS: usize = 40;

/// Which files of a directory are wanted, and what they mean.
pub trait Reader: Send + 'static {
    /// What a file becomes.
    type Output: Send + 'static;

    /// Whether a file of this name is read. Hidden ones are never asked about.
    fn wants(&self, file: &str) -> bool;

    /// Reads a whole file.
    fn parse(&self, file: &str, text: &str) -> Parsed<Self::Output>;
}

/// What a file became.
#[derive(Debug)]
pub struct Parsed<T> {
    /// `None`: the file is refused.
    pub value: Option<T>,
    /// Why it is refused, or what should be known about it.
    pub problems: Vec<Problem>,
}

impl<T> Parsed<T> {
    /// A file that cannot be used.
    #[must_use]
    pub fn refused(problems: Vec<Problem>) -> Self {
        Self { value: None, problems }
    }
}

/// Why a directory cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[error("directory {path}: {cause}")]
pub struct OpenError {
    /// The directory.
    pub path: String,
    /// What is wrong with it.
    pub cause: String,
}

/// The wanted files of a directory. Subdirectories and hidden files are ignored; symbolic links are followed.
#[derive(Debug)]
pub struct Directory<R: Reader> {
    path: PathBuf,
    reader: R,
    files: BTreeMap<String, Seen<R::Output>>,
    unwanted: BTreeSet<String>,
    failure: Option<String>,
}

/// What is known of a file.
#[derive(Debug)]
struct Seen<T> {
    stamp: Option<Stamp>,
    /// The stamp was the same at the reading before: later changes are bound to show in it.
    settled: bool,
    digest: Option<[u8; 32]>,
    /// Read, and not parsed yet.
    fresh: Option<Result<Vec<u8>, String>>,
    good: Option<T>,
    troubled: bool,
}

/// What changes when a file does.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp([i128; 7]);

impl<R: Reader> Directory<R> {
    /// A directory, read as it is now. Files that cannot be used are reported. It blocks for as long as reading takes.
    ///
    /// # Errors
    /// [`OpenError`]: it does not exist or cannot be listed.
    pub fn open(path: PathBuf, reader: R) -> Result<Self, OpenError> {
        let (files, unwanted) = (BTreeMap::new(), BTreeSet::new());
        let mut this = Self { path, reader, files, unwanted, failure: None };
        match this.list() {
            Ok(present) => this.read_all(present),
            Err(cause) => return Err(OpenError { path: this.path.display().to_string(), cause }),
        };
        this.settle();
        Ok(this)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in force, by name of the file.
    pub fn files(&self) -> impl Iterator<Item = (&str, &R::Output)> {
        self.files.iter().filter_map(|(name, seen)| Some((name.as_str(), seen.good.as_ref()?)))
    }

    /// Whether the directory has no wanted file at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Waits until something changed and is in force, looking every `poll`. `None`: the process is ending.
    pub async fn changed(self, poll: Duration) -> Option<Self> {
        let mut this = self;
        loop {
            tokio::time::sleep(poll).await;
            let (next, changed) = this.look_aside().await?;
            this = next;
            if changed {
                return this.settled().await;
            }
        }
    }

    async fn settled(self) -> Option<Self> {
        let mut this = self;
        for _ in 0..MAX_LOOKS {
            tokio::time::sleep(SETTLE).await;
            let (next, changed) = this.look_aside().await?;
            this = next;
            if !changed {
                break;
            }
        }
        aside(move || {
            this.settle();
            this
        })
        .await
    }

    async fn look_aside(mut self) -> Option<(Self, bool)> {
        aside(move || {
            let changed = self.look();
            (self, changed)
        })
        .await
    }

    /// Reads what changed, without believing it yet. Returns whether anything did.
    fn look(&mut self) -> bool {
        let present = match self.list() {
            Ok(present) => present,
            Err(cause) => {
                self.failed(cause);
                return false;
            }
        };
        if self.failure.take().is_some() {
            tracing::info!(directory = %self.path.display(), "the directory can be read again");
        }
        self.read_all(present)
    }

    fn read_all(&mut self, present: BTreeMap<String, Metadata>) -> bool {
        let before = self.files.len();
        self.files.retain(|name, _| present.contains_key(name));
        let mut changed = self.files.len() != before;
        for (name, metadata) in present {
            let path = self.path.join(&name);
            changed |= self.files.entry(name).or_default().look(&path, &metadata);
        }
        changed
    }

    fn list(&mut self) -> Result<BTreeMap<String, Metadata>, String> {
        let mut present = BTreeMap::new();
        let mut unwanted = BTreeSet::new();
        for entry in fs::read_dir(&self.path).map_err(|error| error.to_string())? {
            let entry = entry.map_err(|error| error.to_string())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // A link that leads nowhere is a file that is gone.
            let metadata = if name.starts_with('.') { None } else { fs::metadata(entry.path()).ok() };
            let Some(metadata) = metadata.filter(Metadata::is_file) else { continue };
            if self.reader.wants(&name) {
                present.insert(name, metadata);
            } else if unwanted.len() < MAX_REPORTED {
                unwanted.insert(name);
            }
            if present.len() > MAX_FILES {
                return Err(format!("more than {MAX_FILES} files"));
            }
        }
        self.ignored(unwanted);
        Ok(present)
    }

    /// Parses what was read and reports what is wrong with it.
    fn settle(&mut self) {
        for (name, seen) in &mut self.files {
            if let Some(fresh) = seen.fresh.take() {
                seen.parse(name, fresh, &self.path, &self.reader);
            }
        }
    }

    fn failed(&mut self, cause: String) {
        if self.failure.as_ref() != Some(&cause) {
            tracing::error!(
                directory = %self.path.display(),
                error = cause,
                "the directory cannot be read; what it last said stays in force; trying again"
            );
            self.failure = Some(cause);
        }
    }

    fn ignored(&mut self, unwanted: BTreeSet<String>) {
        for name in unwanted.difference(&self.unwanted) {
            tracing::info!(
                directory = %self.path.display(),
                file = name,
                "file ignored: its name has none of the endings that are read here"
            );
        }
        self.unwanted = unwanted;
    }
}

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self { stamp: None, settled: false, digest: None, fresh: None, good: None, troubled: false }
    }
}

impl<T> Seen<T> {
    fn look(&mut self, path: &Path, metadata: &Metadata) -> bool {
        let stamp = Some(Stamp::of(metadata));
        let same = self.stamp == stamp;
        if same && self.settled {
            return false;
        }
        (self.stamp, self.settled) = (stamp, same);
        let read = read(path);
        let digest = match &read {
            Ok(bytes) => Sha256::new().chain_update([0]).chain_update(bytes),
            Err(reason) => Sha256::new().chain_update([1]).chain_update(reason),
        };
        let digest = Some(digest.finalize().into());
        let changed = self.digest != digest;
        if changed {
            (self.digest, self.fresh) = (digest, Some(read));
        }
        changed
    }

    fn parse<R: Reader<Output = T>>(
        &mut self,
        name: &str,
        fresh: Result<Vec<u8>, String>,
        directory: &Path,
        reader: &R,
    ) {
        let text = fresh
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "the file is not UTF-8 text".to_owned()));
        let parsed = match text {
            Ok(text) => reader.parse(name, &text),
            Err(reason) => Parsed::refused(vec![Problem::of_file(name, reason)]),
        };
        let refused = parsed.value.is_none();
        if !refused {
            self.good = parsed.value;
        }
        let consequence = match (refused, self.good.is_some()) {
            (false, _) => "the rest of the file is in force",
            (true, true) => "the file is refused as a whole; its last good version stays in force",
            (true, false) => "the file is refused as a whole; nothing of it is in force",
        };
        report(&parsed.problems, directory, consequence);
        if self.troubled && !refused {
            tracing::info!(directory = %directory.display(), file = name, "the file is in force again");
        }
        self.troubled = refused;
    }
}

fn report(problems: &[Problem], directory: &Path, consequence: &str) {
    for problem in problems.iter().take(MAX_REPORTED) {
        tracing::warn!(directory = %directory.display(), %problem, "{consequence}");
    }
    if let Some(more) = problems.len().checked_sub(MAX_REPORTED).filter(|more| *more > 0) {
        tracing::warn!(directory = %directory.display(), more, "there are more problems like these");
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self([
            metadata.dev().into(),
            metadata.ino().into(),
            metadata.len().into(),
            metadata.mtime().into(),
            metadata.mtime_nsec().into(),
            metadata.ctime().into(),
            metadata.ctime_nsec().into(),
        ])
    }
}

/// Runs what blocks where it may. `None`: the process is ending. A panic goes on here, so that it is not lost.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Some(result),
        Err(error) => error.try_into_panic().map_or(None, |panic| std::panic::resume_unwind(panic)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("the file is larger than {} MiB", MAX_FILE / 1024 / 1024));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
