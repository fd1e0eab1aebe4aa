//! The metadata CD: an ISO 9660 file system with one file, `config`, in its root.
//!
//! LinuxKit's `metadata create` makes the same; its metadata package reads the file from `/dev/sr*`. The label is
//! neither `cidata` nor `config-2`, so that nobody takes it for a NoCloud or OpenStack disk.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use thiserror::Error;

use super::OutputError;
use super::iso::{Identity, IsoError, Layout, Volume};
use crate::tree::{Node, Origin, Tree};

/// The volume label.
pub const LABEL: &str = "LKB_METADATA";

/// Most metadata that the CD holds, in bytes. Metadata services give no more than 64 KiB of user data; a CD may hold some more.
pub const LIMIT: usize = 64 << 20;

/// Why the CD could not be written.
#[derive(Debug, Error)]
pub enum MetadataCdError {
    /// The content is absurdly large.
    #[error("it holds up to {} MiB of metadata, and this is more: let the machine fetch the rest itself", LIMIT >> 20)]
    TooLarge,
    /// The image cannot be made.
    #[error("cannot make the metadata CD")]
    Image(#[from] IsoError),
}

/// Writes the CD with `config` as its file. The same content makes the same bytes.
///
/// # Errors
/// When writing fails, or `config` has more than 64 MiB.
pub fn write(out: &mut dyn Write, config: &[u8]) -> Result<(), MetadataCdError> {
    if config.len() > LIMIT {
        return Err(MetadataCdError::TooLarge);
    }
    let mut tree = Tree::new();
    let file = Node::file(config, 0o644, &Arc::new(Origin::default()));
    tree.insert(b"config", file).map_err(IsoError::from)?;
    let layout = Layout::of(&tree, &[])?;
    let identity = Identity::new(LABEL)?;
    let sectors = layout.sectors();
    Ok(Volume { layout: &layout, identity: &identity, boot_catalogue: None, sectors }.write(out)?)
}

/// Writes a CD with `config` on it to `path`, whole or not at all. It is readable by its owner only: metadata may hold
/// passwords.
///
/// # Errors
/// When the metadata is too large, or the file cannot be written.
pub fn create(path: &Path, config: &[u8]) -> Result<(), OutputError> {
    let mut image = Vec::new();
    write(&mut image, config)
        .map_err(|source| OutputError::Disk { format: "the metadata CD", source: Box::new(source) })?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let whole = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&image)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    whole().map_err(|source| {
        // The first error counts.
        fs::remove_file(&temporary).ok();
        OutputError::io("write", path)(source)
    })
}

#[cfg(test)]
mod tests {
    use super::super::iso::SECTOR;
    use super::*;

    const SECTOR_LEN: usize = SECTOR as usize;

    fn le32(bytes: &[u8]) -> usize {
        u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize
    }

    /// Reads an image as a kernel does: descriptor → root directory → records.
    fn files(image: &[u8]) -> Vec<(String, Vec<u8>)> {
        let descriptor = &image[16 * SECTOR_LEN..][..SECTOR_LEN];
        assert_eq!(&descriptor[..7], b"\x01CD001\x01");
        assert_eq!(le32(&descriptor[80..]) * SECTOR_LEN, image.len());
        let root = &descriptor[156..190];
        let mut directory = &image[le32(&root[2..]) * SECTOR_LEN..][..le32(&root[10..])];
        let mut files = Vec::new();
        while directory[0] != 0 {
            let (record, rest) = directory.split_at(usize::from(directory[0]));
            if record[25] & 2 == 0 {
                let name = String::from_utf8(record[33..33 + usize::from(record[32])].to_vec()).unwrap();
                files.push((name, image[le32(&record[2..]) * SECTOR_LEN..][..le32(&record[10..])].to_vec()));
            }
            directory = rest;
        }
        files
    }

    #[test]
    fn the_one_file_comes_back() {
        for config in [b"".to_vec(), br#"{"ssh": {}}"#.to_vec(), vec![b'x'; SECTOR_LEN], vec![b'y'; 100_001]]
        {
            let mut image = Vec::new();
            write(&mut image, &config).unwrap();
            assert_eq!(files(&image), [("CONFIG.;1".to_owned(), config)]);
        }
    }

    #[test]
    fn the_label_is_nobody_elses() {
        let mut image = Vec::new();
        write(&mut image, b"x").unwrap();
        let label =
            String::from_utf8_lossy(&image[16 * SECTOR_LEN + 40..16 * SECTOR_LEN + 72]).trim().to_owned();
        assert_eq!(label, LABEL);
        assert!(!["cidata", "config-2"].contains(&label.to_lowercase().as_str()));
    }

    #[test]
    fn a_file_that_is_there_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.iso");
        fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
        create(&path, b"said").unwrap();
        let mut expected = Vec::new();
        write(&mut expected, b"said").unwrap();
        assert_eq!(fs::read(&path).unwrap(), expected);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let error = create(&dir.path().join("no/data.iso"), b"").unwrap_err().to_string();
        assert!(error.starts_with("cannot write "), "{error}");
    }
}
