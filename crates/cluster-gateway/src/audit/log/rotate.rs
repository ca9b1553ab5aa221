//! A file that is renamed when it is full. Names are those that kube-apiserver gives: `NAME-TIME.EXTENSION`.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::LogConfig;

const MEGABYTE: u64 = 1 << 20;
const DEFAULT_MEGABYTES: u64 = 100;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const TIME: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]-[minute]-[second].[subsecond digits:3]");

/// The file that is being written, and the rules for its predecessors.
#[derive(Debug)]
pub(super) struct Rotated {
    path: PathBuf,
    file: File,
    size: u64,
    max_size: u64,
    max_backups: usize,
    max_age: Duration,
}

impl Rotated {
    /// # Errors
    /// If the file cannot be opened for appending.
    pub(super) fn open(path: &Path, config: &LogConfig) -> io::Result<Self> {
        let file = append(path)?;
        let megabytes = if config.max_size == 0 { DEFAULT_MEGABYTES } else { config.max_size.into() };
        let this = Self {
            path: path.to_owned(),
            size: file.metadata()?.len(),
            file,
            max_size: megabytes * MEGABYTE,
            max_backups: config.max_backups as usize,
            max_age: DAY * config.max_age,
        };
        this.remove_old();
        Ok(this)
    }

    /// Writes whole lines, to a new file if they would make this one too large.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.size > 0 && self.size + lines.len() as u64 > self.max_size {
            // A file that cannot be renamed is better too large than not written.
            if let Err(error) = self.rotate() {
                tracing::warn!(path = %self.path.display(), %error, "the audit log cannot be rotated and grows on");
            }
        }
        self.file.write_all(lines)?;
        self.size += lines.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let mut now = OffsetDateTime::now_utc();
        let mut backup = self.backup(now);
        while backup.exists() {
            now += Duration::from_millis(1);
            backup = self.backup(now);
        }
        fs::rename(&self.path, backup)?;
        self.file = append(&self.path)?;
        self.size = 0;
        self.remove_old();
        Ok(())
    }

    fn backup(&self, time: OffsetDateTime) -> PathBuf {
        let (mut name, extension) = self.name();
        name.push(time.format(TIME).unwrap_or_default());
        name.push(extension);
        self.path.with_file_name(name)
    }

    /// What stands before and behind the time in the name of a predecessor.
    fn name(&self) -> (OsString, OsString) {
        let mut before = self.path.file_stem().unwrap_or_default().to_owned();
        before.push("-");
        let mut behind = OsString::new();
        if let Some(extension) = self.path.extension() {
            behind.push(".");
            behind.push(extension);
        }
        (before, behind)
    }

    fn remove_old(&self) {
        if self.max_backups == 0 && self.max_age.is_zero() {
            return;
        }
        let oldest = (!self.max_age.is_zero()).then(|| OffsetDateTime::now_utc() - self.max_age);
        for (index, (time, path)) in self.predecessors().into_iter().enumerate() {
            let too_many = self.max_backups > 0 && index >= self.max_backups;
            let too_old = oldest.is_some_and(|oldest| time.assume_utc() < oldest);
            if (too_many || too_old)
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::warn!(path = %path.display(), %error, "an old audit log cannot be removed");
            }
        }
    }

    /// Newest first.
    fn predecessors(&self) -> Vec<(PrimitiveDateTime, PathBuf)> {
        let (before, behind) = self.name();
        let (before, behind) = (before.to_string_lossy(), behind.to_string_lossy());
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let Ok(entries) = fs::read_dir(directory.unwrap_or(Path::new("."))) else { return Vec::new() };
        let mut found: Vec<_> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let name = path.file_name()?.to_str()?;
                let time = name.strip_prefix(&*before)?.strip_suffix(&*behind)?;
                Some((PrimitiveDateTime::parse(time, TIME).ok()?, path))
            })
            .collect();
        found.sort_by(|one, other| other.cmp(one));
        found
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}
