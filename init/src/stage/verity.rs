//! A root that the kernel checks block by block: what `roothash=` and the hash tree's superblock say, and what dm-verity is told.
//!
//! The superblock is not covered by the root hash, so all that would weaken the check is required of it: SHA-256, blocks of
//! 4 KiB and digests with the salt in front. Only the salt and the number of blocks are taken from it: another salt makes another
//! root hash, and with another number of blocks digests would have to pass for a file system. Source: cryptsetup's wiki, "DMVerity", "Verity superblock format"; Linux,
//! Documentation/admin-guide/device-mapper/verity.rst.

use std::fmt;

use device_mapper::Mapping;

use super::Root;
use crate::device::block::BlockDevice;

/// Length of the superblock, at the start of the tree's device, in bytes.
pub const SUPERBLOCK: usize = 512;

/// How the machine's root is called, by device-mapper and by cryptsetup.
const NAME: &str = "root";
const DIGEST: usize = 32;
const BLOCK: u64 = 4096;
const SECTOR: u64 = 512;
const ALGORITHM: &str = "sha256";
/// The tree begins with the second block.
const TREE: u64 = 1;
/// A block that is not what was built ends the machine: half of it would not run.
const OPTIONS: &str = "1 panic_on_corruption";

/// What the blocks of the root come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootHash([u8; DIGEST]);

impl RootHash {
    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut hash = [0; DIGEST];
        if text.len() != 2 * DIGEST {
            return None;
        }
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(hash))
    }

    /// Where the tree is: in the partition whose UUID is the second half (UAPI Group, "Discoverable Partitions Specification").
    #[must_use]
    pub fn tree(&self) -> Root {
        let mut uuid = String::new();
        for (at, byte) in self.0.iter().skip(DIGEST / 2).enumerate() {
            let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
            uuid += &format!("{dash}{byte:02x}");
        }
        Root::PartUuid(uuid, 0)
    }
}

impl fmt::Display for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// Why a hash tree cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Something else is there.
    #[error("it holds no hash tree of dm-verity")]
    NoSuperblock,
    /// A tree that is not taken.
    #[error("its hash tree has {what} {found}, and only {wanted} is taken; build the disk anew")]
    Unknown {
        /// The field.
        what: &'static str,
        /// What it says.
        found: String,
        /// What it should say.
        wanted: &'static str,
    },
    /// The disk ends too early.
    #[error(
        "its hash tree is for {wanted} bytes, and the root's partition has {found}: they do not belong together"
    )]
    Short {
        /// What the tree is for.
        wanted: u64,
        /// What there is.
        found: u64,
    },
}

/// What the superblock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// The tree's own.
    uuid: [u8; 16],
    /// How many blocks of data it is for.
    blocks: u64,
    salt: Vec<u8>,
}

impl Superblock {
    /// Reads the first bytes of a hash tree's device.
    ///
    /// # Errors
    /// When they are no superblock, or one of a tree that is not taken here.
    pub fn parse(bytes: &[u8]) -> Result<Self, TreeError> {
        if bytes.get(..8) != Some(b"verity\0\0") {
            return Err(TreeError::NoSuperblock);
        }
        let none = TreeError::NoSuperblock;
        let unknown = |what, found: &dyn fmt::Display, wanted| {
            Err(TreeError::Unknown { what, found: found.to_string(), wanted })
        };
        for (at, what, expected, wanted) in [
            (8, "version", 1, "1"),
            (12, "hash type", 1, "1"),
            (64, "data blocks of", 4096, "4096"),
            (68, "hash blocks of", 4096, "4096"),
        ] {
            match number(bytes, at, 4) {
                Some(found) if found == expected => {}
                Some(found) => return unknown(what, &found, wanted),
                None => return Err(none),
            }
        }
        let name = bytes.get(32..64).unwrap_or_default();
        let name = String::from_utf8_lossy(name.split(|byte| *byte == 0).next().unwrap_or_default());
        if name != ALGORITHM {
            return unknown("the algorithm", &name.escape_debug(), ALGORITHM);
        }
        let salt_length = number(bytes, 80, 2).and_then(|length| usize::try_from(length).ok());
        let salt = salt_length.filter(|length| *length <= 256).and_then(|length| bytes.get(88..88 + length));
        let uuid = bytes.get(16..32).and_then(|uuid| uuid.try_into().ok());
        match (number(bytes, 72, 8), salt, uuid) {
            (Some(blocks), Some(salt), Some(uuid)) if blocks > 0 => {
                Ok(Self { uuid, blocks, salt: salt.to_vec() })
            }
            _ => Err(none),
        }
    }

