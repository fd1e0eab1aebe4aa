//! A FAT file system of a few files: the same bytes from the same content.

use std::io::{self, Read, Seek, SeekFrom, Write};

use fatfs::{Date, DateTime, FatType, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider};
use thiserror::Error;

use super::mbr::SECTOR;

const MIB: u64 = 1 << 20;
const MAX_FILE: u64 = u32::MAX as u64;
const MAX_VOLUME: u64 = u32::MAX as u64 * SECTOR;
/// Up to here FAT16 is made, above FAT32; the limit of `mkfs.fat`.
const FAT16_UP_TO: u64 = 512 * MIB;
const MAX_CLUSTER: u32 = 32 << 10;
const COPY: usize = 256 << 10;
/// FAT16 begins at 4085 clusters, FAT32 at 65525; the tables take a little of the volume.
const FAT16_CLUSTERS: u64 = 4_300;
const FAT32_CLUSTERS: u64 = 66_600;
/// With clusters of one sector.
const SMALLEST_FAT32: u64 = 34 * MIB;

/// Why a FAT file system could not be written.
#[derive(Debug, Error)]
pub enum FatError {
    /// A file is larger than FAT can say.
    #[error("{name} has {len} bytes: FAT holds files up to 4 GiB less one byte")]
    FileTooLarge {
        /// The file's name.
        name: String,
        /// Its length in bytes.
        len: u64,
    },
    /// The file system is larger than FAT can say.
    #[error("a FAT partition of {0} bytes cannot be made: 1 MiB to 2 TiB is possible")]
    VolumeSize(u64),
    /// A file's content ended early or went on after its stated length.
    #[error("{name} was announced with {expected} bytes, and {found} came")]
    Length {
        /// The file's name.
        name: String,
        /// What was announced.
        expected: u64,
        /// What came; one more than expected stands for any number more.
        found: u64,
    },
    /// Writing failed.
    #[error("cannot write {what} to the FAT partition")]
    Io {
        /// What was written.
        what: String,
        /// Why not.
        source: io::Error,
    },
}

/// What can lie under a FAT file system.
pub trait Device: Read + Write + Seek {}
impl<T: Read + Write + Seek> Device for T {}

/// How a volume is labelled and where it lies.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// The volume label, padded with blanks.
    pub label: [u8; 11],
    /// The volume's serial number.
    pub serial: u32,
    /// Sectors before the partition.
    pub hidden_sectors: u32,
}

/// How a volume of a certain length is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Whether it is FAT32; else FAT16.
    pub fat32: bool,
    /// Bytes in a cluster.
    pub cluster: u32,
}

impl Geometry {
    /// The division of a volume of `len` bytes: the largest clusters with which there are enough of them, so
    /// that the tables are small.
    ///
    /// # Errors
    /// When FAT has no such volume.
    pub fn of(len: u64) -> Result<Self, FatError> {
        if !(4 * MIB..=MAX_VOLUME).contains(&len) {
            return Err(FatError::VolumeSize(len));
        }
        let fat32 = len > FAT16_UP_TO;
        let fewest = if fat32 { FAT32_CLUSTERS } else { FAT16_CLUSTERS };
        Ok(Self { fat32, cluster: largest_cluster(len, fewest) })
    }

    /// The division of a FAT32 volume of `len` bytes, however small: firmware need not know another one on a system partition
    /// (UEFI specification 2.10, section 13.3).
    ///
    /// # Errors
    /// When FAT32 has no such volume.
    pub fn fat32(len: u64) -> Result<Self, FatError> {
        if !(SMALLEST_FAT32..=MAX_VOLUME).contains(&len) {
            return Err(FatError::VolumeSize(len));
        }
        Ok(Self { fat32: true, cluster: largest_cluster(len, FAT32_CLUSTERS) })
    }

    /// The MBR type byte of such a partition, addressed by LBA.
    #[must_use]
    pub fn mbr_type(self) -> u8 {
        if self.fat32 { 0x0C } else { 0x0E }
    }
}

fn largest_cluster(len: u64, fewest: u64) -> u32 {
    let mut cluster = MAX_CLUSTER;
    while len / u64::from(cluster) < fewest && cluster > SECTOR as u32 {
        cluster /= 2;
    }
    cluster
}

