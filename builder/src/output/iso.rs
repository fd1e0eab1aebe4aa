//! The metadata CD: an ISO 9660 file system with one file, `config`, in its root.
//!
//! LinuxKit's `metadata create` makes the same; its metadata package reads the file from `/dev/sr*`. The label is
//! neither `cidata` nor `config-2`, so that nobody takes it for a NoCloud or OpenStack disk. Source: ECMA-119.
//!
//! | sector | content |
//! |---|---|
//! | 0–15 | nothing |
//! | 16, 17 | primary volume descriptor, terminator |
//! | 18, 19 | path table, little- and big-endian |
//! | 20 | root directory |
//! | 21.. | `CONFIG.;1`, which Linux shows as `config` |

use std::io::{self, Write};

use thiserror::Error;

const SECTOR: usize = 2048;
const PATH_TABLE_L: u32 = 18;
const PATH_TABLE_M: u32 = 19;
const ROOT: u32 = 20;
const FILE: u32 = 21;
const PATH_TABLE_LEN: u32 = 10;

/// The volume label.
pub const LABEL: &str = "LKB_METADATA";

/// Metadata services give no more than 64 KiB of user data; a CD may hold some more.
const LIMIT: usize = 64 << 20;

/// Why the CD could not be written.
#[derive(Debug, Error)]
pub enum IsoError {
    /// The content is absurdly large.
    #[error("metadata of {0} bytes: up to 64 MiB fit on the metadata CD")]
    TooLarge(usize),
    /// Writing failed.
    #[error("cannot write the metadata CD")]
    Write(#[from] io::Error),
}

/// Writes the CD with `config` as its file. The same content makes the same bytes.
///
/// # Errors
/// When writing fails, or `config` has more than 64 MiB.
pub fn write(out: &mut dyn Write, config: &[u8]) -> Result<(), IsoError> {
    if config.len() > LIMIT {
        return Err(IsoError::TooLarge(config.len()));
    }
    let file_sectors = config.len().div_ceil(SECTOR).max(1);
    let sectors = FILE as usize + file_sectors;
    let mut image = vec![0; 16 * SECTOR];
    let mut sector = |content: &[u8]| {
        image.extend(content);
        image.resize(image.len().next_multiple_of(SECTOR), 0);
    };
    sector(&primary_volume_descriptor(sectors as u32));
    sector(b"\xFFCD001\x01");
    sector(&path_table(ROOT.to_le_bytes(), 1_u16.to_le_bytes()));
    sector(&path_table(ROOT.to_be_bytes(), 1_u16.to_be_bytes()));
    let records = [
        directory_record(b"\0", ROOT, SECTOR as u32, true),
        directory_record(b"\x01", ROOT, SECTOR as u32, true),
        directory_record(b"CONFIG.;1", FILE, config.len() as u32, false),
    ];
    sector(&records.concat());
    image.extend(config);
    image.resize(sectors * SECTOR, 0);
    Ok(out.write_all(&image)?)
}

fn primary_volume_descriptor(sectors: u32) -> Vec<u8> {
    let mut d = Vec::with_capacity(SECTOR);
    d.extend(b"\x01CD001\x01\0");
    d.extend(padded::<32>("LINUX")); // system
    d.extend(padded::<32>(LABEL));
    d.extend([0; 8]);
    d.extend(both(sectors));
    d.extend([0; 32]);
    d.extend(both16(1)); // volumes in the set
    d.extend(both16(1)); // number of this one
    d.extend(both16(SECTOR as u16));
    d.extend(both(PATH_TABLE_LEN));
    d.extend(PATH_TABLE_L.to_le_bytes());
    d.extend([0; 4]); // no second copy
    d.extend(PATH_TABLE_M.to_be_bytes());
    d.extend([0; 4]);
    d.extend(directory_record(b"\0", ROOT, SECTOR as u32, true));
    d.extend(padded::<128>("")); // volume set
    d.extend(padded::<128>("")); // publisher
    d.extend(padded::<128>("")); // data preparer
    d.extend(padded::<128>("LKB")); // application
    d.extend(padded::<111>("")); // copyright, abstract and bibliography files
    for date in ["2017041816300000", "2017041816300000", "0000000000000000", "0000000000000000"] {
        d.extend(date.bytes()); // made, changed, expires, effective
        d.push(0);
    }
    d.extend([1, 0]); // version of the file structure
    d
}

fn path_table(root: [u8; 4], parent: [u8; 2]) -> Vec<u8> {
    [&[1, 0], root.as_slice(), &parent, &[0, 0]].concat()
}

fn directory_record(name: &[u8], sector: u32, len: u32, directory: bool) -> Vec<u8> {
    let padding = (name.len() + 1) % 2;
    let mut record = vec![(33 + name.len() + padding) as u8, 0];
    record.extend(both(sector));
    record.extend(both(len));
    // tree::GENERATED_MTIME: years since 1900, month, day, hour, minute, second, quarters of an hour from UTC.
    record.extend([117, 4, 18, 16, 30, 0, 0]);
    record.extend([u8::from(directory) << 1, 0, 0]);
    record.extend(both16(1));
    record.push(name.len() as u8);
    record.extend(name);
    record.resize(record.len() + padding, 0);
    record
}

/// A number in both byte orders.
fn both(value: u32) -> [u8; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (value.to_le_bytes(), value.to_be_bytes());
    [a, b, c, d, e, f, g, h]
}

fn both16(value: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (value.to_le_bytes(), value.to_be_bytes());
    [a, b, c, d]
}

fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [b' '; N];
    field[..text.len()].copy_from_slice(text.as_bytes());
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    fn le32(bytes: &[u8]) -> usize {
        u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize
    }

    /// Reads an image as a kernel does: descriptor → root directory → records.
    fn files(image: &[u8]) -> Vec<(String, Vec<u8>)> {
        let descriptor = &image[16 * SECTOR..][..SECTOR];
        assert_eq!(&descriptor[..7], b"\x01CD001\x01");
        assert_eq!(le32(&descriptor[80..]) * SECTOR, image.len());
        let root = &descriptor[156..190];
        let mut directory = &image[le32(&root[2..]) * SECTOR..][..le32(&root[10..])];
        let mut files = Vec::new();
        while directory[0] != 0 {
            let (record, rest) = directory.split_at(usize::from(directory[0]));
            if record[25] & 2 == 0 {
                let name = String::from_utf8(record[33..33 + usize::from(record[32])].to_vec()).unwrap();
                files.push((name, image[le32(&record[2..]) * SECTOR..][..le32(&record[10..])].to_vec()));
            }
            directory = rest;
        }
        files
    }

    #[test]
    fn the_one_file_comes_back() {
        for config in [b"".to_vec(), br#"{"ssh": {}}"#.to_vec(), vec![b'x'; SECTOR], vec![b'y'; 100_001]] {
            let mut image = Vec::new();
            write(&mut image, &config).unwrap();
            assert_eq!(files(&image), [("CONFIG.;1".to_owned(), config)]);
        }
    }

    #[test]
    fn the_label_is_nobody_elses() {
        let mut image = Vec::new();
        write(&mut image, b"x").unwrap();
        let label = String::from_utf8_lossy(&image[16 * SECTOR + 40..16 * SECTOR + 72]).trim().to_owned();
        assert_eq!(label, LABEL);
        assert!(!["cidata", "config-2"].contains(&label.to_lowercase().as_str()));
    }

    #[test]
    fn the_descriptor_fills_its_fixed_places() {
        let descriptor = primary_volume_descriptor(22);
        assert_eq!(descriptor.len(), 883);
        assert_eq!(descriptor[881..], [1, 0]);
    }
}
