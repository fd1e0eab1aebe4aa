//! `dynamic-vhd`: a disk for Hyper-V and Virtual PC of which only blocks with content are stored.
//!
//! Layout of what is written: a copy of the footer; the dynamic disk header; the block allocation table; each block
//! with content behind its sector bitmap; the footer. Source: Microsoft's "Virtual Hard Disk Image Format
//! Specification" 1.0 (2006), "Dynamic Hard Disk Image", "Dynamic Disk Header Format", "Block Allocation Table and
//! Data Blocks"; all numbers are big-endian.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use super::convert::{self, ConvertError};
use super::mbr::SECTOR;
use super::sparse::{Chunks, Fingerprint};
use super::vhd_footer::{self, Kind};
use super::{Format, Job, OutputError};

/// `NAME.vhd`, the name that `vhd` has, too: a build makes one of them.
#[derive(Debug, Clone, Copy)]
pub struct DynamicVhd;

const NAME: &str = "dynamic-vhd";
/// The specification's default.
const BLOCK: u64 = 2 << 20;
/// A bit for each sector of a block.
const BITMAP: usize = (BLOCK / SECTOR / 8) as usize;
const HEADER: u64 = vhd_footer::LEN as u64;
const HEADER_LEN: usize = 1024;
const HEADER_VERSION: u32 = 0x0001_0000;
const HEADER_CHECKSUM: usize = 36;
const TABLE: u64 = HEADER + HEADER_LEN as u64;
/// The table's entry of a block that is not stored.
const ABSENT: u32 = u32::MAX;

impl Format for DynamicVhd {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}.vhd")]
    }

    fn has_partitions(&self) -> bool {
        true
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let size = convert::whole(NAME, job.settings.size, vhd_footer::UNIT)?;
        convert::bios_disk(NAME, job, size, &format!("{}.vhd", job.name), write)
    }
}

/// Writes the disk `raw` as a dynamic VHD over `out`. The same disk makes the same bytes.
fn write(raw: &mut File, out: &mut File) -> Result<(), ConvertError> {
    let size = convert::size_of(raw, vhd_footer::MAX_DISK)?;
    let blocks = size.div_ceil(BLOCK);
    let mut table = vec![ABSENT; (blocks * 4).next_multiple_of(SECTOR) as usize / 4];
    let mut fingerprint = Fingerprint::of_size(size);
    let mut at = TABLE + table.len() as u64 * 4;
    out.set_len(0).and_then(|()| out.seek(SeekFrom::Start(at))).map_err(ConvertError::Write)?;
    let mut chunks = Chunks::of(raw, size, BLOCK as usize);
    while let Some((block, bytes)) = chunks.advance().map_err(ConvertError::Read)? {
        fingerprint.add(block, bytes);
        // All sectors of the block are in the file, so all bits are set.
        out.write_all(&[0xFF; BITMAP]).and_then(|()| out.write_all(bytes)).map_err(ConvertError::Write)?;
        // Within `MAX_DISK` all offsets in sectors fit.
        table[block as usize] = (at / SECTOR) as u32;
        at += BITMAP as u64 + BLOCK;
    }
    let footer = vhd_footer::footer(Kind::Dynamic(HEADER), size, fingerprint);
    write_metadata(out, &footer, blocks as u32, &table).map_err(ConvertError::Write)
}

/// Writes the footer behind the blocks, and all that is in front of them.
fn write_metadata(out: &mut File, footer: &[u8], blocks: u32, table: &[u32]) -> io::Result<()> {
    out.write_all(footer)?;
    out.seek(SeekFrom::Start(0))?;
    out.write_all(footer)?;
    out.write_all(&header(blocks))?;
    let table: Vec<u8> = table.iter().flat_map(|entry| entry.to_be_bytes()).collect();
    out.write_all(&table)
}

fn header(blocks: u32) -> [u8; HEADER_LEN] {
    let mut bytes = Vec::with_capacity(HEADER_LEN);
    bytes.extend(b"cxsparse");
    bytes.extend(u64::MAX.to_be_bytes()); // no further structure
    bytes.extend(TABLE.to_be_bytes());
    bytes.extend(HEADER_VERSION.to_be_bytes());
    bytes.extend(blocks.to_be_bytes());
    bytes.extend((BLOCK as u32).to_be_bytes());
    // The checksum, below; no parent.
    let mut header = [0; HEADER_LEN];
    header[..bytes.len()].copy_from_slice(&bytes);
    let sum = vhd_footer::checksum(&header);
    header[HEADER_CHECKSUM..HEADER_CHECKSUM + 4].copy_from_slice(&sum.to_be_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::super::convert::fixture;
    use super::*;

    const STORED: usize = BITMAP + BLOCK as usize;

    fn check(size: u64, content: fixture::Pieces<'_>) -> Vec<u8> {
        fixture::check("vpc", write, size, content)
    }

    #[test]
    fn qemu_reads_back_the_same_disk_and_only_blocks_with_content_are_stored() {
        let end = (1 << 30) - 3;
        let image = check(1 << 30, &[(1000, b"start"), ((5 << 20) + 7, b"middle"), (end, b"end")]);
        assert_eq!(image.len(), 1536 + 512 * 4 + 3 * STORED + 512);
        assert_eq!(image[..512], image[image.len() - 512..], "the footer and its copy");
    }

    #[test]
    fn a_disk_whose_end_is_within_a_block_keeps_its_size() {
        check(3 << 20, &[((3 << 20) - 3, b"end")]);
        check(129 << 20, &[((129 << 20) - 3, b"end")]);
    }

    #[test]
    fn an_empty_disk_is_tables_only() {
        assert_eq!(check(100 << 30, &[]).len(), 1536 + 51_200 * 4 + 512);
    }

    #[test]
    fn written_zeros_are_not_stored() {
        assert_eq!(check(4 << 20, &[(0, &vec![0; 3 << 20])]).len(), 1536 + 512 + 512);
    }

    #[test]
    fn the_checksum_of_the_header_is_right() {
        let mut header = header(512);
        let sum: [u8; 4] = header[36..40].try_into().unwrap();
        header[36..40].fill(0);
        assert_eq!(u32::from_be_bytes(sum), vhd_footer::checksum(&header));
        assert_eq!(header[28..36], [0, 0, 2, 0, 0, 0x20, 0, 0]);
    }
}
