//! What every answer must be, and the count of them all.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Result, ensure};
use http::{HeaderMap, StatusCode};

/// So many violations are kept with their words.
const KEPT: usize = 20;

/// What a request asked for.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) nonce: String,
    /// The members that may answer: more than one while a cluster moves.
    pub(super) members: &'static [&'static str],
    pub(super) user: String,
}

/// What happened, by its name, and what must not have happened, in words.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: Mutex<BTreeMap<String, u64>>,
    violations: Mutex<Vec<String>>,
}

impl Tally {
    pub(super) fn count(&self, what: &str) {
        *lock(&self.counts).entry(what.to_owned()).or_default() += 1;
    }

    pub(super) fn violation(&self, text: String) {
        let mut violations = lock(&self.violations);
        if violations.len() < KEPT {
            violations.push(text);
        }
    }

    /// Checks whose answer it is. Only a member has a nonce to give; a success without one is nobody's.
    pub(super) fn head(&self, what: &str, expected: &Expected, status: StatusCode, headers: &HeaderMap) {
        self.count(&format!("{what}: {}", status.as_u16()));
        if let Err(error) = judge(expected, status, headers) {
            self.violation(format!("{what}, {status}: {error}"));
        }
    }

    pub(super) fn verdict(&self) -> Result<()> {
        let violations = lock(&self.violations);
        ensure!(violations.is_empty(), "what must not happen has happened:\n{}", violations.join("\n"));
        for what in [
            "get: 200",
            "list: whole",
            "watch: event",
            "upload: 200",
            "exec: echo",
            "get: 200 while the hub is down",
        ] {
            ensure!(
                lock(&self.counts).contains_key(what),
                "nothing was counted as {what:?}: the run shows nothing"
            );
        }
        Ok(())
    }
}

fn judge(expected: &Expected, status: StatusCode, headers: &HeaderMap) -> Result<()> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(nonce) = text("x-simulated-nonce") else {
        ensure!(
            !status.is_success() && status != StatusCode::SWITCHING_PROTOCOLS,
            "a success that no member gave"
        );
        return Ok(());
    };
    ensure!(nonce == expected.nonce, "nonce {nonce} instead of {}", expected.nonce);
    let member = text("x-simulated-member").unwrap_or_default();
    ensure!(expected.members.contains(&member), "member {member} instead of {:?}", expected.members);
    let user = text("x-simulated-user").unwrap_or_default();
    ensure!(user == expected.user, "user {user:?} instead of {:?}", expected.user);
    Ok(())
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &*lock(&self.counts) {
            writeln!(f, "{count:>8}  {what}")?;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn answer(nonce: &'static str, member: &'static str, user: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("x-simulated-nonce", nonce), ("x-simulated-member", member), ("x-simulated-user", user)]
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn an_answer_of_another_is_found() {
        let expected = Expected { nonce: "n1".to_owned(), members: &["a", "b"], user: "ann".to_owned() };
        let good = StatusCode::OK;
        assert!(judge(&expected, good, &answer("n1", "b", "ann")).is_ok());
        assert!(judge(&expected, good, &answer("n2", "a", "ann")).is_err());
        assert!(judge(&expected, good, &answer("n1", "c", "ann")).is_err());
        assert!(judge(&expected, good, &answer("n1", "a", "bob")).is_err());
        assert!(judge(&expected, StatusCode::NOT_FOUND, &answer("n1", "a", "bob")).is_err());
        assert!(judge(&expected, good, &HeaderMap::new()).is_err());
        assert!(judge(&expected, StatusCode::SWITCHING_PROTOCOLS, &HeaderMap::new()).is_err());
        assert!(judge(&expected, StatusCode::BAD_GATEWAY, &HeaderMap::new()).is_ok());
    }

    #[test]
    fn a_run_that_shows_nothing_fails() {
        let tally = Tally::default();
        assert!(tally.verdict().is_err());
    }
}
