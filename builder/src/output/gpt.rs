//! The GUID partition table.
//!
//! Source: UEFI specification 2.10, section 5.3. In sectors: 0 a protective MBR, 1 the header, 2..34 the entries; at the end
//! of the disk the entries again, then the header again.

use std::fmt;
use std::io::{self, Seek, SeekFrom, Write};

use super::mbr::SECTOR;

/// Sectors before the first one that a partition may have.
pub const BEFORE: u64 = 34;
/// Sectors behind the last one that a partition may have.
pub const BEHIND: u64 = 33;
/// The type of an EFI system partition.
pub const EFI_SYSTEM: Guid = Guid::of(0xC12A_7328, 0xF81F, 0x11D2, 0xBA4B_00A0_C93E_C93B);

/// The type of a partition with files for Linux.
pub const LINUX: Guid = Guid::of(0x0FC6_3DAF, 0x8483, 0x4772, 0x8E79_3D69_D847_7DE4);

/// The type of a partition for GRUB's core image, as GRUB's manual has it ("BIOS installation").
pub const BIOS_BOOT: Guid = Guid::of(0x2168_6148, 0x6449, 0x6E6F, 0x744E_6565_6445_4649);

const ENTRIES: usize = 128;
const ENTRY: usize = 128;
const HEADER: usize = 92;
/// MBR: the type of the entry that keeps tools that know no GPT from taking the disk for an empty one.
const PROTECTIVE: u8 = 0xEE;

/// A GUID, as its bytes lie on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guid([u8; 16]);

impl Guid {
    /// The GUID that is written `a-b-c-d[..2]-d[2..]`: the first three are little-endian on the disk, the rest is not.
    #[must_use]
    pub const fn of(a: u32, b: u16, c: u16, d: u64) -> Self {
        let (a, b, c, d) = (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes(), d.to_be_bytes());
        Self([a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]])
    }

    /// A GUID that follows from a SHA-256 digest: its first bytes, marked as of a vendor's own making (RFC 9562, section 5.8).
    #[must_use]
    pub fn of_digest(digest: &[u8; 32]) -> Self {
        let mut bytes = std::array::from_fn(|i| digest[i]);
        // The third group is little-endian: its first digit, the version, is in the byte that comes last.
        bytes[7] = bytes[7] & 0x0F | 0x80;
        bytes[8] = bytes[8] & 0x3F | 0x80;
        Self(bytes)
    }

    /// The GUID with these bytes in the order in which they are written.
    #[must_use]
    pub const fn of_writing_order(b: [u8; 16]) -> Self {
        Self([
            b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
            b[15],
        ])
    }

    /// The bytes as they lie on a disk, where Microsoft's formats have them alike.
    #[must_use]
    pub fn on_disk(&self) -> [u8; 16] {
        self.0
    }

    /// The bytes in the order in which they are written, as file systems have them.
    #[must_use]
    pub fn in_writing_order(&self) -> [u8; 16] {
        let b = &self.0;
        [b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]]
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.in_writing_order().into_iter().enumerate() {
            let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition<'a> {
    /// What it is for.
    pub kind: Guid,
    /// Its own GUID, the kernel's PARTUUID.
    pub id: Guid,
    /// First sector.
    pub first: u64,
    /// Number of sectors.
    pub sectors: u64,
    /// Its name, 36 characters at most; what is more is cut off.
    pub name: &'a str,
}

