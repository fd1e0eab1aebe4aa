//! What every initrd of the builder's holds beside the root filesystem, so that init can tell that all of it is there.

use std::fmt;

/// The file that the kernel unpacks before anything large: [`Unpacked`].
pub const FIRST_MARK: &str = "etc/lkb/initrd";
/// The file that the kernel unpacks last.
pub const LAST_MARK: &str = "etc/lkb/initrd-end";

/// What an initrd becomes; the text of [`FIRST_MARK`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpacked {
    /// What its files take in a tmpfs, in bytes: whole pages.
    pub bytes: u64,
}

impl Unpacked {
    /// Bytes of a page, the unit of a tmpfs.
    pub const PAGE: u64 = 4096;

    /// Reads the text of [`FIRST_MARK`]; `None` when it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.lines().find_map(|line| line.strip_prefix("bytes="))?;
        Some(Self { bytes: bytes.parse().ok()? })
    }
}

impl fmt::Display for Unpacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "bytes={}", self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let unpacked = Unpacked { bytes: 123 << 20 };
        assert_eq!(Unpacked::parse(&unpacked.to_string()), Some(unpacked));
        assert_eq!(Unpacked::parse("later=1\nbytes=7\n"), Some(Unpacked { bytes: 7 }));
        for text in ["", "bytes=", "bytes=-1", "bytes=x"] {
            assert_eq!(Unpacked::parse(text), None);
        }
    }
}
