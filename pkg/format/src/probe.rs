//! Looks at devices: whether they are in use, what `blkid` finds, what is at their ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use lk_command::program::{ProgramError, Programs, account};
use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::content::{self, Content, Found};
use crate::inventory::Disk;
use crate::table::EDGE;

/// What a look at a disk brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Whether the disk or one of its partitions is mounted, swapped on, or part of another device: in any
    /// container.
    pub in_use: bool,
    /// What it holds.
    pub content: Content,
}

/// Why a device could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The device cannot be opened.
    #[error("{node}: cannot be opened: {source}")]
    Open {
        /// The device.
        node: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The device cannot be read, which usually means that it is broken.
    #[error("{node}: cannot read {part}: {source}")]
    Read {
        /// The device.
        node: String,
        /// Which part of it.
        part: &'static str,
        /// The kernel's reason.
        source: io::Error,
    },
    /// `blkid` failed.
    #[error("{node}: blkid cannot tell what is on it: {account}")]
    Blkid {
        /// The device.
        node: String,
        /// What blkid said.
        account: String,
    },
    /// `blkid` cannot be run.
    #[error(transparent)]
    Program(#[from] ProgramError),
}

/// Looks at `disk` without changing anything.
pub fn look(disk: &Disk, programs: &Programs) -> Result<Look, ProbeError> {
    let node = disk.node();
    let in_use = in_use(&node)?;
    let (first, last) = edges(&node, disk.size)?;
    let found = identify(&node, programs)?;
    let mut partitions = Vec::with_capacity(disk.partitions.len());
    for partition in &disk.partitions {
        partitions.push((partition.name.clone(), identify(&partition.node(), programs)?));
    }
    Ok(Look { in_use, content: content::decide(disk, &first, &last, found, partitions) })
}

/// Whether somebody has claimed the device or, of a whole disk, one of its partitions.
///
/// An exclusive open asks the kernel itself, which knows of mounts in other mount namespaces too.
pub fn in_use(node: &str) -> Result<bool, ProbeError> {
    match OpenOptions::new().read(true).custom_flags(OFlag::O_EXCL.bits()).open(node) {
        Ok(_) => Ok(false),
        Err(e) if e.raw_os_error() == Some(Errno::EBUSY as i32) => Ok(true),
        Err(source) => Err(ProbeError::Open { node: node.to_owned(), source }),
    }
}

/// The first and the last MiB of a device of `size` bytes; of a smaller one, all of it twice.
pub fn edges(node: &str, size: u64) -> Result<(Vec<u8>, Vec<u8>), ProbeError> {
    let file = File::open(node).map_err(|source| ProbeError::Open { node: node.to_owned(), source })?;
    let length = size.min(EDGE);
    let read = |part, offset| {
        let mut bytes = vec![0; length as usize];
        match file.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(bytes),
            Err(source) => Err(ProbeError::Read { node: node.to_owned(), part, source }),
        }
    };
    Ok((read("its first MiB", 0)?, read("its last MiB", size - length)?))
}

