//! Sizes as people read them.

use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;

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
