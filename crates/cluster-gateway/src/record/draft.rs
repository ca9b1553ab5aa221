//! A request under way that will be, or is, among the latest.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderValue, StatusCode};

use super::Labels;
use super::recent::{Asked, End, Fate, Recent, Request, short};
use crate::request::ProxyTarget;
use crate::status::Error;

/// What is known of it so far.
#[derive(Debug)]
pub(super) struct Draft {
    recent: Arc<Recent>,
    /// Until it is among the latest.
    asked: Option<Asked>,
    kept: Option<Arc<Request>>,
    code: Option<StatusCode>,
    fate: Option<Fate>,
}

impl Draft {
    pub(super) fn of(
        recent: &Arc<Recent>,
        id: &HeaderValue,
        target: &ProxyTarget,
        query: Option<&str>,
    ) -> Self {
        let path = &target.path.path;
        let labels = Labels::of(&target.method, path, query.unwrap_or_default(), target.upgrade);
        let asked = Asked {
            cluster: Arc::from(target.path.cluster.as_str()),
            id: id.clone(),
            at: SystemTime::now(),
            user: String::new(),
            verb: labels.verb,
            path: short(path),
        };
        Self { recent: Arc::clone(recent), asked: Some(asked), kept: None, code: None, fate: None }
    }

    /// It is known who asks.
    pub(super) fn user(&mut self, name: &str) {
        if let Some(asked) = &mut self.asked {
            asked.user = short(name);
        }
    }

    /// It is on its way to the cluster.
    pub(super) fn begin(&mut self) {
        self.kept = self.asked.take().and_then(|asked| self.recent.begin(asked));
    }

    pub(super) fn failed(&mut self, error: &Error, cause: &str) {
        self.fate = Some(Fate::of(error, cause));
    }

    pub(super) fn answered(&mut self, code: StatusCode) {
        self.code = Some(code);
    }

    pub(super) fn broken_off(&mut self, reason: &str) {
        self.fate.get_or_insert_with(|| Fate::broken_off(reason));
    }

    /// The last byte has left, or nobody waits any more.
    pub(super) fn ended(mut self, took: Duration) {
        // It was refused before it was on its way.
        if self.asked.is_some() {
            self.begin();
        }
        let fate = self.fate.take().unwrap_or_else(|| match self.code {
            Some(_) => Fate::default(),
            None => Fate::broken_off("the caller went away before there was an answer"),
        });
        if let Some(kept) = &self.kept {
            self.recent.end(kept, End { code: self.code, took, fate });
        }
    }
}
