//! The directory of keys: made for its owner alone, locked while something in it is made, files replaced as a whole.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::IssuerError;

/// Files here are a few kilobytes; more than this is none of ours.
const MAX_FILE: u64 = 1024 * 1024;
const OWNER_ONLY_DIRECTORY: u32 = 0o700;
const OWNER_ONLY: u32 = 0o600;
const READABLE: u32 = 0o644;

/// A directory that only its owner may enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir(PathBuf);

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Secret,
    Public,
}

/// Held while files are looked at and made, so that two processes do not make two CAs. Dropping it releases it.
#[derive(Debug)]
pub(super) struct Locked {
    dir: DataDir,
    _lock: File,
}

impl DataDir {
    /// Takes the directory, or makes it (mode 0700; its parents as usual).
    ///
    /// # Errors
    /// [`IssuerError::NotWritable`], [`IssuerError::TooOpen`], [`IssuerError::Foreign`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, IssuerError> {
        let dir = Self(path.into());
        if !dir.0.exists() {
            let made = DirBuilder::new().recursive(true).mode(OWNER_ONLY_DIRECTORY).create(&dir.0);
            made.map_err(|cause| dir.not_writable(cause))?;
        }
        let metadata = dir.0.metadata().map_err(|cause| dir.not_writable(cause))?;
        if !metadata.is_dir() {
            return Err(dir.not_writable(ErrorKind::NotADirectory.into()));
        }
        owner_only(&dir.0, &metadata, OWNER_ONLY_DIRECTORY)?;
        dir.lock()?;
        Ok(dir)
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What the file `name` holds, which nobody else may read; if there is none, it is made of what `make` gives. `None`:
    /// there is none, and `make` gave nothing.
    ///
    /// # Errors
    /// [`IssuerError::NotWritable`], [`IssuerError::TooOpen`], [`IssuerError::Foreign`], [`IssuerError::File`].
    pub fn secret(
        &self,
        name: &str,
        make: impl FnOnce() -> Option<String>,
    ) -> Result<Option<String>, IssuerError> {
        let locked = self.lock()?;
        if let Some(text) = locked.read(name, Content::Secret)? {
            return Ok(Some(text));
        }
        let Some(text) = make() else { return Ok(None) };
        locked.write(name, Content::Secret, &text)?;
        Ok(Some(text))
    }

    /// Waits until no other process makes files here.
    pub(super) fn lock(&self) -> Result<Locked, IssuerError> {
        let path = self.0.join(".lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(OWNER_ONLY).open(path);
        let lock =
            lock.and_then(|file| file.lock().map(|()| file)).map_err(|cause| self.not_writable(cause))?;
        Ok(Locked { dir: self.clone(), _lock: lock })
    }

    fn not_writable(&self, cause: std::io::Error) -> IssuerError {
        IssuerError::NotWritable { path: self.0.clone(), cause }
    }
}

impl Locked {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.0.join(name)
    }

    /// What a file holds; `None`: there is none. A secret that others may read is refused.
    pub(super) fn read(&self, name: &str, content: Content) -> Result<Option<String>, IssuerError> {
        let path = self.path(name);
        let failed = |cause| IssuerError::File { path: path.clone(), cause };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if content == Content::Secret {
            owner_only(&path, &file.metadata().map_err(failed)?, OWNER_ONLY)?;
        }
        let mut text = String::new();
        file.take(MAX_FILE).read_to_string(&mut text).map_err(failed)?;
        Ok(Some(text))
    }

    /// Replaces a file as a whole: a crash leaves the old one or the new one.
    pub(super) fn write(&self, name: &str, content: Content, text: &str) -> Result<(), IssuerError> {
        let (path, draft) = (self.path(name), self.path(&format!(".{name}.new")));
        let mode = if content == Content::Secret { OWNER_ONLY } else { READABLE };
        let written = || {
            // What a crash has left behind may have other permissions.
            match std::fs::remove_file(&draft) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().create_new(true).write(true).mode(mode).open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&draft, &path)?;
            File::open(&self.dir.0)?.sync_all()
        };
        written().map_err(|cause| match cause.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => self.dir.not_writable(cause),
            _ => IssuerError::File { path: path.clone(), cause },
        })
    }
}

/// Rights of group and others on what is secret are refused, whatever they are, and so is another owner: who owns it may
/// take the rights. Root may anyway.
fn owner_only(path: &Path, metadata: &Metadata, wanted: u32) -> Result<(), IssuerError> {
    let (owner, ourselves) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != ourselves && owner != 0 {
        return Err(IssuerError::Foreign { path: path.to_owned(), owner, wanted: ourselves });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(IssuerError::TooOpen { path: path.to_owned(), mode, wanted }) }
}