    /// What device-mapper makes of a root and its tree.
    ///
    /// # Errors
    /// When the root is shorter than what the tree is for.
    pub fn mapping(
        &self,
        hash: &RootHash,
        data: &BlockDevice,
        tree: &BlockDevice,
    ) -> Result<Mapping, TreeError> {
        let bytes = self.blocks.saturating_mul(BLOCK);
        if bytes > data.bytes {
            return Err(TreeError::Short { wanted: bytes, found: data.bytes });
        }
        let number = |device: &BlockDevice| format!("{}:{}", device.number.0, device.number.1);
        let salt = if self.salt.is_empty() { "-".to_owned() } else { hex(&self.salt) };
        Ok(Mapping {
            name: NAME.to_owned(),
            // As cryptsetup calls it, so that its `veritysetup status` knows it.
            uuid: format!("CRYPT-VERITY-{}-{NAME}", hex(&self.uuid)),
            sectors: bytes / SECTOR,
            kind: "verity",
            parameters: format!(
                "1 {} {} {BLOCK} {BLOCK} {} {TREE} {ALGORITHM} {hash} {salt} {OPTIONS}",
                number(data),
                number(tree),
                self.blocks
            ),
            read_only: true,
        })
    }
}

/// A little-endian number of so many bytes, eight at most.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + length)?;
    Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The start of a tree's device, of ten blocks.
#[cfg(test)]
pub fn superblock_for_tests() -> Vec<u8> {
    let mut bytes = vec![0; SUPERBLOCK];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, b"verity\0\0");
    put(8, &[1, 0, 0, 0, 1]);
    put(16, &[0xAB; 16]);
    put(32, b"sha256");
    put(64, &4096_u32.to_le_bytes());
    put(68, &4096_u32.to_le_bytes());
    put(72, &10_u64.to_le_bytes());
    put(80, &2_u16.to_le_bytes());
    put(88, &[0x5A, 0x17]);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::superblock_for_tests as superblock;
    use super::*;

    fn device(minor: u32, bytes: u64) -> BlockDevice {
        BlockDevice { name: format!("vda{minor}"), number: (253, minor), bytes, ..BlockDevice::default() }
    }

    #[test]
    fn the_table_says_what_the_superblock_says_and_the_root_hash_and_that_a_bad_block_is_the_end() {
        let hash = RootHash::parse(&"0f".repeat(32)).unwrap();
        let found = Superblock::parse(&superblock()).unwrap();
        let mapping = found.mapping(&hash, &device(2, 40_960), &device(3, 8192)).unwrap();
        assert_eq!((mapping.name.as_str(), mapping.kind, mapping.sectors), ("root", "verity", 80));
        assert_eq!(mapping.uuid, format!("CRYPT-VERITY-{}-root", "ab".repeat(16)));
        let expected =
            format!("1 253:2 253:3 4096 4096 10 1 sha256 {} 5a17 1 panic_on_corruption", "0f".repeat(32));
        assert_eq!(mapping.parameters, expected);
        let error = found.mapping(&hash, &device(2, 40_959), &device(3, 8192)).unwrap_err();
        assert_eq!(error, TreeError::Short { wanted: 40_960, found: 40_959 });
        let mut without_salt = superblock();
        without_salt[80] = 0;
        let mapping = Superblock::parse(&without_salt).unwrap();
        let mapping = mapping.mapping(&hash, &device(2, 40_960), &device(3, 8192)).unwrap();
        assert!(mapping.parameters.contains("0f - 1 panic"), "{}", mapping.parameters);
    }

    #[test]
    fn a_tree_that_would_weaken_the_check_is_refused_and_says_why() {
        let cases: [(usize, &[u8], &str); 7] = [
            (0, b"x", "no hash tree"),
            (8, &[2], "version 2, and only 1"),
            (12, &[0], "hash type 0"),
            (32, b"crc32\0", "the algorithm crc32, and only sha256"),
            (64, &512_u32.to_le_bytes(), "data blocks of 512"),
            (72, &[0], "no hash tree"),
            (80, &257_u16.to_le_bytes(), "no hash tree"),
        ];
        for (at, value, expected) in cases {
            let mut bytes = superblock();
            bytes[at..at + value.len()].copy_from_slice(value);
            let error = Superblock::parse(&bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_root_hash_has_64_digits_and_names_the_partition_with_the_tree() {
        let text = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
        let hash = RootHash::parse(text).unwrap();
        assert_eq!(hash.to_string(), text.to_lowercase());
        assert_eq!(hash.tree(), Root::PartUuid("10111213-1415-1617-1819-1a1b1c1d1e1f".into(), 0));
        for text in
            ["", "00", &"0".repeat(63), &"0".repeat(65), &"+0".repeat(32), &"é".repeat(32), &"0g".repeat(32)]
        {
            assert_eq!(RootHash::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_superblock_makes_it_panic(start in prop::collection::vec(any::<u8>(), 0..600), is_verity in any::<bool>()) {
            let mut bytes = start;
            if is_verity && bytes.len() > 90 {
                bytes.splice(..80, superblock().into_iter().take(80));
            }
            std::hint::black_box(Superblock::parse(&bytes).ok());
        }
    }
}
