//! Times as text: RFC 3339, written in UTC to the microsecond, read with any offset.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: u64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01; years are counted from March, so that a leap day is a year's last.
const EPOCH: i64 = 719_468;
/// Days in 400 years, after which the calendar repeats.
const ERA: i64 = 146_097;

/// `2026-11-22T00:30:28.123456Z`. A time before 1970 is told as 1970.
#[must_use]
pub fn format(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:06}Z", to_the_second(since.as_secs()), since.subsec_micros())
}

/// `2026-11-22T00:30:28Z`, of seconds since 1970.
#[must_use]
pub fn of_seconds(seconds: u64) -> String {
    to_the_second(seconds) + "Z"
}

fn to_the_second(seconds: u64) -> String {
    let (days, second) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = date(i64::try_from(days).unwrap_or(i64::MAX / 2));
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// The time that a text tells: a date, `T` or a blank, a time with or without seconds and their fraction, and `Z`, an
/// offset like `+02:00`, or nothing for UTC. A date alone is its midnight. `None` for anything else.
#[must_use]
pub fn parse(text: &str) -> Option<SystemTime> {
    let (date, rest) = text.split_at_checked(10)?;
    let mut parts = date.split('-');
    let (year, month, day) =
        (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if parts.next().is_some() || !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    let (clock, nanos, offset) = match rest.strip_prefix(['T', 't', ' ']) {
        Some(rest) => time_of_day(rest)?,
        None if rest.is_empty() => (0, 0, 0),
        None => return None,
    };
    let seconds = days(year, month, day) * 86_400 + clock - offset;
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))?;
    time.checked_add(Duration::from_nanos(nanos))
}

/// Seconds since midnight, nanoseconds, and the offset in seconds.
fn time_of_day(text: &str) -> Option<(i64, u64, i64)> {
    let (clock, offset) = match text.find(['Z', 'z', '+', '-']) {
        Some(at) => (text.get(..at)?, offset(text.get(at..)?)?),
        None => (text, 0),
    };
    let (clock, nanos) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, nanoseconds(fraction)?),
        None => (clock, 0),
    };
    let mut parts = clock.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |text| digits(text, 2))?;
    // 60 is a leap second, which the clock of a machine does not have.
    let sound = hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
    sound.then_some((hour * 3600 + minute * 60 + second, nanos, offset))
}

fn offset(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn nanoseconds(fraction: &str) -> Option<u64> {
    let known = fraction.get(..9.min(fraction.len()))?;
    let value = u64::try_from(digits(known, known.len())?).ok()?;
    let missing = u32::try_from(9 - known.len()).ok()?;
    fraction.bytes().all(|byte| byte.is_ascii_digit()).then_some(value * 10_u64.pow(missing))
}

/// A number of exactly `length` digits, one at least.
fn digits(text: &str, length: usize) -> Option<i64> {
    let sound = text.len() == length && length > 0 && text.bytes().all(|byte| byte.is_ascii_digit());
    if sound { text.parse().ok() } else { None }
}

fn days_in(year: i64, month: i64) -> i64 {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days(next_year, next_month, 1) - days(year, month, 1)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * ERA + year * 365 + year / 4 - year / 100 + day - EPOCH
}

/// The date that is `days` after 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    let (era, day) = ((days + EPOCH).div_euclid(ERA), (days + EPOCH).rem_euclid(ERA));
    let year = (day - day / 1460 + day / 36_524 - day / (ERA - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_written_as_date_does() {
        // `date -u -d @N +%FT%T.%6NZ`
        let cases = [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, 1, "2000-02-28T23:59:59.000001Z"),
            (951_782_400, 0, "2000-02-29T00:00:00.000000Z"),
            (1_795_307_428, 123_456, "2026-11-22T00:30:28.123456Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"),
        ];
        for (seconds, micros, text) in cases {
            let time = UNIX_EPOCH + Duration::new(seconds, micros * 1000);
            assert_eq!(format(time), text);
            assert_eq!(parse(text), Some(time), "{text}");
            assert_eq!(of_seconds(seconds), format!("{}Z", &text[..19]));
        }
    }

    #[test]
    fn offsets_fractions_and_short_forms_are_read() {
        let base = parse("2026-11-22T00:30:00Z").unwrap();
        for text in [
            "2026-11-22T02:30:00+02:00",
            "2026-11-21 19:30:00.000-05:00",
            "2026-11-22T00:30",
            "2026-11-22t00:30z",
        ] {
            assert_eq!(parse(text), Some(base), "{text}");
        }
        assert_eq!(parse("2026-11-22"), parse("2026-11-22T00:00:00Z"));
        assert_eq!(parse("2026-11-22T00:30:00.1234567891Z"), Some(base + Duration::from_nanos(123_456_789)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "10m",
            "2026-13-01",
            "2026-02-29",
            "2026-2-3",
            "2026-11-22T",
            "2026-11-22T24:00",
            "2026-11-22T00:60",
            "2026-11-22T00:00:00.Z",
            "2026-11-22T00:00+2",
            "2026-11-22T00:00:00:00",
            "2026-11-22X00:00",
            "1969-12-31T23:59:59Z",
            "2026-11-2é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in 0_u64..250_000_000_000, micros in 0_u32..1_000_000) {
            let time = UNIX_EPOCH + Duration::new(seconds, micros * 1000);
            prop_assert_eq!(parse(&format(time)), Some(time));
        }

        #[test]
        fn any_text_is_a_time_or_not(text in "[-0-9TZ:+. ]{0,30}|\\PC{0,20}") {
            prop_assert!(parse(&text).is_none_or(|time| time >= UNIX_EPOCH));
        }
    }
}
