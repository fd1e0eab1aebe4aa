//! From when on: a time, or how long ago.

use std::time::{Duration, SystemTime};

use crate::rfc3339;

/// Reads `90s`, `10m`, `1h30m`, `2d`, or a number of seconds, all counted back from `now`; or a time as
/// [`rfc3339::parse`] reads it.
#[must_use]
pub fn parse(text: &str, now: SystemTime) -> Option<SystemTime> {
    match ago(text) {
        // Longer ago than the clock knows: from the beginning.
        Some(ago) => Some(
            now.checked_sub(ago).filter(|t| *t >= SystemTime::UNIX_EPOCH).unwrap_or(SystemTime::UNIX_EPOCH),
        ),
        None => rfc3339::parse(text),
    }
}

fn ago(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest.get(..digits)?.parse().ok()?;
        let (unit, after) = rest.get(digits..)?.split_at_checked(1)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        sum = sum.checked_add(Duration::from_secs(count.checked_mul(unit)?))?;
        rest = after;
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_count_back_and_times_stand_for_themselves() {
        let now = rfc3339::parse("2026-11-22T12:00:00Z").unwrap();
        let cases = [
            ("90s", "2026-11-22T11:58:30Z"),
            ("90", "2026-11-22T11:58:30Z"),
            ("1h30m", "2026-11-22T10:30:00Z"),
            ("1d", "2026-11-21T12:00:00Z"),
            ("2026-11-22T08:30", "2026-11-22T08:30:00Z"),
            ("99999999d", "1970-01-01T00:00:00Z"),
        ];
        for (text, time) in cases {
            assert_eq!(parse(text, now), rfc3339::parse(time), "{text}");
        }
        for text in ["", "m", "10x", "10m5", "-5m", "yesterday", "99999999999999999999d"] {
            assert_eq!(parse(text, now), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_or_not(text in "\\PC{0,20}|[0-9smhd]{0,30}") {
            let now = SystemTime::now();
            prop_assert!(parse(&text, now).is_none_or(|time| time >= SystemTime::UNIX_EPOCH));
        }
    }
}
