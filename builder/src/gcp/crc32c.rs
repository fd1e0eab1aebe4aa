//! CRC-32C, by which Cloud Storage names what an object holds (RFC 3720, appendix B.4).

use std::io::{self, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

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

/// The checksum of all that comes from `source`, as Cloud Storage writes it: big-endian, in base64.
pub fn of(mut source: impl Read) -> io::Result<String> {
    let mut buffer = vec![0; 64 << 10];
    let mut crc = u32::MAX;
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(STANDARD.encode((!crc).to_be_bytes())),
            Ok(count) => {
                crc = buffer[..count].iter().fold(crc, |crc, byte| {
                    let [low, ..] = crc.to_le_bytes();
                    crc >> 8 ^ TABLE[usize::from(low ^ byte)]
                });
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        for (bytes, crc) in [
            (vec![0; 32], 0x8A91_36AA_u32),
            (vec![0xFF; 32], 0x62A8_AB43),
            ((0..32).collect(), 0x46DD_794E),
            (b"123456789".to_vec(), 0xE306_9283),
        ] {
            assert_eq!(of(bytes.as_slice()).unwrap(), STANDARD.encode(crc.to_be_bytes()));
        }
        assert_eq!(of(io::empty()).unwrap(), "AAAAAA==");
    }
}
