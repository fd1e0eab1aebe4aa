//! CRC-32C, Castagnoli's, as RFC 3720 has it (appendix B.4): what EROFS and VHDX sum their tables with.

/// The checksum of a few kilobytes.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    const REVERSED: u32 = 0x82F6_3B78;
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| sum >> 1 ^ if sum & 1 == 1 { REVERSED } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
    }
}
