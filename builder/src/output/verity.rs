//! dm-verity's hash tree: by its root hash alone the kernel knows whether any block of a disk is what was built.
//!
//! | block of 4 KiB | content |
//! |---|---|
//! | 0 | superblock |
//! | 1 | the top of the tree: digests of the blocks of the level below |
//! | .. | each level below that |
//! | .. | the lowest level: digests of the data's blocks |
//!
//! A digest is SHA-256 of the salt and a block; a block has 128 of them, and zeros in the end. Source: Linux,
//! Documentation/admin-guide/device-mapper/verity.rst; the superblock is cryptsetup's, version 1 (its wiki, "DMVerity").

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use super::gpt::Guid;

const BLOCK: usize = 4096;
const DIGEST: usize = 32;
/// The fields of the superblock, in bytes.
const SUPERBLOCK: usize = 512;
const ALGORITHM: usize = 32;
const SALT: usize = 256;
/// "Normal": salt in front, digests side by side.
const HASH_TYPE: u32 = 1;
/// How much of the data is read at once.
const CHUNK: usize = 1 << 20;

/// A tree that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HashTree {
    /// What all of it comes to.
    pub(super) root_hash: [u8; DIGEST],
    /// Its length in bytes, with the superblock.
    pub(super) len: u64,
}

impl HashTree {
    /// The root hash as the kernel's command line has it.
    pub(super) fn root_hash_in_hex(&self) -> String {
        self.root_hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The GUIDs by which partitions with the data and with the tree are found: the two halves of the root hash (UAPI Group,
    /// "Discoverable Partitions Specification").
    pub(super) fn guids(&self) -> [Guid; 2] {
        let half = |start: usize| Guid::of_writing_order(std::array::from_fn(|i| self.root_hash[start + i]));
        [half(0), half(16)]
    }
}

/// Writes the tree of the `len` bytes of `data`, with zeros up to a whole block, over `out`. The salt is made from `id`, which is
/// the content's own, so that two builds are equal. Memory is a block for each level.
///
/// # Errors
/// When reading or writing fails, or `data` is shorter.
pub(super) fn write(data: &mut dyn Read, len: u64, id: &Guid, out: &mut File) -> io::Result<HashTree> {
    let blocks = len.div_ceil(BLOCK as u64);
    let salt: [u8; DIGEST] =
        Sha256::new_with_prefix(b"salt of dm-verity").chain_update(id.in_writing_order()).finalize().into();
    let levels = levels(blocks);
    let tree_len = BLOCK as u64 * (1 + levels.iter().sum::<u64>());
    out.set_len(0).and_then(|()| out.set_len(tree_len))?;
    out.write_all_at(&superblock(blocks, id, &salt), 0)?;

    let mut tree = Tree::new(out, &salt, &levels);
    let mut data = BufReader::with_capacity(CHUNK, data);
    let mut left = len;
    let mut block = [0; BLOCK];
    while left > 0 {
        let filled = left.min(BLOCK as u64) as usize;
        data.read_exact(&mut block[..filled])?;
        block[filled..].fill(0);
        let digest = tree.digest(&block);
        tree.add(0, digest)?;
        left -= filled as u64;
    }
    Ok(HashTree { root_hash: tree.finish()?, len: tree_len })
}

/// How many blocks each level has, the lowest first. The digest of a single block of data is the root hash itself.
fn levels(blocks: u64) -> Vec<u64> {
    let mut levels = Vec::new();
    let mut below = blocks;
    while below > 1 {
        below = below.div_ceil((BLOCK / DIGEST) as u64);
        levels.push(below);
    }
    levels
}

fn superblock(blocks: u64, id: &Guid, salt: &[u8]) -> Vec<u8> {
    let mut bytes = b"verity\0\0".to_vec();
    bytes.extend([1, HASH_TYPE].map(u32::to_le_bytes).concat());
    bytes.extend(id.in_writing_order());
    let mut padded = |value: &[u8], len: usize| {
        bytes.extend(value);
        bytes.resize(bytes.len() + len - value.len(), 0);
    };
    padded(b"sha256", ALGORITHM);
    padded(&[BLOCK as u32; 2].map(u32::to_le_bytes).concat(), 8);
    padded(&blocks.to_le_bytes(), 8);
    padded(&(salt.len() as u16).to_le_bytes(), 8);
    padded(salt, SALT);
    bytes.resize(SUPERBLOCK, 0);
    bytes
}

/// The levels, each with the block that is being filled.
struct Tree<'a> {
    out: &'a File,
    /// A digest that has taken the salt.
    salted: Sha256,
    levels: Vec<Level>,
    root_hash: [u8; DIGEST],
}

struct Level {
    /// Where its next block goes, in bytes.
    at: u64,
    block: Vec<u8>,
}

impl<'a> Tree<'a> {
    fn new(out: &'a File, salt: &[u8], counts: &[u64]) -> Self {
        let mut end = BLOCK as u64 * (1 + counts.iter().sum::<u64>());
        let place = |count: &u64| {
            end -= count * BLOCK as u64;
            Level { at: end, block: Vec::with_capacity(BLOCK) }
        };
        let levels = counts.iter().map(place).collect();
        Self { out, salted: Sha256::new_with_prefix(salt), levels, root_hash: [0; DIGEST] }
    }

