//! Who may have how many questions under way, so that no one takes the place of all others.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::Failure;

/// Questions of everybody together; more are refused rather than queued.
const MAX_ALL: usize = 4096;
/// Questions of all of [`Standing::Unknown`] together. The rest of [`MAX_ALL`] is for those who are known.
const MAX_UNKNOWN: usize = 1024;

/// What is known of whoever causes a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Somebody who has proven who he is.
    Known,
    /// Anybody.
    Unknown,
}

impl Standing {
    /// Questions of one share that may be under way or wait for their turn.
    fn waiting(self) -> usize {
        match self {
            Self::Known => 1024,
            Self::Unknown => 256,
        }
    }

    /// Questions of one share that may be asked at the same time.
    fn at_once(self) -> usize {
        match self {
            Self::Known => 32,
            Self::Unknown => 8,
        }
    }
}

/// On whose account a question goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Share {
    standing: Standing,
    of: String,
}

impl Share {
    /// The share of somebody known, by name.
    pub fn known(name: impl Into<String>) -> Self {
        Self { standing: Standing::Known, of: name.into() }
    }

    /// A share of those who are not known, by whatever tells them apart.
    pub fn unknown(of: impl Into<String>) -> Self {
        Self { standing: Standing::Unknown, of: of.into() }
    }

    /// What is known of its owner.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }
}

/// The shares in use. Bounded, since each has a question under way.
#[derive(Debug, Default)]
pub(super) struct Shares {
    open: HashMap<Share, Open>,
    all: usize,
    unknown: usize,
}

#[derive(Debug)]
struct Open {
    questions: usize,
    turns: Arc<Semaphore>,
}

impl Shares {
    /// Counts one more question; gives what it has to wait for.
    pub(super) fn enter(&mut self, share: &Share) -> Result<Arc<Semaphore>, Failure> {
        let unknown = share.standing == Standing::Unknown;
        if unknown && self.unknown >= MAX_UNKNOWN {
            return Err(Failure::Busy("callers who are not known"));
        }
        if self.all >= MAX_ALL {
            return Err(Failure::Busy("all callers"));
        }
        let waiting = self.open.get(share).map_or(0, |open| open.questions);
        if waiting >= share.standing.waiting() {
            return Err(Failure::Busy(if unknown { "callers like this one" } else { "this user" }));
        }
        self.all += 1;
        self.unknown += usize::from(unknown);
        let open = self.open.entry(share.clone()).or_insert_with(|| Open {
            questions: 0,
            turns: Arc::new(Semaphore::new(share.standing.at_once())),
        });
        open.questions += 1;
        Ok(Arc::clone(&open.turns))
    }

    /// All counts together: zero when no question is under way.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.open.len() + self.all + self.unknown
    }

    /// One question less.
    pub(super) fn leave(&mut self, share: &Share) {
        let Some(open) = self.open.get_mut(share) else { return };
        open.questions -= 1;
        if open.questions == 0 {
            self.open.remove(share);
        }
        self.all -= 1;
        self.unknown -= usize::from(share.standing == Standing::Unknown);
    }
}
