//! Partition tables whose one partition becomes larger, as bytes to be written in a given order. Pure.
//!
//! Whatever is cut off, the table on the disk is valid, with the old size or the new one:
//!
//! | table | how |
//! | --- | --- |
//! | MBR | one sector, which drives write whole or not at all |
//! | GPT | the new entries are written beside the old ones, and then the one sector of the header points to them; see [`gpt`] |

pub mod gpt;
pub mod mbr;

use lk_format::table::{Layout, Write};

/// What is to be done to a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The partition's number.
    pub number: u32,
    /// Its first byte on the disk, which stays.
    pub start: u64,
    /// Its new length in bytes.
    pub length: u64,
    /// What to write, each on the disk before the next begins.
    pub writes: Vec<Write>,
}

/// Why a disk's table is not touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Neither an MBR nor a GPT.
    #[error("has no partition table")]
    None,
    /// More partitions, or none.
    #[error("has {0} partitions, not one")]
    NotOne(usize),
    /// The partition is of another kind.
    #[error("its partition is not of the type for Linux file systems")]
    NotLinux,
    /// The table is damaged, or of a version that is not known.
    #[error("its GPT is damaged ({0}); repair it with sgdisk or gdisk")]
    Damaged(&'static str),
    /// The table cannot be rewritten in a way that a power cut does not harm.
    #[error("there is no empty room between the GPT and the partition to rewrite the GPT safely: {0}")]
    NoRoom(&'static str),
}

/// What to write to a disk of `layout`, whose first MiB is `first`, so that its one partition reaches to the end; `None` when it
/// does.
///
/// # Errors
/// [`TableError`] when it is not a disk with one Linux partition.
pub fn plan(first: &[u8], layout: &Layout) -> Result<Option<Plan>, TableError> {
    if mbr::is_protective(first)? { gpt::plan(first, layout) } else { mbr::plan(first, layout) }
}

/// Where a partition may end: the first sector that is not its own.
fn end(layout: &Layout) -> u64 {
    layout.start + layout.length
}

/// Bytes of a table, which are known to be there.
fn bytes<const N: usize>(of: &[u8], at: usize) -> Option<[u8; N]> {
    of.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn number32(of: &[u8], at: usize) -> Option<u32> {
    bytes(of, at).map(u32::from_le_bytes)
}

fn number64(of: &[u8], at: usize) -> Option<u64> {
    bytes(of, at).map(u64::from_le_bytes)
}

/// Puts bytes where there is room for them.
fn put(into: &mut [u8], at: usize, bytes: &[u8]) {
    for (place, byte) in into.iter_mut().skip(at).zip(bytes) {
        *place = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lk_command::program::{Programs, account};
    use lk_format::table::{EDGE, Identity, TableKind, writes};
    use std::os::unix::fs::FileExt;

    const MIB: u64 = 1 << 20;

    /// A disk of `size` bytes with what `format` writes to one of `formatted` bytes.
    pub(super) fn grown(kind: TableKind, sector: u32, formatted: u64, size: u64) -> Vec<u8> {
        let layout = Layout::of(formatted, sector).unwrap();
        let mut disk = vec![0; size as usize];
        for write in writes(kind, &layout, &Identity::from_random([0x5a; 32])).unwrap() {
            apply(&mut disk, &write, write.bytes.len());
        }
        disk
    }

    pub(super) fn apply(disk: &mut [u8], write: &Write, length: usize) {
        let at = write.offset as usize;
        disk[at..at + length].copy_from_slice(&write.bytes[..length]);
    }

    fn first(disk: &[u8]) -> &[u8] {
        &disk[..EDGE as usize]
    }

    #[test]
    fn a_partition_grows_to_where_format_would_have_ended_it_and_then_no_more() {
        for kind in [TableKind::Dos, TableKind::Gpt] {
            for sector in [512, 4096] {
                let mut disk = grown(kind, sector, 16 * MIB, 64 * MIB);
                let layout = Layout::of(64 * MIB, sector).unwrap();
                let plan = plan(first(&disk), &layout).unwrap().unwrap();
                assert_eq!((plan.number, plan.start, plan.length), (1, MIB, 62 * MIB), "{kind:?}");
                plan.writes.iter().for_each(|write| apply(&mut disk, write, write.bytes.len()));
                assert_eq!(super::plan(first(&disk), &layout), Ok(None), "{kind:?} {sector}");
                // Byte for byte as if the disk had been of this size.
                assert!(disk == grown(kind, sector, 64 * MIB, 64 * MIB), "{kind:?} {sector}");
            }
        }
    }

    #[test]
    fn a_power_cut_between_two_sectors_leaves_the_old_table_or_the_new_one() {
        for kind in [TableKind::Dos, TableKind::Gpt] {
            let old = grown(kind, 512, 4 * MIB, 8 * MIB);
            let layout = Layout::of(8 * MIB, 512).unwrap();
            let whole = plan(first(&old), &layout).unwrap().unwrap();
            let mut disk = old.clone();
            for write in &whole.writes {
                // Every fifth sector: each look sums up all entries, and most sectors of them are zero.
                for cut in (0..=write.bytes.len()).step_by(5 * 512) {
                    let mut disk = disk.clone();
                    apply(&mut disk, write, cut);
                    // What the kernel reads, and what the next boot makes of it.
                    let again =
                        plan(first(&disk), &layout).unwrap_or_else(|e| panic!("{kind:?}, {cut}: {e}"));
                    if let Some(again) = again {
                        assert_eq!((again.start, again.length), (whole.start, whole.length));
                        again.writes.iter().for_each(|write| apply(&mut disk, write, write.bytes.len()));
                        assert_eq!(plan(first(&disk), &layout), Ok(None));
                    }
                }
                apply(&mut disk, write, write.bytes.len());
            }
        }
    }

    #[test]
    fn sfdisk_finds_nothing_wrong_with_what_has_grown() {
        let programs = Programs::from_environment();
        for kind in [TableKind::Dos, TableKind::Gpt] {
            let disk = grown(kind, 512, 16 * MIB, 64 * MIB);
            let file = tempfile::NamedTempFile::new().unwrap();
            file.as_file().write_all_at(&disk, 0).unwrap();
            let plan = plan(first(&disk), &Layout::of(64 * MIB, 512).unwrap()).unwrap().unwrap();
            for write in &plan.writes {
                file.as_file().write_all_at(&write.bytes, write.offset).unwrap();
            }
            let path = file.path().to_str().unwrap();
            let output = programs.run("sfdisk", ["-J", path]).unwrap();
            let json = String::from_utf8(output.stdout).unwrap().replace(' ', "");
            for part in ["\"start\":2048", "\"size\":126976"] {
                assert!(json.contains(part), "{part}: {json}");
            }
            let check = programs.run("sfdisk", ["-V", path]).unwrap();
            assert!(check.status.success() && check.stderr.is_empty(), "{}", account(&check));
        }
    }

    #[test]
    fn what_has_no_table_of_one_linux_partition_is_left_alone() {
        let layout = Layout::of(64 * MIB, 512).unwrap();
        assert_eq!(plan(&vec![0; EDGE as usize], &layout), Err(TableError::None));
        assert_eq!(plan(&[], &layout), Err(TableError::None));
    }
}