/// As [`volume_len`], of a FAT32 volume: its clusters are small, so its tables take up to one 64th.
#[must_use]
pub fn fat32_len(content: u64) -> u64 {
    volume_len(content.saturating_add(content / 60)).max(SMALLEST_FAT32)
}

/// The length of the smallest volume, in whole mebibytes, that surely holds files of `content` bytes in all: 1 MiB and
/// one 256th go to tables and part-filled clusters.
#[must_use]
pub fn volume_len(content: u64) -> u64 {
    content.saturating_add(MIB).saturating_add(content / 256).div_ceil(MIB).saturating_mul(MIB).max(4 * MIB)
}

/// A file system that is being filled.
pub struct Volume<T: Device> {
    files: FileSystem<T>,
}

impl<T: Device> std::fmt::Debug for Volume<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Volume").field("fat_type", &self.files.fat_type()).finish_non_exhaustive()
    }
}

impl<T: Device> Volume<T> {
    /// Makes an empty file system over the `len` bytes of `device`, which must read as zeros; `geometry` is of that length.
    ///
    /// # Errors
    /// When FAT has no such volume, or writing fails.
    pub fn create(mut device: T, len: u64, geometry: Geometry, identity: Identity) -> Result<Self, FatError> {
        let io = |source| FatError::Io { what: "an empty file system".to_owned(), source };
        let sectors = u32::try_from(len / SECTOR).map_err(|_| FatError::VolumeSize(len))?;
        let options = FormatVolumeOptions::new()
            .total_sectors(sectors)
            .bytes_per_cluster(geometry.cluster)
            .fat_type(if geometry.fat32 { FatType::Fat32 } else { FatType::Fat16 })
            .volume_id(identity.serial)
            .volume_label(identity.label);
        fatfs::format_volume(&mut device, options).map_err(io)?;
        set_hidden_sectors(&mut device, geometry, identity.hidden_sectors).map_err(io)?;
        device.seek(SeekFrom::Start(0)).map_err(io)?;
        let options = FsOptions::new().time_provider(&GENERATED).update_accessed_date(false);
        Ok(Self { files: FileSystem::new(device, options).map_err(io)? })
    }

    /// Writes a file of exactly `len` bytes, and makes the directories that its name has.
    ///
    /// # Errors
    /// When the file is too large for FAT, when `content` is not `len` bytes long, or when reading or writing fails.
    pub fn add(&mut self, name: &str, content: &mut dyn Read, len: u64) -> Result<(), FatError> {
        if len > MAX_FILE {
            return Err(FatError::FileTooLarge { name: name.to_owned(), len });
        }
        let io = |source| FatError::Io { what: name.to_owned(), source };
        let root = self.files.root_dir();
        for (end, _) in name.match_indices('/') {
            root.create_dir(&name[..end]).map_err(io)?;
        }
        let mut file = root.create_file(name).map_err(io)?;
        let mut buffer = vec![0; COPY];
        let mut found = 0;
        loop {
            let count = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(FatError::Io { what: format!("(or read) {name}"), source }),
            };
            found += count as u64;
            if found > len {
                return Err(FatError::Length { name: name.to_owned(), expected: len, found: len + 1 });
            }
            file.write_all(&buffer[..count]).map_err(io)?;
        }
        file.flush().map_err(io)?;
        match found {
            found if found == len => Ok(()),
            found => Err(FatError::Length { name: name.to_owned(), expected: len, found }),
        }
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(self) -> Result<(), FatError> {
        self.files
            .unmount()
            .map_err(|source| FatError::Io { what: "the file allocation table".to_owned(), source })
    }
}

/// Tells the boot sector, and FAT32's copy of it, where the partition begins (`fatfs` knows no partitions).
fn set_hidden_sectors(device: &mut impl Device, geometry: Geometry, sectors: u32) -> io::Result<()> {
    const HIDDEN_SECTORS: u64 = 0x1C;
    const BACKUP_BOOT_SECTOR: u64 = 6;
    let copies: &[u64] = if geometry.fat32 { &[0, BACKUP_BOOT_SECTOR] } else { &[0] };
    for sector in copies {
        device.seek(SeekFrom::Start(sector * SECTOR + HIDDEN_SECTORS))?;
        device.write_all(&sectors.to_le_bytes())?;
    }
    Ok(())
}

