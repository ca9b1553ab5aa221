//! The time of day as the member tells it. It follows tokio's clock, so that a test that holds that one holds this one.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

/// When the member began, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    begun: Instant,
    wall: OffsetDateTime,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { begun: Instant::now(), wall: OffsetDateTime::now_utc() }
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.wall + self.begun.elapsed()
    }
}

/// As objects carry times: UTC, whole seconds.
pub(crate) fn rfc3339(time: OffsetDateTime) -> String {
    time.replace_nanosecond(0).unwrap_or(time).format(&Rfc3339).unwrap_or_default()
}

pub(crate) fn parse(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// How long ago, in the two greatest units that matter, as kubectl's AGE column shows it.
pub(crate) fn age(since: OffsetDateTime, now: OffsetDateTime) -> String {
    let seconds = (now - since).whole_seconds().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |great: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{great}{unit}"),
        _ => format!("{great}{unit}{small}{small_unit}"),
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, "d", hours % 24, "h"),
        () if days < 730 => format!("{days}d"),
        () => two(days / 365, "y", days % 365, "d"),
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn ages_are_those_of_kubectl() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(9_000);
        for (seconds, text) in [
            (-5, "0s"),
            (119, "119s"),
            (120, "2m"),
            (185, "3m5s"),
            (3_599, "59m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_100, "3h5m"),
            (100_000, "27h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (864_000, "10d"),
            (63_072_000, "2y"),
        ] {
            assert_eq!(age(now - Duration::seconds(seconds), now), text, "{seconds}");
        }
    }

    #[test]
    fn times_have_whole_seconds() {
        let time = OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(1_999);
        assert_eq!(rfc3339(time), "1970-01-01T00:00:01Z");
        assert_eq!(parse("1970-01-01T00:00:01Z"), Some(OffsetDateTime::UNIX_EPOCH + Duration::seconds(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_is_held_with_that_of_the_test() {
        let clock = Clock::start();
        let before = clock.now();
        assert_eq!(clock.now(), before);
        tokio::time::advance(std::time::Duration::from_secs(3)).await;
        assert_eq!(clock.now() - before, Duration::seconds(3));
    }
}
