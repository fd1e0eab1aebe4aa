//! Dates of the Gregorian calendar, to and from seconds since 1970. Pure.

use crate::sys::RtcTime;

const DAY: i64 = 86_400;
/// Days from 1 March of year 0 to 1 January 1970.
const EPOCH: i64 = 719_468;
/// Days in 400 years, after which the calendar repeats.
const ERA: i64 = 146_097;

/// Seconds since 1970 of a date in UTC; `None` for one that no clock can show, before 1970 or after 9999.
pub fn seconds(time: RtcTime) -> Option<i64> {
    let [second, minute, hour, day, month, year] =
        [time.second, time.minute, time.hour, time.day, time.month, time.year].map(i64::from);
    let year = year + 1900;
    let valid = (0..60).contains(&second)
        && (0..60).contains(&minute)
        && (0..24).contains(&hour)
        && (1..=31).contains(&day)
        && (0..12).contains(&month)
        && (1970..=9999).contains(&year);
    valid.then_some(())?;
    // Years that begin in March end with the leap day.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let era = year.div_euclid(400);
    let year = year.rem_euclid(400);
    let days = era * ERA + year * 365 + year / 4 - year / 100 + day_of_year - EPOCH;
    let seconds = days * DAY + hour * 3600 + minute * 60 + second;
    // The 31st of a month with 30 days would be another date.
    (fields(seconds).day == time.day).then_some(seconds)
}

/// The date in UTC of seconds since 1970; what is out of the clock's range is 1970.
pub fn fields(seconds: i64) -> RtcTime {
    let days = seconds.div_euclid(DAY) + EPOCH;
    let time = seconds.rem_euclid(DAY);
    let era = days.div_euclid(ERA);
    let day = days.rem_euclid(ERA);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) =
        (era * 400 + year + i64::from(month >= 10), if month < 10 { month + 2 } else { month - 10 });
    let number = |value: i64| i32::try_from(value).unwrap_or_default();
    RtcTime {
        second: number(time % 60),
        minute: number(time / 60 % 60),
        hour: number(time / 3600),
        day: number(day),
        month: number(month),
        year: number(year - 1900),
        ..RtcTime::default()
    }
}

/// As util-linux' hwclock shows it.
pub fn text(seconds: i64) -> String {
    let RtcTime { second, minute, hour, day, month, year, .. } = fields(seconds);
    format!("{:04}-{:02}-{day:02} {hour:02}:{minute:02}:{second:02}.000000+00:00", year + 1900, month + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_that_are_known() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00.000000+00:00"),
            (951_782_400, "2000-02-29 00:00:00.000000+00:00"),
            (1_767_225_599, "2025-12-31 23:59:59.000000+00:00"),
            (4_107_542_400, "2100-03-01 00:00:00.000000+00:00"),
        ] {
            assert_eq!(text(seconds), expected);
        }
    }

    #[test]
    fn a_date_that_does_not_exist_is_refused() {
        let time = |day, month, year| RtcTime { day, month, year, ..RtcTime::default() };
        for time in [time(31, 3, 126), time(29, 1, 127), time(0, 0, 126), time(1, 12, 126), time(1, 0, 69)] {
            assert_eq!(seconds(time), None, "{time:?}");
        }
    }

    proptest! {
        #[test]
        fn every_second_up_to_9999_is_the_second_it_is(second in 0i64..253_402_300_800) {
            prop_assert_eq!(seconds(fields(second)), Some(second));
        }

        #[test]
        fn any_numbers_are_no_panic(numbers: [i32; 6]) {
            let [second, minute, hour, day, month, year] = numbers;
            std::hint::black_box(seconds(RtcTime { second, minute, hour, day, month, year: year.max(i32::MIN + 1900), ..RtcTime::default() }));
        }
    }
}
