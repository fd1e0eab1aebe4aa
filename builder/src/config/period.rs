//! Lengths of time: `10s`, `1m30s`, `500ms`, or a number of seconds.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// The units, from the longest, with their milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
/// The longest period, in seconds: a year.
pub(super) const LONGEST_SECONDS: u64 = 365 * 24 * 3600;
/// The same in milliseconds.
const LONGEST: u64 = LONGEST_SECONDS * 1000;

/// A length of time, in whole milliseconds, up to a year.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    milliseconds: u64,
}

impl Period {
    /// So many seconds.
    ///
    /// # Errors
    /// When it is negative or longer than a year.
    pub(super) fn from_seconds(seconds: i128) -> Result<Self, String> {
        let milliseconds = seconds.checked_mul(1000).and_then(|product| u64::try_from(product).ok());
        milliseconds
            .and_then(Self::bounded)
            .ok_or_else(|| format!("{seconds} seconds is out of range: 0 to {LONGEST_SECONDS}"))
    }

    /// Reads numbers with units, from the longest unit to the shortest.
    ///
    /// # Errors
    /// When it is anything else, or longer than a year.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a duration such as `10s`, `1m30s`, `500ms` or 10 (seconds)");
        let mut units = UNITS.iter();
        let mut rest = text;
        let mut sum: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let number: u64 = number.parse().map_err(|_| wrong())?;
            let (_, factor) = units.by_ref().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            let part = number.checked_mul(*factor).ok_or_else(wrong)?;
            sum = sum.checked_add(part).ok_or_else(wrong)?;
            rest = tail;
        }
        match Self::bounded(sum) {
            Some(period) if !text.is_empty() => Ok(period),
            Some(_) => Err(wrong()),
            None => Err(format!("`{text}` is longer than a year")),
        }
    }

    /// This many milliseconds.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        self.milliseconds
    }

    fn bounded(milliseconds: u64) -> Option<Self> {
        (milliseconds <= LONGEST).then_some(Self { milliseconds })
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        Duration::from_millis(period.milliseconds)
    }
}

/// As it is read: `1m30s`.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.milliseconds == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.milliseconds;
        for (unit, factor) in UNITS {
            if rest >= factor {
                write!(f, "{}{unit}", rest / factor)?;
                rest %= factor;
            }
        }
        Ok(())
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PeriodVisitor;
        impl de::Visitor<'_> for PeriodVisitor {
            type Value = Period;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as `10s`, or a number of seconds")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Period, E> {
                Period::from_seconds(value.into()).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Period, E> {
                Period::from_seconds(value.into()).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Period, E> {
                Period::parse(value).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(PeriodVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, milliseconds) in [
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1h", 3_600_000),
            ("1h2m3s4ms", 3_723_004),
            ("90s", 90_000),
            ("0s", 0),
        ] {
            assert_eq!(Period::parse(text).map(Period::as_millis), Ok(milliseconds), "{text}");
        }
        for text in
            ["", "10", "s", "1s1m", "1s1s", "-1s", "1.5s", "1 s", "1d", "1S", "99999999999999999999s", "é"]
        {
            assert!(Period::parse(text).unwrap_err().contains("is not a duration"), "{text}");
        }
        assert_eq!(Period::parse("9000h").unwrap_err(), "`9000h` is longer than a year");
        assert_eq!(Period::from_seconds(2).map(Period::as_millis), Ok(2000));
        for seconds in [-1, i128::MAX, 31_536_001] {
            assert!(Period::from_seconds(seconds).unwrap_err().contains("out of range"));
        }
    }

    proptest! {
        #[test]
        fn every_duration_survives_being_printed_and_read_again(milliseconds in 0..=LONGEST) {
            let period = Period { milliseconds };
            prop_assert_eq!(Period::parse(&period.to_string()), Ok(period));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9hms.é -]{0,30}") {
            drop(Period::parse(&text));
        }
    }
}
