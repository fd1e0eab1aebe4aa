//! Numbers, texts and times as they lie on the disk (ECMA-119, sections 7 and 8.4.26).

/// A number in both byte orders (7.3.3).
pub(super) fn both(value: u32) -> [u8; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (value.to_le_bytes(), value.to_be_bytes());
    [a, b, c, d, e, f, g, h]
}

/// A short number in both byte orders (7.2.3).
pub(super) fn both16(value: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (value.to_le_bytes(), value.to_be_bytes());
    [a, b, c, d]
}

/// A text with blanks behind it; what is more than `N` bytes is cut off.
pub(super) fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [b' '; N];
    for (to, from) in field.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    field
}

/// A moment in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    year: u64,
    month: u64,
    day: u64,
    second: u64,
}

impl Moment {
    /// Seconds since 1970. The calendar repeats after 400 years of 146097 days; years begin in March here, so that leap days are
    /// the last of theirs.
    fn of(seconds: u64) -> Self {
        let days = seconds / 86_400 + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let (month, day) = ((month + 2) % 12 + 1, day - (153 * month + 2) / 5 + 1);
        let year = era * 400 + year + u64::from(month <= 2);
        Self { year, month, day, second: seconds % 86_400 }
    }
}

/// The time of a directory record (9.1.5): it ends with the year 2155, and later ones are that.
pub(super) fn short_time(seconds: u64) -> [u8; 7] {
    const LAST: u64 = 5_869_583_999;
    let Moment { year, month, day, second } = Moment::of(seconds.min(LAST));
    let time = [year - 1900, month, day, second / 3600, second / 60 % 60, second % 60, 0];
    // All are below 256 by now.
    time.map(|part| part as u8)
}

/// The time of a volume descriptor (8.4.26.1), with hundredths of a second.
pub(super) fn long_time(seconds: u64, hundredths: u64) -> [u8; 17] {
    let Moment { year, month, day, second } = Moment::of(seconds);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let text = format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}{hundredths:02}");
    let mut time = [0; 17];
    for (to, from) in time.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970010100000000"),
            (951_782_400, "2000022900000000"),
            (1_492_533_000, "2017041816300000"),
            (4_107_542_399, "2100022823595900"),
            (4_107_542_400, "2100030100000000"),
        ] {
            assert_eq!(String::from_utf8_lossy(&long_time(seconds, 0)[..16]), expected);
        }
        assert_eq!(short_time(1_492_533_000), [117, 4, 18, 16, 30, 0, 0]);
        assert_eq!(short_time(u64::MAX), [255, 12, 31, 23, 59, 59, 0]);
    }
}
