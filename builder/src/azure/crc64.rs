//! CRC-64, by which Blob Storage checks what it is sent (`x-ms-content-crc64`, from version 2019-02-02 on): NVM
//! Express's polynomial.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The polynomial, its bits in reverse.
const POLYNOMIAL: u64 = 0x9A6C_9329_AC4B_C9B5;

const TABLE: [u64; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u64;
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

/// The checksum as the header has it: little-endian, in base64.
pub fn of(bytes: &[u8]) -> String {
    let crc = bytes.iter().fold(u64::MAX, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        crc >> 8 ^ TABLE[usize::from(low ^ byte)]
    });
    STANDARD.encode((!crc).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_that_the_service_answers() {
        for (bytes, crc) in
            [("123456789", "iJh5CoYUi64="), ("Hello World", "YeJLfssylmU="), ("", "AAAAAAAAAAA=")]
        {
            assert_eq!(of(bytes.as_bytes()), crc, "{bytes}");
        }
    }
}
