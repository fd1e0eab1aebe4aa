//! qcow2 disk images, version 3: only clusters with content are stored.
//!
//! Layout of what is written, in clusters: the header; the data, in the disk's order; the L2 tables that are needed;
//! the L1 table; the refcount blocks; the refcount table. Source: QEMU's `docs/interop/qcow2.txt`.
//!
//! Data is stored as it is: kernel and initrd are compressed already, and BIOS boots from compressed clusters took
//! twice as long.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use super::convert::{ConvertError, size_of};
use super::sparse::Chunks;

/// log2 of the cluster size; QEMU's default.
const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
const HEADER_LEN: u32 = 104;
/// Entries of 8 bytes in a cluster: of an L2 table, of the refcount table.
const ENTRIES: u64 = CLUSTER / 8;
/// log2 of the width of a refcount in bits.
const REFCOUNT_ORDER: u32 = 4;
/// Refcounts of 16 bits in a cluster.
const REFCOUNTS: u64 = CLUSTER / 2;
/// "Exactly one reference": a write needs no copy.
const COPIED: u64 = 1 << 63;
/// QEMU opens no L1 table above 32 MiB; that of this size is 256 KiB.
const MAX_DISK: u64 = 16 << 40;

/// Writes the disk `raw` as a qcow2 image over `out`, whose former content is lost. The same disk makes the same bytes.
///
/// # Errors
/// When reading or writing fails, or the disk has more than 16 TiB.
pub fn write(raw: &mut File, out: &mut File) -> Result<(), ConvertError> {
    let size = size_of(raw, MAX_DISK)?;
    out.set_len(0).map_err(ConvertError::Write)?;
    out.seek(SeekFrom::Start(CLUSTER)).map_err(ConvertError::Write)?;
    let tables = copy_data(raw, out, size)?;
    write_metadata(out, size, &tables).map_err(ConvertError::Write)
}

/// Where each cluster of the disk went.
struct Tables {
    /// By number of the L2 table: its entries, or nothing when no cluster in its reach has content.
    l2: Vec<Option<Vec<u64>>>,
    /// The first cluster of the image that is still free.
    next: u64,
}

/// Copies every cluster of the disk that is not all zeros to the end of `out`.
fn copy_data(raw: &mut File, out: &mut File, size: u64) -> Result<Tables, ConvertError> {
    let clusters = size.div_ceil(CLUSTER);
    let mut tables = Tables { l2: vec![None; clusters.div_ceil(ENTRIES) as usize], next: 1 };
    let mut chunks = Chunks::of(raw, size, CLUSTER as usize);
    while let Some((cluster, bytes)) = chunks.advance().map_err(ConvertError::Read)? {
        out.write_all(bytes).map_err(ConvertError::Write)?;
        let table = tables.l2[(cluster / ENTRIES) as usize].get_or_insert_with(|| vec![0; ENTRIES as usize]);
        table[(cluster % ENTRIES) as usize] = (tables.next * CLUSTER) | COPIED;
        tables.next += 1;
    }
    Ok(tables)
}

fn write_metadata(out: &mut File, size: u64, tables: &Tables) -> io::Result<()> {
    let mut next = tables.next;
    let mut l1 = Vec::with_capacity(tables.l2.len());
    for table in &tables.l2 {
        l1.push(match table {
            Some(_) => {
                next += 1;
                ((next - 1) * CLUSTER) | COPIED
            }
            None => 0,
        });
    }
    let l1_cluster = next;
    let l1_clusters = (l1.len() as u64).div_ceil(ENTRIES).max(1);
    let refcount_cluster = l1_cluster + l1_clusters;
    let (blocks, table_clusters) = refcount_clusters(refcount_cluster);
    let table_cluster = refcount_cluster + blocks;
    let total = table_cluster + table_clusters;

    for table in tables.l2.iter().flatten() {
        out.write_all(&big_endian(table, 1))?;
    }
    out.write_all(&big_endian(&l1, l1_clusters))?;
    let mut refcounts = Vec::with_capacity((blocks * CLUSTER) as usize);
    for _ in 0..total {
        refcounts.extend(1_u16.to_be_bytes());
    }
    refcounts.resize((blocks * CLUSTER) as usize, 0);
    out.write_all(&refcounts)?;
    let table: Vec<u64> = (0..blocks).map(|block| (refcount_cluster + block) * CLUSTER).collect();
    out.write_all(&big_endian(&table, table_clusters))?;

    out.seek(SeekFrom::Start(0))?;
    out.write_all(&header(size, l1.len() as u32, l1_cluster, table_cluster, table_clusters as u32))?;
    out.set_len(total * CLUSTER)
}

