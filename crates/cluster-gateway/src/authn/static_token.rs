//! Tokens from a file in kube-apiserver's CSV format: `token,user,uid,"group1,group2"`, the groups optional.
//!
//! The file is taken as a whole or not at all. No message about it ever holds a token.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::AsyncReadExt;
use tracing::{info, warn};

use super::UserInfo;
use super::complaints::Complaints;
use super::scheme::Answer;
use super::token::Fingerprints;

/// Bytes of a file, at most.
const MAX_FILE: u64 = 4 * 1024 * 1024;
/// Lines that are named in one message.
const MAX_NAMED: usize = 20;

/// The users of the tokens, by fingerprint.
type Users = HashMap<[u8; 32], Arc<UserInfo>>;

/// A file of tokens.
pub(super) struct TokenFile {
    path: PathBuf,
    poll: Duration,
    fingerprints: Fingerprints,
    users: ArcSwap<Users>,
    warned: Mutex<Vec<String>>,
    complaints: Complaints,
}

impl TokenFile {
    pub(super) fn new(path: PathBuf, poll: Duration) -> Self {
        Self {
            path,
            poll,
            fingerprints: Fingerprints::new(),
            users: ArcSwap::default(),
            warned: Mutex::default(),
            complaints: Complaints::default(),
        }
    }

    pub(super) fn authenticate(&self, token: &str) -> Answer {
        match self.users.load().get(&self.fingerprints.of(token)) {
            Some(user) => Answer::Authenticated(Arc::clone(user)),
            None => Answer::NotRequested,
        }
    }

    /// Reads the file; returns everything that is wrong with it. Then what was read before stays in force.
    pub(super) async fn load(&self) -> Vec<String> {
        let text = match self.read().await {
            Ok(text) => text,
            Err(error) => return vec![format!("--token-auth-file: {}: {error}", self.path.display())],
        };
        let Parsed { users, problems, duplicates } = self.parse(&text);
        self.warn_of(duplicates);
        if problems.is_empty() && **self.users.load() != users {
            info!(file = %self.path.display(), tokens = users.len(), "tokens are loaded");
            self.users.store(Arc::new(users));
        }
        at_most(MAX_NAMED, problems)
    }

    /// Reads the file again and again, for ever.
    pub(super) async fn watch(&self) {
        loop {
            tokio::time::sleep(self.poll).await;
            self.complaints.tell("token file", self.load().await);
        }
    }

    async fn read(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        tokio::fs::File::open(&self.path).await?.take(MAX_FILE + 1).read_to_end(&mut bytes).await?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(std::io::Error::other(format!("is larger than {MAX_FILE} bytes")));
        }
        Ok(bytes)
    }

    fn parse(&self, text: &[u8]) -> Parsed {
        let mut parsed = Parsed::default();
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            let place = || format!("{}:{}", self.path.display(), index + 1);
            match entry(line) {
                Err(reason) => parsed.problems.push(format!("{}: {reason}", place())),
                Ok((token, user)) => match parsed.users.entry(self.fingerprints.of(&token)) {
                    std::collections::hash_map::Entry::Vacant(free) => {
                        _ = free.insert(UserInfo::completed(Arc::new(user)))
                    }
                    std::collections::hash_map::Entry::Occupied(_) => parsed.duplicates.push(place()),
                },
            }
        }
        parsed
    }

    fn warn_of(&self, duplicates: Vec<String>) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if *warned != duplicates && !duplicates.is_empty() {
            let lines = at_most(MAX_NAMED, duplicates.clone()).join(", ");
            warn!(lines, "these lines repeat a token of an earlier line, which stands; remove them");
        }
        *warned = duplicates;
    }
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What a file says.
#[derive(Default)]
struct Parsed {
    users: Users,
    problems: Vec<String>,
    duplicates: Vec<String>,
}

/// Token and user of one line.
fn entry(line: &[u8]) -> Result<(String, UserInfo), String> {
    let line = std::str::from_utf8(line).map_err(|_| "is not UTF-8")?;
    let fields = fields(line)?;
    let (token, name, uid, groups) = match fields.as_slice() {
        [token, name, uid] => (token, name, uid, ""),
        [token, name, uid, groups] => (token, name, uid, groups.as_str()),
        few if few.len() < 3 => {
            return Err(format!("has {} of at least 3 columns: token,user,uid,\"group1,group2\"", few.len()));
        }
        many => {
            return Err(format!(
                "has {} columns; several groups must stand in one pair of quotes",
                many.len()
            ));
        }
    };
    if token.is_empty() {
        return Err("has no token".to_owned());
    }
    if token.contains(|character: char| character.is_whitespace() || character.is_control()) {
        return Err("has a token with spaces or control characters, which nobody could present".to_owned());
    }
    if name.is_empty() {
        return Err("has no user".to_owned());
    }
    let groups = groups.split(',').map(str::trim).filter(|group| !group.is_empty()).map(str::to_owned);
    let user =
        UserInfo { name: name.clone(), uid: uid.clone(), groups: groups.collect(), ..UserInfo::default() };
    Ok((token.clone(), user))
}

/// Fields of a line; one in quotes may hold commas, and quotes that are doubled.
fn fields(line: &str) -> Result<Vec<String>, &'static str> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (field, after) = rest.split_at(end);
                if field.contains('"') {
                    return Err("has a quote inside a field that does not begin with one");
                }
                (field.to_owned(), after)
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => return Err("has text between a closing quote and the next comma"),
        }
    }
}

/// A field whose opening quote is off, and what follows its closing one.
fn quoted_field(text: &str) -> Result<(String, &str), &'static str> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"').ok_or("has a quote that is not closed")?;
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Ok((field, after)),
        }
    }
}

fn at_most(limit: usize, mut texts: Vec<String>) -> Vec<String> {
    let more = texts.len().saturating_sub(limit);
    texts.truncate(limit);
    if more > 0 {
        texts.push(format!("and {more} more"));
    }
    texts
}
