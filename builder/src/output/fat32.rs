//! A FAT32 volume as it lies on the disk: what `fatfs` does not tell, and one thing that it does not do.
//!
//! Source: Microsoft's "FAT File System Specification", sections 3, 4 and 6.

use std::io::{self, SeekFrom};

use super::fat::Device;
use super::mbr::SECTOR;

/// Bytes of a directory entry.
const ENTRY: usize = 32;
const DIRECTORY: u8 = 0x10;
/// The part of an entry of the table that is a cluster number.
const NUMBER: u32 = 0x0FFF_FFFF;
/// From here on an entry of the table ends a chain.
const END: u32 = 0x0FFF_FFF8;

/// Where the parts of a volume are; offsets and lengths in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    cluster: u64,
    table: u64,
    data: u64,
    root: u32,
}

/// An entry of a directory.
#[derive(Debug, Clone, Copy)]
struct Found {
    is_directory: bool,
    first: u32,
    len: u32,
}

impl Layout {
    /// Reads the boot sector.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(device: &mut impl Device) -> io::Result<Self> {
        let mut boot = [0; SECTOR as usize];
        device.seek(SeekFrom::Start(0))?;
        device.read_exact(&mut boot)?;
        let number = |at: usize, len: usize| {
            boot[at..at + len].iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let table = number(14, 2) * SECTOR;
        Ok(Self {
            cluster: number(13, 1) * SECTOR,
            table,
            data: table + number(16, 1) * number(36, 4) * SECTOR,
            root: u32::from_le_bytes([boot[44], boot[45], boot[46], boot[47]]),
        })
    }

    fn place(&self, cluster: u32) -> u64 {
        self.data + u64::from(cluster.saturating_sub(2)) * self.cluster
    }

    /// The first cluster of a directory: those that we make are no larger.
    fn directory(&self, device: &mut impl Device, first: u32) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.cluster).map_err(io::Error::other)?];
        device.seek(SeekFrom::Start(self.place(first)))?;
        device.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Corrects the parents of directories in the root: there `..` is cluster 0, whatever the root's is (section 6.5).
    /// `fatfs` writes the root's.
    ///
    /// # Errors
    /// When reading or writing fails.
    pub fn correct_parents(&self, device: &mut impl Device) -> io::Result<()> {
        let root = self.directory(device, self.root)?;
        for entry in entries(&root).filter(|(_, found)| found.is_directory).map(|(_, found)| found) {
            let parent = self.place(entry.first) + ENTRY as u64;
            let mut entry = [0; ENTRY];
            device.seek(SeekFrom::Start(parent))?;
            device.read_exact(&mut entry)?;
            entry[20..22].fill(0);
            entry[26..28].fill(0);
            device.seek(SeekFrom::Start(parent))?;
            device.write_all(&entry)?;
        }
        Ok(())
    }

    /// Where the content of a file begins that lies in one piece. The path is of short names, as the disk has them:
    /// `EFI/BOOT/BOOTX64.EFI`.
    ///
    /// # Errors
    /// When reading fails, the file is not there, or it is in pieces.
    pub fn start_of(&self, device: &mut impl Device, path: &str) -> io::Result<u64> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("{path} is not on the volume"));
        let mut found = Found { is_directory: true, first: self.root, len: 0 };
        for name in path.split('/') {
            let wanted = short_name(name).filter(|_| found.is_directory).ok_or_else(missing)?;
            let directory = self.directory(device, found.first)?;
            let next = entries(&directory).find(|(name, _)| *name == wanted).map(|(_, found)| found);
            found = next.ok_or_else(missing)?;
        }
        let clusters = u64::from(found.len).div_ceil(self.cluster);
        let mut chain = vec![0; usize::try_from(clusters * 4).map_err(io::Error::other)?];
        device.seek(SeekFrom::Start(self.table + u64::from(found.first) * 4))?;
        device.read_exact(&mut chain)?;
        let last = clusters.saturating_sub(1);
        for ((at, entry), here) in (0..).zip(chain.chunks_exact(4)).zip(found.first..) {
            let next = u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]) & NUMBER;
            if if at == last { next < END } else { next != here + 1 } {
                return Err(io::Error::other(format!("{path} does not lie in one piece")));
            }
        }
        Ok(self.place(found.first))
    }
}

