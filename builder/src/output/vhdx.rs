//! `vhdx`: a disk for Hyper-V's newer machines, of which only blocks with content are stored.
//!
//! | MiB | content |
//! |---|---|
//! | 0 | who made it; two headers, two region tables, each 64 KiB from the other |
//! | 1 | the log, empty |
//! | 2 | the metadata: block size, disk size, sector sizes, the disk's identity |
//! | 3.. | the block allocation table |
//! | .. | each block with content |
//!
//! Source: Microsoft's "Virtual Hard Disk v2 (VHDX) File Format", \[MS-VHDX\] 8.0; all numbers are little-endian. What the
//! specification calls a sector bitmap belongs to disks with a parent: here there is none, only the table's room for them.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use super::convert::{self, ConvertError};
use super::gpt::Guid;
use super::sparse::{Chunks, Fingerprint};
use super::{Format, Job, OutputError};
use crate::crc32c::crc32c;

/// `NAME.vhdx`, with a disk of whole mebibytes.
#[derive(Debug, Clone, Copy)]
pub struct Vhdx;

const NAME: &str = "vhdx";
const MIB: u64 = 1 << 20;
/// The smallest there may be, as Microsoft advises for Linux: its file systems spread their tables over the disk.
const BLOCK: u64 = MIB;
/// "Virtual Disk Size": 64 TiB at most.
const MAX_DISK: u64 = 64 << 40;
const LOGICAL_SECTOR: u32 = 512;
/// As Hyper-V says of new disks.
const PHYSICAL_SECTOR: u32 = 4096;
/// After so many entries of the table there is one for a sector bitmap ("BAT", the chunk ratio).
const CHUNK: u64 = (1 << 23) * LOGICAL_SECTOR as u64 / BLOCK;

const SLOT: u64 = 64 << 10;
const HEADER_LEN: usize = 4096;
const LOG: u64 = MIB;
const METADATA: u64 = 2 * MIB;
const TABLE: u64 = 3 * MIB;
/// Of a header and of a region table, behind the signature.
const CHECKSUM: usize = 4;
/// The states of a block, PAYLOAD_BLOCK_ZERO and PAYLOAD_BLOCK_FULLY_PRESENT.
const ZERO: u64 = 2;
const PRESENT: u64 = 6;
/// Entries that a reader must know.
const REQUIRED: u32 = 1;

const TABLE_REGION: Guid = Guid::of(0x2DC2_7766, 0xF623, 0x4200, 0x9D64_115E_9BFD_4A08);
const METADATA_REGION: Guid = Guid::of(0x8B7C_A206, 0x4790, 0x4B9A, 0xB8FE_575F_050F_886E);

impl Format for Vhdx {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}.vhdx")]
    }

    fn has_partitions(&self) -> bool {
        true
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let size = convert::whole(NAME, job.settings.size, MIB)?;
        convert::bios_disk(NAME, job, size, &format!("{}.vhdx", job.name), write)
    }
}

/// Writes the disk `raw` as a dynamic VHDX over `out`. The same disk makes the same bytes.
fn write(raw: &mut File, out: &mut File) -> Result<(), ConvertError> {
    let size = convert::size_of(raw, MAX_DISK)?;
    let blocks = size.div_ceil(BLOCK);
    let table_len = (entries(blocks) * 8).next_multiple_of(MIB);
    let start = TABLE + table_len;
    let mut fingerprint = Fingerprint::of_size(size);
    // By number, in the order in which they lie in the file.
    let mut stored = Vec::new();
    out.set_len(0).and_then(|()| out.seek(SeekFrom::Start(start))).map_err(ConvertError::Write)?;
    let mut chunks = Chunks::of(raw, size, BLOCK as usize);
    while let Some((block, bytes)) = chunks.advance().map_err(ConvertError::Read)? {
        fingerprint.add(block, bytes);
        out.write_all(bytes).map_err(ConvertError::Write)?;
        stored.push(block);
    }
    let id = Guid::of_digest(&fingerprint.finish());
    let end = start + stored.len() as u64 * BLOCK;
    let metadata = [
        (0, file_type()),
        (SLOT, header(1, id)),
        (2 * SLOT, header(2, id)),
        (3 * SLOT, regions(table_len)),
        (4 * SLOT, regions(table_len)),
        (METADATA, metadata(size, id)),
    ];
    let written = out.set_len(end).and_then(|()| {
        for (at, bytes) in metadata {
            out.seek(SeekFrom::Start(at)).and_then(|_| out.write_all(&bytes))?;
        }
        out.seek(SeekFrom::Start(TABLE))?;
        write_table(&mut BufWriter::with_capacity(MIB as usize, out), blocks, start, &stored)
    });
    written.map_err(ConvertError::Write)
}

/// How many entries the table of so many blocks has ("BAT", of disks without a parent).
fn entries(blocks: u64) -> u64 {
    blocks + blocks.saturating_sub(1) / CHUNK
}

/// Writes where each block of the disk is: those that are `stored` follow each other from `start` on.
fn write_table(out: &mut impl Write, blocks: u64, start: u64, stored: &[u64]) -> io::Result<()> {
    let mut places = stored.iter().zip(0..).peekable();
    for block in 0..blocks {
        if block > 0 && block % CHUNK == 0 {
            // A sector bitmap that is not there.
            out.write_all(&[0; 8])?;
        }
        let entry = match places.next_if(|(stored, _)| **stored == block) {
            // A block begins at a whole mebibyte, so the low bits are free.
            Some((_, place)) => (start + place * BLOCK) | PRESENT,
            None => ZERO,
        };
        out.write_all(&entry.to_le_bytes())?;
    }
    out.flush()
}

