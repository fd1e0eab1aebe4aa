//! qcow2 disk images, version 3: only clusters with content are stored.
//!
//! Layout of what is written, in clusters: the header; the data, in the disk's order; the L2 tables that are needed;
//! the L1 table; the refcount blocks; the refcount table. Source: QEMU's `docs/interop/qcow2.txt`.
//!
//! Data is stored as it is: kernel and initrd are compressed already, and BIOS boots from compressed clusters took
//! twice as long.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use thiserror::Error;

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

/// Why a qcow2 image could not be written.
#[derive(Debug, Error)]
pub enum Qcow2Error {
    /// The raw disk is too large.
    #[error("a disk of {0} bytes does not become a qcow2 image: up to 16 TiB is possible")]
    TooLarge(u64),
    /// The raw disk could not be read.
    #[error("cannot read the raw disk image")]
    Read(#[source] io::Error),
    /// The image could not be written.
    #[error("cannot write the qcow2 image")]
    Write(#[source] io::Error),
}

/// Writes the disk `raw` as a qcow2 image over `out`, whose former content is lost. The same disk makes the same bytes.
///
/// # Errors
/// When reading or writing fails, or the disk has more than 16 TiB.
pub fn write(raw: &mut File, out: &mut File) -> Result<(), Qcow2Error> {
    let size = raw.metadata().map_err(Qcow2Error::Read)?.len();
    if size > MAX_DISK {
        return Err(Qcow2Error::TooLarge(size));
    }
    out.set_len(0).map_err(Qcow2Error::Write)?;
    out.seek(SeekFrom::Start(CLUSTER)).map_err(Qcow2Error::Write)?;
    let tables = copy_data(raw, out, size)?;
    write_metadata(out, size, &tables).map_err(Qcow2Error::Write)
}

/// Where each cluster of the disk went.
struct Tables {
    /// By number of the L2 table: its entries, or nothing when no cluster in its reach has content.
    l2: Vec<Option<Vec<u64>>>,
    /// The first cluster of the image that is still free.
    next: u64,
}

/// Copies every cluster of the disk that is not all zeros to the end of `out`.
fn copy_data(raw: &mut File, out: &mut File, size: u64) -> Result<Tables, Qcow2Error> {
    let clusters = size.div_ceil(CLUSTER);
    let mut tables = Tables { l2: vec![None; clusters.div_ceil(ENTRIES) as usize], next: 1 };
    let zeros = vec![0; CLUSTER as usize];
    let mut buffer = zeros.clone();
    let mut cluster = 0;
    while let Some(found) = next_data(raw, cluster * CLUSTER).map_err(Qcow2Error::Read)? {
        cluster = found / CLUSTER;
        let start = cluster * CLUSTER;
        let len = CLUSTER.min(size - start) as usize;
        raw.seek(SeekFrom::Start(start))
            .and_then(|_| raw.read_exact(&mut buffer[..len]))
            .map_err(Qcow2Error::Read)?;
        buffer[len..].fill(0);
        if buffer != zeros {
            out.write_all(&buffer).map_err(Qcow2Error::Write)?;
            let table =
                tables.l2[(cluster / ENTRIES) as usize].get_or_insert_with(|| vec![0; ENTRIES as usize]);
            table[(cluster % ENTRIES) as usize] = (tables.next * CLUSTER) | COPIED;
            tables.next += 1;
        }
        cluster += 1;
        if cluster >= clusters {
            break;
        }
    }
    Ok(tables)
}

/// The offset of the next byte at or after `from` that is not in a hole of the file.
fn next_data(file: &File, from: u64) -> io::Result<Option<u64>> {
    let Ok(offset) = from.try_into() else { return Ok(None) };
    match lseek(file, offset, Whence::SeekData) {
        Ok(offset) => Ok(u64::try_from(offset).ok()),
        Err(Errno::ENXIO) => Ok(None),
        // A file system that cannot tell: everything is data.
        Err(Errno::EINVAL) => Ok((from < file.metadata()?.len()).then_some(from)),
        Err(error) => Err(error.into()),
    }
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
    use super::*;
    use std::path::Path;
    use std::process::Command;

    fn qemu_img(args: &[&str], files: &[&Path]) {
        let output =
            Command::new("qemu-img").args(args).args(files).output().expect("qemu-img of qemu-utils");
        let text = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "qemu-img {args:?}: {}", String::from_utf8_lossy(&text));
    }

    /// Writes `content` at its offsets into a disk of `size` bytes, converts it, and has QEMU compare the two.
    fn check(size: u64, content: &[(u64, &[u8])]) -> u64 {
        let dir = tempfile::tempdir().unwrap();
        let [raw_path, path, again] =
            ["disk.raw", "disk.qcow2", "again.qcow2"].map(|name| dir.path().join(name));
        let mut raw = File::create_new(&raw_path).unwrap();
        raw.set_len(size).unwrap();
        for (offset, bytes) in content {
            raw.seek(SeekFrom::Start(*offset)).unwrap();
            raw.write_all(bytes).unwrap();
        }
        let mut raw = File::open(&raw_path).unwrap();
        write(&mut raw, &mut File::create_new(&path).unwrap()).unwrap();
        write(&mut raw, &mut File::create_new(&again).unwrap()).unwrap();
        assert!(std::fs::read(&path).unwrap() == std::fs::read(&again).unwrap(), "two writes are equal");
        qemu_img(&["check", "-q", "-f", "qcow2"], &[&path]);
        qemu_img(&["compare", "-q", "-f", "raw", "-F", "qcow2"], &[&raw_path, &path]);
        let image = std::fs::read(&path).unwrap();
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
