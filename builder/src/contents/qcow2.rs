//! qcow2 disk images, versions 2 and 3, without encryption and without another image behind them.
//!
//! Source: QEMU's `docs/interop/qcow2.txt`. All numbers are big-endian.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use super::bytes::Bytes;
use super::damaged;
use super::field::{be32, be64};
use super::{Inside, Part, Reader, Role};
use crate::image::ReadAt;

const MAGIC: &[u8] = b"QFI\xFB";
/// Largest disk that is read, in bytes.
const MAX_DISK: u64 = 16 << 40;
/// Bits of an entry: where the cluster is; it is compressed; it reads as zeros.
const PLACE: u64 = 0x00FF_FFFF_FFFF_FE00;
const COMPRESSED: u64 = 1 << 62;
const ZEROS: u64 = 1;
/// Features that change nothing for who only reads: lazy refcounts, and that it says how it is compressed.
const HARMLESS: u64 = 1 | 1 << 3;

/// Reads qcow2.
#[derive(Debug)]
pub(super) struct Qcow2;

impl Reader for Qcow2 {
    fn called(&self) -> &'static str {
        "qcow2"
    }

    fn recognises(&self, bytes: &Bytes) -> io::Result<bool> {
        Ok(bytes.start(4)? == MAGIC)
    }

    fn read(&self, bytes: &Bytes) -> io::Result<Inside> {
        let disk = Disk::open(bytes)?;
        let size = disk.size;
        let part =
            Part { name: String::new(), bytes: Bytes::of(disk, size), role: Role::Itself, facts: Vec::new() };
        Ok(Inside { parts: vec![part], ..Inside::default() })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Deflate,
    Zstd,
}

/// What is stored under one number, unpacked.
type Known = Option<(u64, Arc<Vec<u8>>)>;

struct Disk {
    bytes: Bytes,
    size: u64,
    cluster_bits: u32,
    /// The tables of the second level, by number.
    l1: Vec<u64>,
    packing: Packing,
    table: Mutex<Known>,
    unpacked: Mutex<Known>,
}

impl Disk {
    fn open(bytes: &Bytes) -> io::Result<Self> {
        let header = bytes.start(112)?;
        let version = be32(&header, 4)?;
        let features = if version >= 3 { be64(&header, 72)? } else { 0 };
        if !(2..=3).contains(&version) || features & !HARMLESS != 0 {
            return Err(damaged("it is of a version, or has features, that are not read"));
        }
        if be64(&header, 8)? != 0 {
            return Err(damaged(
                "it only has what is different from another image; `qemu-img convert` makes one of both",
            ));
        }
        if be32(&header, 32)? != 0 {
            return Err(damaged("it is encrypted"));
        }
        let (size, cluster_bits) = (be64(&header, 24)?, be32(&header, 20)?);
        if !(9..=21).contains(&cluster_bits) || size > MAX_DISK {
            return Err(damaged("its size, or that of its clusters, is none that it can have"));
        }
        let packing = match (features & 1 << 3 != 0, header.get(104)) {
            (true, Some(1)) => Packing::Zstd,
            (true, Some(0)) | (false, _) => Packing::Deflate,
            _ => return Err(damaged("it is compressed in a way that is not read")),
        };
        let reach = 1_u64 << (2 * cluster_bits - 3);
        let count = size.div_ceil(reach);
        if count > u64::from(be32(&header, 36)?) || count > 4 << 20 {
            return Err(damaged("its first table is too short, or too long"));
        }
        let l1 = bytes.read(be64(&header, 40)?, count as usize * 8)?;
        Ok(Self {
            bytes: bytes.clone(),
            size,
            cluster_bits,
            l1: l1.chunks_exact(8).map(|entry| be64(entry, 0)).collect::<io::Result<_>>()?,
            packing,
            table: Mutex::default(),
            unpacked: Mutex::default(),
        })
    }

    fn cluster(&self) -> usize {
        1 << self.cluster_bits
    }

    /// The entry of a cluster; 0 if there is none.
    fn entry(&self, number: u64) -> io::Result<u64> {
        let per_table = 1_u64 << (self.cluster_bits - 3);
        let place = self.l1.get((number / per_table) as usize).copied().unwrap_or_default() & PLACE;
        if place == 0 {
            return Ok(0);
        }
        let mut known = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let table = match &*known {
            Some((at, table)) if *at == place => Arc::clone(table),
            _ => Arc::clone(&known.insert((place, Arc::new(self.bytes.read(place, self.cluster())?))).1),
        };
        be64(&table, (number % per_table) as usize * 8)
    }

    fn read_cluster(&self, number: u64, offset: usize, buffer: &mut [u8]) -> io::Result<()> {
        let entry = self.entry(number)?;
        if entry & COMPRESSED != 0 {
            let cluster = self.unpack(entry)?;
            let part = cluster.get(offset..offset + buffer.len());
            buffer.copy_from_slice(part.ok_or_else(|| damaged("a cluster is shorter than clusters are"))?);
            return Ok(());
        }
        match entry & PLACE {
            0 => buffer.fill(0),
            _ if entry & ZEROS != 0 => buffer.fill(0),
            place => return self.bytes.read_exact_at(buffer, place + offset as u64),
        }
        Ok(())
    }

    /// A compressed cluster: its entry has where it begins, and how many sectors of 512 bytes it reaches into.
    fn unpack(&self, entry: u64) -> io::Result<Arc<Vec<u8>>> {
        let mut known = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, cluster)) = &*known
            && *at == entry
        {
            return Ok(Arc::clone(cluster));
        }
        let bits = 62 - (self.cluster_bits - 8);
        let start = entry & ((1 << bits) - 1);
        let sectors = (entry & (COMPRESSED - 1)) >> bits;
        let end = (start / 512 + sectors + 1) * 512;
        if start >= self.bytes.len() {
            return Err(damaged("it names bytes behind its end"));
        }
        let packed = self.bytes.read(start, (end.min(self.bytes.len()) - start) as usize)?;
        let mut cluster = vec![0; self.cluster()];
        match self.packing {
            Packing::Deflate => flate2::read::DeflateDecoder::new(&packed[..]).read_exact(&mut cluster)?,
            Packing::Zstd => zstd::Decoder::with_buffer(&packed[..])?.read_exact(&mut cluster)?,
        }
        let cluster = Arc::new(cluster);
        *known = Some((entry, Arc::clone(&cluster)));
        Ok(cluster)
    }
}

impl ReadAt for Disk {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let size = self.cluster() as u64;
        let (mut at, mut left) = (offset, buffer);
        while !left.is_empty() {
            let within = at % size;
            let count = (size - within).min(left.len() as u64) as usize;
            let (now, rest) = left.split_at_mut(count);
            self.read_cluster(at / size, within as usize, now)?;
            (at, left) = (at + count as u64, rest);
        }
        Ok(())
    }
}
