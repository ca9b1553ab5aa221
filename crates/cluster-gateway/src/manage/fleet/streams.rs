//! How many endless answers there are at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::manage::{Caller, Code, Refusal};

/// Of one user: a browser has one or two per page.
const MOST_OF_ONE: usize = 64;
/// Of all.
const MOST: usize = 4096;

/// Things under way, by user.
#[derive(Debug, Clone, Default)]
pub(super) struct UnderWay(Arc<Mutex<HashMap<String, usize>>>);

/// One of them; over when it is dropped.
#[derive(Debug)]
pub(in crate::manage) struct Place {
    user: String,
    under_way: UnderWay,
}

/// Endless answers.
#[derive(Debug, Default)]
pub(super) struct Streams(UnderWay);

impl Streams {
    /// # Errors
    /// There are too many.
    pub(super) fn begin(&self, caller: &Caller) -> Result<Place, Refusal> {
        self.0.begin(caller, MOST_OF_ONE, MOST).ok_or_else(|| {
            let message = format!(
                "there are too many open event streams; a user may have {MOST_OF_ONE}, and all together {MOST}"
            );
            too_many(message).remedy("Close pages of the console that you do not need.")
        })
    }
}

impl UnderWay {
    /// `None`: there are `of_one` of this user, or `of_all` of all.
    pub(super) fn begin(&self, caller: &Caller, of_one: usize, of_all: usize) -> Option<Place> {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if users.values().sum::<usize>() >= of_all {
            return None;
        }
        let user = caller.user.name.clone();
        let number = users.entry(user.clone()).or_default();
        if *number >= of_one {
            return None;
        }
        *number += 1;
        Some(Place { user, under_way: self.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut users = self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = users.get_mut(&self.user) {
            *number -= 1;
            if *number == 0 {
                users.remove(&self.user);
            }
        }
    }
}

/// A refusal of what may be tried again at once when something else has ended.
pub(super) fn too_many(message: impl Into<String>) -> Refusal {
    Refusal { retry_after: Some(Duration::from_secs(5)), ..Refusal::new(Code::TooMany, message) }
}