/// How many refcount blocks and refcount table clusters count `others` clusters and themselves.
fn refcount_clusters(others: u64) -> (u64, u64) {
    let (mut blocks, mut table) = (1, 1);
    loop {
        let needed = (others + blocks + table).div_ceil(REFCOUNTS);
        if needed <= blocks && blocks.div_ceil(ENTRIES) <= table {
            return (blocks, table);
        }
        blocks = needed.max(blocks);
        table = blocks.div_ceil(ENTRIES);
    }
}

fn header(size: u64, l1_entries: u32, l1: u64, refcount_table: u64, refcount_table_clusters: u32) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_LEN as usize + 8);
    header.extend(b"QFI\xFB");
    header.extend(3_u32.to_be_bytes());
    header.extend([0; 12]); // no backing file: offset, length of its name
    header.extend(CLUSTER_BITS.to_be_bytes());
    header.extend(size.to_be_bytes());
    header.extend([0; 4]); // no encryption
    header.extend(l1_entries.to_be_bytes());
    header.extend((l1 * CLUSTER).to_be_bytes());
    header.extend((refcount_table * CLUSTER).to_be_bytes());
    header.extend(refcount_table_clusters.to_be_bytes());
    header.extend([0; 12]); // no snapshots: count, offset of their table
    header.extend([0; 24]); // no incompatible, compatible or autoclear features
    header.extend(REFCOUNT_ORDER.to_be_bytes());
    header.extend(HEADER_LEN.to_be_bytes());
    header.extend([0; 8]); // the end of the header extensions
    header
}

fn big_endian(entries: &[u64], clusters: u64) -> Vec<u8> {
    let mut bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.to_be_bytes()).collect();
    bytes.resize((clusters * CLUSTER) as usize, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::convert::fixture;
    use super::*;

    fn check(size: u64, content: fixture::Pieces<'_>) -> u64 {
        let image = fixture::check("qcow2", write, size, content);
        assert_eq!(image[24..32], size.to_be_bytes(), "the size that a machine sees");
        image.len() as u64
    }

    #[test]
    fn qemu_reads_back_the_same_disk() {
        let pattern: Vec<u8> = (0..300_000_u32).map(|i| i as u8 | 1).collect();
        check(10 << 20, &[(0, &pattern), (5 << 20, &pattern)]);
        check(
            1 << 30,
            &[(1000, b"start"), ((512 << 20) - 3, b"across two L2 tables"), ((1 << 30) - 3, b"end")],
        );
    }

    #[test]
    fn a_disk_that_is_no_whole_number_of_clusters_keeps_its_size() {
        check((1 << 20) + 512, &[(1 << 20, &[7; 512])]);
        check(512, &[(0, &[7; 512])]);
    }

    #[test]
    fn an_empty_disk_is_tables_only() {
        assert_eq!(check(100 << 30, &[]), 4 * CLUSTER);
    }

    #[test]
    fn written_zeros_are_not_stored() {
        assert_eq!(check(4 << 20, &[(0, &vec![0; 2 << 20])]), 4 * CLUSTER);
    }

    #[test]
    fn more_clusters_than_one_refcount_block_counts_are_counted() {
        assert_eq!(refcount_clusters(3), (1, 1));
        assert_eq!(refcount_clusters(REFCOUNTS - 2), (1, 1));
        assert_eq!(refcount_clusters(REFCOUNTS - 1), (2, 1));
        assert_eq!(refcount_clusters(2 * REFCOUNTS - 3), (2, 1));
        assert_eq!(refcount_clusters(2 * REFCOUNTS - 2), (3, 1));
        assert_eq!(refcount_clusters(REFCOUNTS * ENTRIES), (ENTRIES + 1, 2));
    }
}
