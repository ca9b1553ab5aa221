//! When: pure, so that it can be tested without waiting.

use std::time::{Duration, SystemTime};

use super::token::Life;

/// Part of the time until a renewal by which it may come earlier, so that tokens issued together do not end together.
const SPREAD: f64 = 0.05;
/// Before a renewal that failed is tried again; doubled with each failure.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// When a token is to be renewed: when `percent` of its life has passed, or at most a twentieth sooner, as `chance` (0 to 1)
/// says. A token of which nothing is known: at once.
///
/// `not_after` is what the token says itself. It counts where it ends sooner than the annotations say: somebody has put
/// another one there.
pub(super) fn due(life: Option<Life>, not_after: Option<SystemTime>, percent: u8, chance: f64) -> SystemTime {
    let Some(Life { issued, ends }) = life else { return SystemTime::UNIX_EPOCH };
    let ends = not_after.map_or(ends, |end| end.min(ends));
    let Ok(length) = ends.duration_since(issued) else { return SystemTime::UNIX_EPOCH };
    issued + length.mul_f64(f64::from(percent.min(100)) / 100.0 * (1.0 - SPREAD * chance.clamp(0.0, 1.0)))
}

/// How long to wait after so many failures in a row. `chance` (0 to 1) takes up to a tenth off.
pub(super) fn pause(failures: u32, chance: f64) -> Duration {
    let pause = FIRST_PAUSE * (1 << failures.saturating_sub(1).min(8));
    pause.min(LONGEST_PAUSE).mul_f64(1.0 - 0.1 * chance.clamp(0.0, 1.0))
}

/// How long a token that was issued just now is left alone, whatever the clocks say.
pub(super) fn rest(life: &Life, percent: u8) -> Duration {
    life.length().mul_f64(f64::from(percent.min(100)) / 200.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn life() -> Life {
        Life { issued: at(0), ends: at(1000) }
    }

    #[test]
    fn a_token_is_renewed_when_four_fifths_of_its_life_have_passed_or_a_little_sooner() {
        assert_eq!(due(Some(life()), None, 80, 0.0), at(800));
        assert_eq!(due(Some(life()), None, 80, 1.0), at(760));
        assert_eq!(due(None, Some(at(1000)), 80, 0.0), at(0), "nothing known: at once");
    }

    #[test]
    fn a_token_that_ends_sooner_than_was_written_down_is_renewed_sooner() {
        assert_eq!(due(Some(life()), Some(at(500)), 80, 0.0), at(400));
        assert_eq!(due(Some(life()), Some(at(5000)), 80, 0.0), at(800));
        let later = Life { issued: at(100), ends: at(1000) };
        assert_eq!(due(Some(later), Some(at(50)), 80, 0.0), at(0));
        assert_eq!(rest(&life(), 80), Duration::from_secs(400), "but not again and again");
    }

    #[test]
    fn failures_are_repeated_with_growing_pauses_that_stay_bounded() {
        let seconds = |failures, chance| pause(failures, chance).as_secs_f64();
        assert_eq!([1, 2, 3].map(|failures| seconds(failures, 0.0)), [5.0, 10.0, 20.0]);
        assert_eq!(seconds(u32::MAX, 0.0), 300.0);
        assert_eq!(seconds(1, 1.0), 4.5);
    }
}