/// Asks `blkid` what is on a device; its cache is not used.
pub fn identify(node: &str, programs: &Programs) -> Result<Found, ProbeError> {
    let output = programs.run("blkid", ["-p", "-o", "export", node])?;
    let failed = || ProbeError::Blkid { node: node.to_owned(), account: account(&output) };
    // blkid(8): 2 means that nothing was found, or that the device could not be read, and then it says so.
    match output.status.code() {
        Some(0) => Ok(content::parse_export(&String::from_utf8_lossy(&output.stdout))
            .map_or(Found::Nothing, Found::One)),
        Some(2) if output.stderr.is_empty() => Ok(Found::Nothing),
        Some(8) => Ok(Found::Several),
        _ => Err(failed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Held, Signature};
    use crate::table::{Identity, Layout, TableKind, writes};
    use lk_command::size::MIB;

    /// Programs, when the machine has what the test needs.
    fn programs_with(names: &[&str]) -> Option<Programs> {
        let programs = Programs::from_environment();
        names.iter().all(|n| programs.find(n).is_ok()).then_some(programs)
    }

    fn image(size: u64) -> (tempfile::NamedTempFile, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(size).unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        (file, path)
    }

    fn disk(size: u64, sector: u32) -> Disk {
        Disk {
            name: "image".into(),
            size,
            sector,
            removable: false,
            read_only: false,
            hidden: false,
            holders: vec![],
            partitions: vec![],
        }
    }

    #[test]
    fn blkid_sees_the_tables_that_we_write_and_only_once_they_are_whole() {
        let Some(programs) = programs_with(&["blkid"]) else { return };
        for kind in [TableKind::Dos, TableKind::Gpt] {
            let (file, path) = image(64 * MIB);
            let layout = Layout::of(64 * MIB, 512).unwrap();
            for write in writes(kind, &layout, &Identity::from_random([0x5a; 32])).unwrap() {
                assert_eq!(
                    identify(&path, &programs).unwrap(),
                    Found::Nothing,
                    "{kind:?} before {}",
                    write.offset
                );
                file.as_file().write_all_at(&write.bytes, write.offset).unwrap();
            }
            let Found::One(signature) = identify(&path, &programs).unwrap() else { panic!("{kind:?}") };
            assert_eq!(signature, Signature { table: Some(kind.name().into()), ..Signature::default() });
        }
    }

    #[test]
    fn sfdisk_reads_the_tables_as_one_linux_partition() {
        let Some(programs) = programs_with(&["sfdisk"]) else { return };
        for (kind, linux) in
            [(TableKind::Dos, "\"83\""), (TableKind::Gpt, "0FC63DAF-8483-4772-8E79-3D69D8477DE4")]
        {
            let (file, path) = image(64 * MIB);
            let layout = Layout::of(64 * MIB, 512).unwrap();
            for write in writes(kind, &layout, &Identity::from_random([0x5a; 32])).unwrap() {
                file.as_file().write_all_at(&write.bytes, write.offset).unwrap();
            }
            let output = programs.run("sfdisk", ["-J", &path]).unwrap();
            let json = String::from_utf8(output.stdout).unwrap();
            for part in [linux, "\"start\": 2048", "\"size\": 126976"] {
                assert!(json.replace("\":", "\": ").replace(":  ", ": ").contains(part), "{part}: {json}");
            }
            let check = programs.run("sfdisk", ["-V", &path]).unwrap();
            assert!(check.status.success(), "{}", account(&check));
        }
    }

    #[test]
    fn a_file_system_made_by_the_real_program_is_recognised_with_its_label() {
        let Some(programs) = programs_with(&["blkid", "mkfs.ext4"]) else { return };
        let (_file, path) = image(16 * MIB);
        let (first, last) = edges(&path, 16 * MIB).unwrap();
        let found = identify(&path, &programs).unwrap();
        assert_eq!(content::decide(&disk(16 * MIB, 512), &first, &last, found, vec![]), Content::Blank);

        let made =
            programs.run("mkfs.ext4", crate::mkfs::FsType::Ext4.arguments(Some("my data"), &path)).unwrap();
        assert!(made.status.success(), "{}", account(&made));
        let Found::One(signature) = identify(&path, &programs).unwrap() else { panic!() };
        assert_eq!((signature.kind.as_deref(), signature.label.as_deref()), (Some("ext4"), Some("my data")));
        assert!(signature.is_linux_fs());
    }

    #[test]
    fn a_boot_sector_without_partitions_is_not_blank() {
        let Some(programs) = programs_with(&["blkid"]) else { return };
        let (file, path) = image(16 * MIB);
        file.as_file().write_all_at(&[0x55, 0xaa], 510).unwrap();
        let (first, last) = edges(&path, 16 * MIB).unwrap();
        let found = identify(&path, &programs).unwrap();
        let content = content::decide(&disk(16 * MIB, 512), &first, &last, found, vec![]);
        assert!(matches!(content, Content::Holds(Held::Table { .. } | Held::Bytes)), "{content:?}");
    }

    #[test]
    fn a_device_that_ends_early_is_an_error_that_names_it() {
        let (_file, path) = image(MIB);
        let message = edges(&path, 2 * MIB).unwrap_err().to_string();
        assert!(message.contains(&path) && message.contains("last MiB"), "{message}");
    }
}