fn file_type() -> Vec<u8> {
    let creator = "lkb".encode_utf16().flat_map(u16::to_le_bytes);
    b"vhdxfile".iter().copied().chain(creator).collect()
}

/// One of the two headers: the one with the higher sequence number counts. Who writes to the disk changes both.
fn header(sequence: u64, id: Guid) -> Vec<u8> {
    let mut header = b"head\0\0\0\0".to_vec();
    header.extend(sequence.to_le_bytes());
    // Whoever wrote last to the file, and to the disk in it; no log to replay.
    header.extend([id.on_disk(), id.on_disk(), [0; 16]].concat());
    // The versions of the log and of the format.
    header.extend([0_u16, 1].map(u16::to_le_bytes).concat());
    header.extend((MIB as u32).to_le_bytes());
    header.extend(LOG.to_le_bytes());
    header.resize(HEADER_LEN, 0);
    summed(header)
}

/// Where table and metadata are.
fn regions(table_len: u64) -> Vec<u8> {
    let regions = [(TABLE_REGION, TABLE, table_len), (METADATA_REGION, METADATA, MIB)];
    let mut table = b"regi\0\0\0\0".to_vec();
    table.extend([regions.len() as u32, 0].map(u32::to_le_bytes).concat());
    for (id, start, len) in regions {
        table.extend(id.on_disk());
        table.extend(start.to_le_bytes());
        // Of 64 TiB the table has half a gibibyte.
        table.extend([len as u32, REQUIRED].map(u32::to_le_bytes).concat());
    }
    table.resize(SLOT as usize, 0);
    summed(table)
}

fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = crc32c(&bytes);
    bytes[CHECKSUM..CHECKSUM + 4].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// What is known about the disk: a table, and behind it the items that it names.
fn metadata(size: u64, id: Guid) -> Vec<u8> {
    // "IsVirtualDisk" and "IsRequired": about the disk, or else about the file; to be known.
    const DISK: u32 = 2 | 4;
    const FILE: u32 = 4;
    let items: [(Guid, u32, Vec<u8>); 5] = [
        // File parameters: the size of blocks; they may be absent, and there is no parent.
        (
            Guid::of(0xCAA1_6737, 0xFA36, 0x4D43, 0xB3B6_33F0_AA44_E76B),
            FILE,
            [BLOCK as u32, 0].map(u32::to_le_bytes).concat(),
        ),
        // Virtual disk size, virtual disk ID, logical and physical sector size.
        (Guid::of(0x2FA5_4224, 0xCD1B, 0x4876, 0xB211_5DBE_D83B_F4B8), DISK, size.to_le_bytes().to_vec()),
        (Guid::of(0xBECA_12AB, 0xB2E6, 0x4523, 0x93EF_C309_E000_C746), DISK, id.on_disk().to_vec()),
        (
            Guid::of(0x8141_BF1D, 0xA96F, 0x4709, 0xBA47_F233_A8FA_AB5F),
            DISK,
            LOGICAL_SECTOR.to_le_bytes().to_vec(),
        ),
        (
            Guid::of(0xCDA3_48C7, 0x445D, 0x4471, 0x9CC9_E988_5251_C556),
            DISK,
            PHYSICAL_SECTOR.to_le_bytes().to_vec(),
        ),
    ];
    let mut table = b"metadata\0\0".to_vec();
    table.extend((items.len() as u16).to_le_bytes());
    table.extend([0; 20]);
    let mut values = Vec::new();
    for (id, flags, value) in items {
        let at = SLOT as u32 + values.len() as u32;
        table.extend(id.on_disk());
        table.extend([at, value.len() as u32, flags, 0].map(u32::to_le_bytes).concat());
        values.extend(value);
    }
    table.resize(SLOT as usize, 0);
    [table, values].concat()
}

#[cfg(test)]
mod tests {
    use super::super::convert::fixture;
    use super::*;

    fn check(size: u64, content: fixture::Pieces<'_>) -> Vec<u8> {
        fixture::check("vhdx", write, size, content)
    }

    #[test]
    fn qemu_reads_back_the_same_disk_and_only_blocks_with_content_are_stored() {
        let end = (1 << 30) - 3;
        let image = check(1 << 30, &[(1000, b"start"), ((5 << 20) + 7, b"middle"), (end, b"end")]);
        assert_eq!(image.len() as u64, 4 * MIB + 3 * BLOCK);
    }

    #[test]
    fn blocks_behind_the_room_for_a_sector_bitmap_are_found() {
        // The first of the second chunk, and the last of the first.
        let second = CHUNK * BLOCK;
        let image = check(second + (3 << 20), &[(second - 1, b"ab"), (second + (2 << 20), b"c")]);
        assert_eq!(image.len() as u64, 4 * MIB + 3 * BLOCK);
        assert_eq!((entries(CHUNK), entries(CHUNK + 1), entries(0)), (CHUNK, CHUNK + 2, 0));
    }

    #[test]
    fn a_disk_that_is_no_whole_number_of_blocks_keeps_its_size() {
        check((3 << 20) + 512, &[(3 << 20, &[7; 512])]);
    }

    #[test]
    fn an_empty_disk_is_tables_only_and_written_zeros_are_not_stored() {
        assert_eq!(check(1 << 30, &[]).len() as u64, 4 * MIB);
        assert_eq!(check(4 << 20, &[(0, &vec![0; 3 << 20])]).len() as u64, 4 * MIB);
    }

    #[test]
    fn disks_of_equal_size_and_other_content_have_other_identities() {
        let id = |content: &[u8]| {
            let image = check(1 << 20, &[(0, content)]);
            image[(METADATA + SLOT) as usize + 16..][..16].to_vec()
        };
        assert_ne!(id(b"a"), id(b"b"));
    }
}