/// Gives every file [`crate::tree::GENERATED_MTIME`]: 2017-04-18 16:30:00.
#[derive(Debug)]
struct Generated;

static GENERATED: Generated = Generated;

impl TimeProvider for Generated {
    fn get_current_date(&self) -> Date {
        Date { year: 2017, month: 4, day: 18 }
    }

    fn get_current_date_time(&self) -> DateTime {
        DateTime { date: self.get_current_date(), time: Time { hour: 16, min: 30, sec: 0, millis: 0 } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    const IDENTITY: Identity = Identity { label: *b"LKB BOOT   ", serial: 7, hidden_sectors: 2048 };

    #[test]
    fn small_volumes_are_fat16_and_large_ones_fat32() {
        for (len, fat32, cluster) in [
            (4 * MIB, false, 512),
            (16 * MIB, false, 2 << 10),
            (64 * MIB, false, 8 << 10),
            (512 * MIB, false, 32 << 10),
            (513 * MIB, true, 4 << 10),
            (1023 * MIB, true, 8 << 10),
            (8192 * MIB, true, 32 << 10),
        ] {
            assert_eq!(Geometry::of(len).unwrap(), Geometry { fat32, cluster }, "{} MiB", len / MIB);
        }
        assert!(Geometry::of(MIB).is_err());
        assert!(Geometry::of(MAX_VOLUME + 1).is_err());
    }

    #[test]
    fn the_smallest_volume_holds_its_content() {
        for content in [0, 1, 3 * MIB, 20 * MIB, 65 * MIB - 3, 140 * MIB + 1, 520 * MIB] {
            let len = volume_len(content);
            let mut device = tempfile::tempfile().unwrap();
            device.set_len(len).unwrap();
            let mut volume = Volume::create(
                super::super::partition::Partition::new(&mut device, 0, len),
                len,
                Geometry::of(len).unwrap(),
                IDENTITY,
            )
            .unwrap();
            let kernel = content / 3;
            volume.add("kernel", &mut io::repeat(0).take(kernel), kernel).unwrap();
            volume.add("initrd.img", &mut io::repeat(0).take(content - kernel), content - kernel).unwrap();
            volume.finish().unwrap();
        }
    }

    #[test]
    fn files_come_back_with_their_names_and_the_build_time() {
        let len = 8 * MIB;
        let mut image = vec![0; len as usize];
        let mut volume =
            Volume::create(Cursor::new(&mut image), len, Geometry::of(len).unwrap(), IDENTITY).unwrap();
        volume.add("initrd.img", &mut b"content".as_slice(), 7).unwrap();
        volume.finish().unwrap();

        assert_eq!(image[0x1C..0x20], 2048_u32.to_le_bytes());
        let files = FileSystem::new(Cursor::new(&mut image), FsOptions::new()).unwrap();
        assert_eq!((files.volume_id(), files.volume_label_as_bytes()), (7, b"LKB BOOT".as_slice()));
        let entry = files.root_dir().iter().map(Result::unwrap).find(|e| e.is_file()).unwrap();
        assert_eq!((entry.short_file_name_as_bytes(), entry.len()), (b"INITRD.IMG".as_slice(), 7));
        let mut content = String::new();
        files.root_dir().open_file("initrd.img").unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
        assert_eq!(entry.modified(), GENERATED.get_current_date_time());
    }

    #[test]
    fn content_of_another_length_than_announced_is_an_error() {
        let mut image = vec![0; 4 << 20];
        let mut volume =
            Volume::create(Cursor::new(&mut image), 4 * MIB, Geometry::of(4 * MIB).unwrap(), IDENTITY)
                .unwrap();
        for (content, found) in [("short", 5), ("too long", 8)] {
            let error = volume.add("f", &mut content.as_bytes(), 7).unwrap_err();
            assert!(matches!(error, FatError::Length { expected: 7, found: f, .. } if f == found), "{error}");
        }
        let error = volume.add("initrd.img", &mut io::empty(), 4 << 30).unwrap_err();
        assert!(matches!(error, FatError::FileTooLarge { .. }), "{error}");
    }
}
