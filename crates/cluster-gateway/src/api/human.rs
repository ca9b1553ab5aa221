//! Times as people read them in tables.

use std::borrow::Cow;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Stands in a cell where there is nothing to show.
pub(super) const NONE: &str = "<none>";
/// Stands in a cell where a time cannot be read.
const UNKNOWN: &str = "<unknown>";

/// How long ago, in kubectl's words: `5s`, `3m20s`, `7d`.
pub(super) fn since(time: Option<&str>, now: OffsetDateTime, absent: &'static str) -> Cow<'static, str> {
    match time.map(|text| OffsetDateTime::parse(text, &Rfc3339)) {
        None => absent.into(),
        Some(Err(_)) => UNKNOWN.into(),
        Some(Ok(time)) => duration((now - time).whole_seconds()).into(),
    }
}

/// Age of an object, as kubectl shows it.
pub(crate) fn age(created: Option<&str>, now: OffsetDateTime) -> Cow<'static, str> {
    since(created, now, UNKNOWN)
}

/// How long until then; `expired` when it is over.
pub(crate) fn until(end: Option<OffsetDateTime>, now: OffsetDateTime) -> Cow<'static, str> {
    match end {
        None => NONE.into(),
        Some(end) if end <= now => "expired".into(),
        Some(end) => duration((end - now).whole_seconds()).into(),
    }
}

/// A time for clients.
pub(super) fn rfc3339(time: OffsetDateTime) -> Option<String> {
    time.format(&Rfc3339).ok()
}

/// The two largest units that matter. Clocks differ a little, so what lies just ahead is now.
fn duration(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |unit: i64, name: &str, smaller: i64, smaller_name: &str| {
        let rest = seconds % unit / smaller;
        let rest = if rest == 0 { String::new() } else { format!("{rest}{smaller_name}") };
        format!("{}{name}{rest}", seconds / unit)
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(MINUTE, "m", 1, "s"),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(HOUR, "h", MINUTE, "m"),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(DAY, "d", HOUR, "h"),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two(YEAR, "y", DAY, "d"),
        _ => format!("{}y", seconds / YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_kubectl() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (200, "3m20s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_100, "3h5m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (691_200, "8d"),
            (63_071_999, "729d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (252_288_000, "8y"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn what_is_not_there_or_not_a_time_says_so() {
        let now = OffsetDateTime::from_unix_timestamp(1_767_225_600).unwrap();
        assert_eq!(age(Some("2025-12-31T23:59:00Z"), now), "60s");
        assert_eq!((age(None, now), age(Some("yesterday"), now)), (UNKNOWN.into(), UNKNOWN.into()));
        assert_eq!(since(None, now, NONE), NONE);
        let day = time::Duration::DAY;
        assert_eq!(
            [until(None, now), until(Some(now), now), until(Some(now + day * 90), now)],
            [NONE, "expired", "90d"]
        );
    }
}
