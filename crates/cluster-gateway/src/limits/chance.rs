//! Something that happens now and then.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Strikes with a fixed probability. Not unpredictable: nothing depends on that.
#[derive(Debug)]
pub(super) struct Chance {
    /// Strikes below this.
    threshold: u64,
    state: AtomicU64,
}

impl Chance {
    /// `probability` from 0, never, to 1, always.
    pub(super) fn new(probability: f64) -> Self {
        // The conversion saturates, so that 1 is the largest number.
        Self { threshold: (probability * u64::MAX as f64) as u64, state: AtomicU64::new(seed()) }
    }

    pub(super) fn strikes(&self) -> bool {
        if self.threshold == 0 {
            return false;
        }
        // Steele, Lea, Flood: "Fast splittable pseudorandom number generators".
        let mut z = self.state.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) <= self.threshold
    }
}

fn seed() -> u64 {
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_strikes_as_often_as_it_should() {
        let strikes = |probability| {
            let chance = Chance::new(probability);
            (0..100_000).filter(|_| chance.strikes()).count()
        };
        assert_eq!((strikes(0.0), strikes(1.0)), (0, 100_000));
        // Ten standard deviations.
        assert!((1_560..2_440).contains(&strikes(0.02)), "{}", strikes(0.02));
    }
}
