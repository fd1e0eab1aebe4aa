//! CRC-32C, Castagnoli's, as RFC 3720 has it (appendix B.4): EROFS and VHDX sum their tables with it, Cloud Storage names by it what an
//! object holds.

use std::io::{self, Write};

/// Castagnoli's polynomial, its bits in reverse.
const POLYNOMIAL: u32 = 0x82F6_3B78;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

/// The checksum of bytes that come one piece after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crc32c(u32);

impl Crc32c {
    /// Of nothing yet.
    pub(crate) fn new() -> Self {
        Self(u32::MAX)
    }

    /// And of `bytes`.
    pub(crate) fn update(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |crc, byte| {
            let [low, ..] = crc.to_le_bytes();
            crc >> 8 ^ TABLE[usize::from(low ^ byte)]
        }))
    }

    /// The checksum.
    pub(crate) fn sum(self) -> u32 {
        !self.0
    }
}

impl Write for Crc32c {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        *self = self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The checksum of `bytes`.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    Crc32c::new().update(bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard_in_one_piece_and_in_several() {
        for (bytes, sum) in [
            (vec![], 0),
            (vec![0; 32], 0x8A91_36AA),
            (vec![0xFF; 32], 0x62A8_AB43),
            ((0..32).collect(), 0x46DD_794E),
            (b"123456789".to_vec(), 0xE306_9283),
        ] {
            assert_eq!(crc32c(&bytes), sum);
            let (one, other) = bytes.split_at(bytes.len() / 3);
            assert_eq!(Crc32c::new().update(one).update(other).sum(), sum);
        }
    }
}