/// The entries of a directory but for itself, its parent, labels and parts of long names; with their short names.
fn entries(directory: &[u8]) -> impl Iterator<Item = ([u8; 11], Found)> {
    const NOT_A_FILE: u8 = 0x08;
    let used = directory.chunks_exact(ENTRY).take_while(|entry| entry[0] != 0);
    used.filter(|entry| entry[11] & NOT_A_FILE == 0 && entry[0] != b'.' && entry[0] != 0xE5).map(|entry| {
        let mut name = [0; 11];
        name.copy_from_slice(&entry[..11]);
        let first = u32::from_le_bytes([entry[26], entry[27], entry[20], entry[21]]);
        let len = u32::from_le_bytes([entry[28], entry[29], entry[30], entry[31]]);
        (name, Found { is_directory: entry[11] & DIRECTORY != 0, first, len })
    })
}

/// `BOOTX64.EFI` as a directory has it: without the dot, padded with blanks; `None` for a name that needs a long one.
fn short_name(name: &str) -> Option<[u8; 11]> {
    let (stem, extension) = name.split_once('.').unwrap_or((name, ""));
    if stem.len() > 8 || extension.len() > 3 {
        return None;
    }
    let mut short = [b' '; 11];
    short[..stem.len()].copy_from_slice(stem.as_bytes());
    short[8..8 + extension.len()].copy_from_slice(extension.as_bytes());
    Some(short)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::fat::{Geometry, Identity, Volume};
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_file_is_found_where_it_lies_in_one_piece() {
        let len = 40 * MIB;
        let mut image = vec![0; len as usize];
        let identity = Identity { label: *b"LABEL      ", serial: 1, hidden_sectors: 0 };
        let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut volume =
            Volume::create(Cursor::new(&mut image), len, Geometry::fat32(len).unwrap(), identity).unwrap();
        volume.add("EFI/BOOT/BOOTX64.EFI", &mut content.as_slice(), content.len() as u64).unwrap();
        volume.finish().unwrap();
        let mut device = Cursor::new(&mut image);
        let layout = Layout::read(&mut device).unwrap();
        let start = layout.start_of(&mut device, "EFI/BOOT/BOOTX64.EFI").unwrap() as usize;
        let error = layout.start_of(&mut device, "EFI/BOOT/BOOTAA64.EFI").unwrap_err().to_string();
        assert!(error.contains("BOOTAA64.EFI is not on the volume"), "{error}");
        assert!(layout.start_of(&mut device, "EFI/BOOT/BOOTX64.EFI/x").is_err());
        assert!(image[start..start + content.len()] == content[..]);
    }

    #[test]
    fn a_file_in_pieces_is_refused() {
        let len = 40 * MIB;
        let mut image = vec![0; len as usize];
        let identity = Identity { label: *b"LABEL      ", serial: 1, hidden_sectors: 0 };
        let geometry = Geometry::fat32(len).unwrap();
        let mut volume = Volume::create(Cursor::new(&mut image), len, geometry, identity).unwrap();
        volume.add("A.EFI", &mut [1; 5000].as_slice(), 5000).unwrap();
        volume.finish().unwrap();
        let mut device = Cursor::new(&mut image);
        let layout = Layout::read(&mut device).unwrap();
        let start = layout.start_of(&mut device, "A.EFI").unwrap();
        let first = (start - layout.data) / layout.cluster + 2;
        let entry = (layout.table + first * 4) as usize;
        image[entry..entry + 4].copy_from_slice(&99_u32.to_le_bytes());
        let error = layout.start_of(&mut Cursor::new(&mut image), "A.EFI").unwrap_err().to_string();
        assert!(error.contains("in one piece"), "{error}");
    }
}