    fn digest(&self, block: &[u8]) -> [u8; DIGEST] {
        self.salted.clone().chain_update(block).finalize().into()
    }

    /// Adds a digest to a level, and goes up where that fills a block.
    fn add(&mut self, number: usize, digest: [u8; DIGEST]) -> io::Result<()> {
        let Some(level) = self.levels.get_mut(number) else {
            self.root_hash = digest;
            return Ok(());
        };
        level.block.extend(digest);
        if level.block.len() == BLOCK { self.close(number) } else { Ok(()) }
    }

    /// Writes the block that is being filled, with zeros in the end.
    fn close(&mut self, number: usize) -> io::Result<()> {
        let level = &mut self.levels[number];
        let mut block = std::mem::take(&mut level.block);
        block.resize(BLOCK, 0);
        self.out.write_all_at(&block, level.at)?;
        level.at += BLOCK as u64;
        let digest = self.digest(&block);
        block.clear();
        self.levels[number].block = block;
        self.add(number + 1, digest)
    }

    fn finish(mut self) -> io::Result<[u8; DIGEST]> {
        for number in 0..self.levels.len() {
            if !self.levels[number].block.is_empty() {
                self.close(number)?;
            }
        }
        Ok(self.root_hash)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    const ID: Guid = Guid::of(1, 2, 3, 4);

    /// Whether cryptsetup finds that data and tree belong to the root hash.
    fn is_verified(data: &Path, tree: &Path, root_hash: &str) -> bool {
        let out =
            Command::new("/usr/sbin/veritysetup").arg("verify").args([data, tree]).arg(root_hash).output();
        out.expect("veritysetup of cryptsetup-bin").status.success()
    }

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    /// Content whose blocks all differ.
    fn content(len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..len.div_ceil(8) as u64).flat_map(u64::to_le_bytes).collect();
        bytes.truncate(len);
        bytes
    }

    fn tree_of(data: &[u8]) -> (HashTree, tempfile::NamedTempFile) {
        let mut out = tempfile::NamedTempFile::new().unwrap();
        let tree = write(&mut &data[..], data.len() as u64, &ID, out.as_file_mut()).unwrap();
        assert_eq!(out.as_file().metadata().unwrap().len(), tree.len);
        (tree, out)
    }

    #[test]
    fn cryptsetup_verifies_trees_of_every_height() {
        // One block, a level that is full, one that is not, and three levels of which two have one block more than a full one.
        for (blocks, levels) in [(1, 0), (2, 1), (128, 1), (129, 2), (128 * 128, 2), (128 * 128 + 1, 3)] {
            let data = content(blocks * BLOCK);
            let (tree, out) = tree_of(&data);
            assert_eq!(super::levels(blocks as u64).len(), levels, "{blocks}");
            assert!(is_verified(file(&data).path(), out.path(), &tree.root_hash_in_hex()), "{blocks} blocks");
        }
    }

    #[test]
    fn a_changed_byte_of_data_tree_or_root_hash_is_found() {
        let data = content(300 * BLOCK);
        let (tree, out) = tree_of(&data);
        let hash = tree.root_hash_in_hex();
        let mut changed = data.clone();
        changed[150 * BLOCK + 7] ^= 1;
        assert!(!is_verified(file(&changed).path(), out.path(), &hash));
        let mut bytes = std::fs::read(out.path()).unwrap();
        bytes[2 * BLOCK + 100] ^= 1;
        assert!(!is_verified(file(&data).path(), file(&bytes).path(), &hash));
        let first = if hash.starts_with('0') { '1' } else { '0' };
        assert!(!is_verified(file(&data).path(), out.path(), &format!("{first}{}", &hash[1..])));
        assert!(is_verified(file(&data).path(), out.path(), &hash));
    }

    #[test]
    fn data_that_ends_within_a_block_is_filled_with_zeros() {
        let data = content(3 * BLOCK + 100);
        let (tree, out) = tree_of(&data);
        let padded = [data.clone(), vec![0; BLOCK - 100]].concat();
        assert_eq!(tree, tree_of(&padded).0);
        assert!(is_verified(file(&padded).path(), out.path(), &tree.root_hash_in_hex()));
    }

    #[test]
    fn two_trees_are_equal_and_another_content_has_another_salt() {
        let data = content(5000);
        let [one, two] = [(); 2].map(|()| std::fs::read(tree_of(&data).1.path()).unwrap());
        assert!(one == two);
        let mut other = tempfile::tempfile().unwrap();
        let tree = write(&mut &data[..], 5000, &Guid::of(5, 6, 7, 8), &mut other).unwrap();
        assert_ne!(tree.root_hash, tree_of(&data).0.root_hash);
    }

    #[test]
    fn the_partitions_are_named_by_the_halves_of_the_root_hash() {
        let tree = HashTree { root_hash: std::array::from_fn(|i| i as u8), len: 0 };
        assert_eq!(
            tree.guids().map(|id| id.to_string()),
            ["00010203-0405-0607-0809-0a0b0c0d0e0f", "10111213-1415-1617-1819-1a1b1c1d1e1f"]
        );
        assert!(tree.root_hash_in_hex().starts_with("000102"));
    }

    #[test]
    fn data_that_is_shorter_than_announced_is_an_error() {
        let mut out = tempfile::tempfile().unwrap();
        let error = write(&mut &[1_u8; 10][..], 5000, &ID, &mut out).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
