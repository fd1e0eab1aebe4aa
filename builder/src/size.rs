//! Sizes as the command line and the YAML's users write them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A size in bytes, written `512M`, `2G`, or `2` (gigabytes, as LinuxKit reads a bare number).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// This many mebibytes.
    #[must_use]
    pub const fn mebibytes(count: u32) -> Self {
        Self(count as u64 * MIB)
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// Why a string is not a [`Size`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a size: write a whole number above zero with M or G behind it, like 512M or 2G")]
pub struct SizeError(String);

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let (digits, unit) = match text.char_indices().next_back() {
            Some((at, 'M' | 'm')) => (&text[..at], MIB),
            Some((at, 'G' | 'g')) => (&text[..at], GIB),
            _ => (text, GIB),
        };
        let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let bytes = if all_digits { digits.parse::<u64>().ok() } else { None }
            .and_then(|count| count.checked_mul(unit))
            .filter(|bytes| *bytes > 0 && i64::try_from(*bytes).is_ok());
        bytes.map(Self).ok_or_else(|| SizeError(text.to_owned()))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % GIB == 0 => write!(f, "{}G", bytes / GIB),
            bytes => write!(f, "{}M", bytes.div_ceil(MIB)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_linuxkit_reads_them() {
        for (text, bytes) in [("1024M", 1 << 30), ("512m", 512 << 20), ("2G", 2 << 30), ("3", 3 << 30)] {
            assert_eq!(text.parse::<Size>().map(Size::bytes), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in
            ["", "M", "0", "0G", "-1G", "+1G", "1.5G", "1K", "1GB", "99999999999G", "9223372036854775807M"]
        {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_is_shown_as_it_is_written() {
        assert_eq!(Size::mebibytes(1024).to_string(), "1G");
        assert_eq!(Size::mebibytes(1536).to_string(), "1536M");
    }
}
