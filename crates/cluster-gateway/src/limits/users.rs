//! What is under way, by user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::InFlight;

/// How many locks share the users, so that requests of different users rarely meet.
const SHARDS: usize = 16;
/// From how many users on a shard forgets those who have nothing under way. Ten thousand users who come in turn fit, so that
/// they are not made again and again.
const ROOM: usize = 1024;

/// Users by name. Who has nothing under way is forgotten when room is needed: nobody can fill it by coming as many
/// users.
#[derive(Debug, Default)]
pub(super) struct Users([Mutex<Shard>; SHARDS]);

#[derive(Debug)]
struct Shard {
    users: HashMap<Box<str>, Arc<InFlight>>,
    /// Number of users at which the next one makes room.
    room: usize,
}

impl Default for Shard {
    fn default() -> Self {
        Self { users: HashMap::new(), room: ROOM }
    }
}

impl Users {
    /// The counters of a user; they stay the same as long as somebody holds them.
    pub(super) fn get(&self, name: &str) -> Arc<InFlight> {
        // Which lock a name takes need not be unpredictable, only quick: that of its last bytes.
        let sum: usize = name.bytes().rev().take(4).map(usize::from).sum();
        let mut shard = self.0[(sum + name.len()) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(in_flight) = shard.users.get(name) {
            return Arc::clone(in_flight);
        }
        shard.make_room();
        let in_flight = Arc::<InFlight>::default();
        shard.users.insert(name.into(), Arc::clone(&in_flight));
        in_flight
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).users.len()).sum()
    }
}

impl Shard {
    fn make_room(&mut self) {
        if self.users.len() < self.room {
            return;
        }
        self.users.retain(|_, in_flight| Arc::strong_count(in_flight) > 1);
        // Where most are busy, looking for room at every newcomer would cost more than the room.
        self.room = ROOM.max(self.users.len() * 2);
    }
}
