//! The operator's file of rules, and the files that it names.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Rules;

/// Bytes of a file.
const MAX_FILE: u64 = 1024 * 1024;

type Hash = [u8; 32];

/// A file of rules, with what it and the files that it names held when they were last read.
#[derive(Debug, Clone)]
pub struct RulesFile {
    path: PathBuf,
    /// `None`: it could not be read.
    seen: BTreeMap<PathBuf, Option<Hash>>,
}

impl RulesFile {
    /// Reads a file of rules. Files that it names are looked for beside it unless their paths are absolute.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn load(path: &Path) -> Result<(Self, Rules), String> {
        let mut file = Self { path: path.to_owned(), seen: BTreeMap::new() };
        let rules = file.read()?;
        Ok((file, rules))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The rules, if one of the files has changed since it was read.
    pub(super) fn look_again(&mut self) -> Option<Result<Rules, String>> {
        let changed = self.seen.iter().any(|(path, seen)| read(path).ok().map(|text| hash(&text)) != *seen);
        changed.then(|| self.read())
    }

    fn read(&mut self) -> Result<Rules, String> {
        let mut seen = BTreeMap::new();
        let mut read = |path: &Path| {
            let text = read(path);
            seen.insert(path.to_owned(), text.as_ref().ok().map(|text| hash(text)));
            text.map_err(|error| format!("cannot read {}: {error}", path.display()))
        };
        let rules = read(&self.path).and_then(|yaml| {
            let yaml =
                String::from_utf8(yaml).map_err(|_| format!("{} is not UTF-8", self.path.display()))?;
            let directory = self.path.parent().unwrap_or(Path::new(""));
            Rules::of_file(&yaml, &mut |named| read(&directory.join(named)))
                .map_err(|error| format!("{}: {error}", self.path.display()))
        });
        // Of a failure, too: it is the same until something changes.
        self.seen = seen;
        rules
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other(format!("it is larger than {MAX_FILE} bytes")));
    }
    Ok(text)
}

fn hash(text: &[u8]) -> Hash {
    Sha256::digest(text).into()
}
