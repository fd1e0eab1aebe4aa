//! Sizes as people read and write them.

use std::fmt;
use std::str::FromStr;

/// One mebibyte, the unit that partitions are aligned to.
pub const MIB: u64 = 1 << 20;

/// A number of bytes, shown in binary units with one decimal at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        for (shift, unit) in UNITS {
            let one = 1u64 << shift;
            if self.0 >= one {
                let (whole, tenth) = (self.0 >> shift, ((self.0 & (one - 1)) * 10) >> shift);
                return match tenth {
                    0 => write!(f, "{whole} {unit}"),
                    tenth => write!(f, "{whole}.{tenth} {unit}"),
                };
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

/// A text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}: is not a size: a whole number of bytes, or one with K, M, G or T behind it")]
pub struct NotASize(pub String);

impl FromStr for Bytes {
    type Err = NotASize;

    /// Reads `8765432`, `5670K`, `100M`, `2G`: K is 1024.
    fn from_str(text: &str) -> Result<Self, NotASize> {
        let error = || NotASize(text.to_owned());
        let units = [("K", 10), ("M", 20), ("G", 30), ("T", 40)];
        let (number, shift) = units
            .into_iter()
            .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))
            .unwrap_or((text, 0));
        // A sign is no digit, though `parse` takes one.
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(error());
        }
        let number: u64 = number.parse().map_err(|_| error())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_read_with_units_or_without() {
        for (text, bytes) in [
            ("8765432", 8_765_432),
            ("5670K", 5670 << 10),
            ("100M", 100 << 20),
            ("2G", 2 << 30),
            ("1T", 1 << 40),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in
            ["", "G", "-1", "+1", "1.5G", "2GB", "2 G", "2g", "99999999999999999999", "18446744073709551615K"]
        {
            assert_eq!(text.parse::<Bytes>(), Err(NotASize(text.into())), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_more_than_it_says(text in "[0-9]{0,22}[KMGT]?x?") {
            if let Ok(Bytes(bytes)) = text.parse() {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                prop_assert!(bytes >= digits.parse::<u64>().unwrap());
            }
        }
    }

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_fits() {
        for (bytes, shown) in [
            (0, "0 bytes"),
            (512, "512 bytes"),
            (1024, "1 KiB"),
            (MIB, "1 MiB"),
            (1536 * MIB, "1.5 GiB"),
            (4 << 40, "4 TiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), shown);
        }
    }
}