/// Writes protective MBR and both tables on a disk of `size` bytes.
///
/// # Errors
/// When writing fails.
pub fn write(
    out: &mut (impl Write + Seek),
    size: u64,
    disk: Guid,
    partitions: &[Partition<'_>],
) -> io::Result<()> {
    let last = size / SECTOR - 1;
    let mut entries = vec![0; ENTRIES * ENTRY];
    for (entry, partition) in entries.chunks_exact_mut(ENTRY).zip(partitions) {
        entry[..16].copy_from_slice(&partition.kind.0);
        entry[16..32].copy_from_slice(&partition.id.0);
        entry[32..40].copy_from_slice(&partition.first.to_le_bytes());
        entry[40..48].copy_from_slice(&(partition.first + partition.sectors - 1).to_le_bytes());
        for (to, unit) in entry[56..].chunks_exact_mut(2).zip(partition.name.encode_utf16()) {
            to.copy_from_slice(&unit.to_le_bytes());
        }
    }
    let header = |here: u64, other: u64, table: u64| {
        let mut header = [0; SECTOR as usize];
        header[..8].copy_from_slice(b"EFI PART");
        header[8..12].copy_from_slice(&0x0001_0000_u32.to_le_bytes());
        header[12..16].copy_from_slice(&(HEADER as u32).to_le_bytes());
        for (at, sector) in [(24, here), (32, other), (40, BEFORE), (48, last - BEHIND), (72, table)] {
            header[at..at + 8].copy_from_slice(&sector.to_le_bytes());
        }
        header[56..72].copy_from_slice(&disk.0);
        for (at, number) in [(80, ENTRIES as u32), (84, ENTRY as u32), (88, crc(&entries))] {
            header[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        let sum = crc(&header[..HEADER]);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        header
    };
    let mut put = |sector: u64, bytes: &[u8]| {
        out.seek(SeekFrom::Start(sector * SECTOR))?;
        out.write_all(bytes)
    };
    put(0, &protective_mbr(last))?;
    put(1, &header(1, last, 2))?;
    put(2, &entries)?;
    put(last - BEHIND + 1, &entries)?;
    put(last, &header(last, 1, last - BEHIND + 1))
}

fn protective_mbr(last: u64) -> [u8; SECTOR as usize] {
    let mut sector = [0; SECTOR as usize];
    let entry = &mut sector[446..462];
    entry[1..4].copy_from_slice(&[0, 2, 0]);
    entry[4] = PROTECTIVE;
    entry[5..8].copy_from_slice(&[0xFF; 3]);
    entry[8..12].copy_from_slice(&1_u32.to_le_bytes());
    entry[12..16].copy_from_slice(&u32::try_from(last).unwrap_or(u32::MAX).to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xAA]);
    sector
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_guid_is_written_as_it_was_named_and_one_of_a_digest_says_what_it_is() {
        let id = Guid::of(0x1234_5678, 0x9ABC, 0xDEF0, 0x1122_3344_5566_7788);
        assert_eq!(id.to_string(), "12345678-9abc-def0-1122-334455667788");
        assert_eq!(Guid::of_digest(&[0xFF; 32]).to_string(), "ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert_ne!(Guid::of_digest(&[1; 32]), Guid::of_digest(&[2; 32]));
    }

    #[test]
    fn sfdisk_reads_what_was_written_and_finds_nothing_wrong() {
        let mut disk = tempfile::NamedTempFile::new().unwrap();
        let size = 8 << 20;
        disk.as_file().set_len(size).unwrap();
        let partition = Partition {
            kind: EFI_SYSTEM,
            id: Guid::of(0x1234_5678, 0x9ABC, 0xDEF0, 0x1122_3344_5566_7788),
            first: 2048,
            sectors: 8192,
            name: "EFI System",
        };
        let id = Guid::of(1, 2, 3, 4);
        write(disk.as_file_mut(), size, id, &[partition]).unwrap();
        let read = |args: &[&str]| {
            let out = Command::new("sfdisk").args(args).arg(disk.path()).output().expect("running sfdisk");
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            assert_eq!(String::from_utf8_lossy(&out.stderr), "");
            String::from_utf8(out.stdout).unwrap()
        };
        let table = read(&["--dump"]);
        for wanted in [
            "label: gpt",
            "label-id: 00000001-0002-0003-0000-000000000004",
            "first-lba: 34",
            "last-lba: 16350",
            "start=        2048, size=        8192",
            "type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
            "uuid=12345678-9ABC-DEF0-1122-334455667788",
            "name=\"EFI System\"",
        ] {
            assert!(table.contains(wanted), "{wanted}\nis not in\n{table}");
        }
        assert!(read(&["--verify"]).contains("No errors detected"));
    }
}
