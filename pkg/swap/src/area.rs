//! The first page of a swap file. Pure.
//!
//! | bytes | a swap area (Linux, include/linux/swap.h) | an encrypted file |
//! | --- | --- | --- |
//! | 1024–1031 | version 1, number of the last page | zero |
//! | 1036–1051 | UUID | zero |
//! | last 10 of the page | `SWAPSPACE2` | `LKBSWAPENC` |

/// The unit of swap areas: a page of the processor that this is compiled for.
pub const PAGE: u64 = 4096;
/// The smallest swap area, in pages, that mkswap(8) makes.
pub const LEAST: u64 = 10;

const PAGE_BYTES: usize = PAGE as usize;
const MAGIC: usize = PAGE_BYTES - 10;
const SWAP: &[u8; 10] = b"SWAPSPACE2";
const ENCRYPTED: &[u8; 10] = b"LKBSWAPENC";

/// What the first page of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A swap area with this many pages.
    Swap {
        /// All of them, with the first one.
        pages: u64,
    },
    /// A file that an encrypted swap area was in.
    Encrypted,
    /// Something that is not ours.
    Other,
}

/// What the first page of a file says.
#[must_use]
pub fn kind(page: &[u8]) -> Kind {
    match page.get(MAGIC..PAGE_BYTES) {
        Some(magic) if magic == SWAP => match (number(page, 1024), number(page, 1028)) {
            (Some(1), Some(last)) => Kind::Swap { pages: u64::from(last) + 1 },
            _ => Kind::Other,
        },
        Some(magic) if magic == ENCRYPTED => Kind::Encrypted,
        _ => Kind::Other,
    }
}

fn number(page: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(page.get(at..at + 4)?.try_into().ok()?))
}

/// The first page of a swap area of `pages` pages, or `None` when these are too few, or more than can be counted.
#[must_use]
pub fn header(pages: u64, uuid: [u8; 16]) -> Option<Vec<u8>> {
    let last = u32::try_from(pages.checked_sub(1)?).ok().filter(|_| pages >= LEAST)?;
    let mut page = Vec::with_capacity(PAGE_BYTES);
    page.resize(1024, 0);
    page.extend(1_u32.to_ne_bytes());
    page.extend(last.to_ne_bytes());
    // No bad pages.
    page.extend(0_u32.to_ne_bytes());
    page.extend(uuid);
    page.resize(MAGIC, 0);
    page.extend(SWAP);
    Some(page)
}

/// The first page of an encrypted file.
#[must_use]
pub fn encrypted_header() -> Vec<u8> {
    let mut page = vec![0; MAGIC];
    page.extend(ENCRYPTED);
    page
}

/// A UUID of version 4 (RFC 9562, 5.4) made of random bytes.
#[must_use]
pub fn uuid(mut random: [u8; 16]) -> [u8; 16] {
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut random;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    random
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    #[test]
    fn a_header_is_what_mkswap_writes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let uuid = uuid([0xff; 16]);
        let text = "ffffffff-ffff-4fff-bfff-ffffffffffff";
        let made = Command::new("mkswap").args(["-q", "-U", text]).arg(file.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let bytes = std::fs::read(file.path()).unwrap();
        assert_eq!(bytes[..PAGE_BYTES], header(256, uuid).unwrap());
        assert_eq!(kind(&bytes[..PAGE_BYTES]), Kind::Swap { pages: 256 });
    }

    #[test]
    fn a_file_is_told_by_its_first_page() {
        let mut other_version = header(10, [1; 16]).unwrap();
        other_version[1024] = 2;
        for (page, wanted) in [
            (header(10, [1; 16]).unwrap(), Kind::Swap { pages: 10 }),
            (encrypted_header(), Kind::Encrypted),
            (vec![0; 4096], Kind::Other),
            (vec![], Kind::Other),
            (b"#!/bin/sh\n".to_vec(), Kind::Other),
            (vec![7; 4096], Kind::Other),
            (other_version, Kind::Other),
        ] {
            assert_eq!(kind(&page), wanted);
        }
    }

    #[test]
    fn what_is_too_small_or_too_large_has_no_header() {
        for pages in [0, 9, (1 << 32) + 1, u64::MAX] {
            assert_eq!(header(pages, [0; 16]), None, "{pages}");
        }
        assert!(header(1 << 32, [0; 16]).is_some());
    }

    proptest! {
        #[test]
        fn no_bytes_are_taken_for_ours_by_chance(page in proptest::collection::vec(1u8.., 0..5000)) {
            prop_assert_eq!(kind(&page), Kind::Other);
        }
    }
}
