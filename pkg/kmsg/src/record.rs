//! Records of `/dev/kmsg` (kernel Documentation/ABI/testing/dev-kmsg). Pure.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One message of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'t> {
    /// Counts messages; where one is missing, a message was lost.
    pub sequence: u64,
    /// Since the kernel started, to the microsecond.
    pub uptime: Duration,
    /// The message, with what is not printable as `\xNN`.
    pub message: &'t str,
}

impl<'t> Record<'t> {
    /// Reads `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,…];MESSAGE`, and what follows in further lines, which is not shown. `None`
    /// for anything else.
    #[must_use]
    pub fn parse(text: &'t str) -> Option<Self> {
        let (head, rest) = text.split_once(';')?;
        let mut fields = head.split(',');
        let _priority = fields.next()?;
        let sequence = fields.next()?.parse().ok()?;
        let uptime = Duration::from_micros(fields.next()?.parse().ok()?);
        let message = rest.split('\n').next().unwrap_or_default();
        Some(Self { sequence, uptime, message })
    }

    /// The record as LinuxKit's package prints it: `(SEQUENCE) - TIME: MESSAGE`, for a kernel that started at `started`.
    #[must_use]
    pub fn line(&self, started: SystemTime) -> String {
        let time = started.checked_add(self.uptime).unwrap_or(started);
        format!("({}) - {}: {}", self.sequence, Utc(time), self.message)
    }
}

/// A time as `2026-11-22T00:30:28.123456Z`; one before 1970 is shown as 1970.
struct Utc(SystemTime);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z",
            since.subsec_micros()
        )
    }
}

/// Year, month and day, so many days after 1970-01-01. Years are counted from March, so that a leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    /// Days in 400 years, after which the calendar repeats.
    const ERA: u64 = 146_097;
    let days = days + 719_468;
    let (era, of_era) = (days / ERA, days % ERA);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / (ERA - 1)) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_becomes_a_line_as_linuxkits() {
        let record =
            Record::parse("6,339,5140900,-,caller=T1;NET: Registered PF_INET6\n SUBSYSTEM=net\n DEVICE=n1\n");
        let wanted = Record {
            sequence: 339,
            uptime: Duration::from_micros(5_140_900),
            message: "NET: Registered PF_INET6",
        };
        assert_eq!(record.as_ref(), Some(&wanted));
        let started = UNIX_EPOCH + Duration::from_secs(1_792_627_200);
        assert_eq!(wanted.line(started), "(339) - 2026-10-22T00:00:05.140900Z: NET: Registered PF_INET6");
    }

    #[test]
    fn a_message_may_be_empty_or_have_semicolons() {
        assert_eq!(Record::parse("4,1,0,-;").map(|r| r.message), Some(""));
        assert_eq!(Record::parse("4,1,0,c;a;b,c\n").map(|r| r.message), Some("a;b,c"));
        for text in ["", "4,1,0,-", "4,x,0,-;m", "4,1;m", "4,1,-1,-;m"] {
            assert_eq!(Record::parse(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (days, wanted) in [
            (0, (1970, 1, 1)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_779, (2026, 11, 22)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(days), wanted, "{days}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_one_line(text in ".{0,80}") {
            if let Some(record) = Record::parse(&text) {
                prop_assert!(!record.line(UNIX_EPOCH).contains('\n'));
            }
        }

        #[test]
        fn every_day_follows_the_one_before(days in 0u64..3_000_000) {
            let (today, next) = (date(days), date(days + 1));
            prop_assert!(next == (today.0, today.1, today.2 + 1) || next.2 == 1);
            prop_assert!((1..=12).contains(&today.1) && (1..=31).contains(&today.2));
        }
    }
}
