//! Which disks and partitions the kernel has: `/sys/class/block`, read into values.
//!
//! Attributes are those of the kernel's `Documentation/ABI/stable/sysfs-block`. `size` and `start` count
//! 512-byte units whatever the disk's sector is.

use std::cmp::Ordering;
use std::io;
use std::path::{Path, PathBuf};

/// Where the kernel lists its block devices.
pub const SYS_BLOCK: &str = "/sys/class/block";

/// A whole disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's name, as in `vda`.
    pub name: String,
    /// Size in bytes; zero when a drive has no medium.
    pub size: u64,
    /// Bytes in a logical sector, the unit of partition tables.
    pub sector: u32,
    /// Whether the medium can be taken out.
    pub removable: bool,
    /// Whether the kernel refuses writes.
    pub read_only: bool,
    /// Whether the kernel hides it (one path of a multipath NVMe disk).
    pub hidden: bool,
    /// Devices made from this one, as `dm-0` or `md0`.
    pub holders: Vec<String>,
    /// The partitions that the kernel knows, in their order on the disk.
    pub partitions: Vec<Partition>,
}

/// A partition of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The kernel's name, as in `vda1`.
    pub name: String,
    /// Its number in the table.
    pub number: u32,
    /// First byte on the disk.
    pub start: u64,
    /// Size in bytes.
    pub size: u64,
    /// Devices made from this one.
    pub holders: Vec<String>,
}

/// Why the list could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: cannot be read: {source}; is /sys mounted in this container?")]
pub struct InventoryError {
    path: PathBuf,
    source: io::Error,
}

impl Disk {
    /// The device node's path.
    pub fn node(&self) -> String {
        node(&self.name)
    }

    /// Whether the kernel makes such a disk up, or it is a kind that is never a data disk: the kind, if so.
    pub fn odd_kind(&self) -> Option<&'static str> {
        const KINDS: [(&str, &str); 10] = [
            ("loop", "a loop device"),
            ("ram", "a RAM disk"),
            ("zram", "a compressed RAM disk"),
            ("nbd", "a network block device"),
            ("sr", "a CD drive"),
            ("fd", "a floppy drive"),
            ("dm-", "made by the device mapper"),
            ("md", "a RAID array"),
            ("mtdblock", "raw flash"),
            ("ubiblock", "raw flash"),
        ];
        let numbered = |prefix: &str| {
            self.name
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '_'))
        };
        let boot_area =
            self.name.starts_with("mmcblk") && (self.name.contains("boot") || self.name.contains("rpmb"));
        KINDS
            .into_iter()
            .find_map(|(prefix, kind)| numbered(prefix).then_some(kind))
            .or(boot_area.then_some("a boot area of flash"))
    }
}

impl Partition {
    /// The device node's path.
    pub fn node(&self) -> String {
        node(&self.name)
    }
}

/// The device node of a kernel name; `!` in sysfs stands for `/`.
fn node(name: &str) -> String {
    format!("/dev/{}", name.replace('!', "/"))
}

/// Reads the disks below `sys_block` (see [`SYS_BLOCK`]), in an order that does not change between boots.
///
/// A device that goes away meanwhile is left out.
pub fn read(sys_block: &Path) -> Result<Vec<Disk>, InventoryError> {
    let error = |source| InventoryError { path: sys_block.to_owned(), source };
    let mut disks = Vec::new();
    for entry in std::fs::read_dir(sys_block).map_err(error)? {
        let entry = entry.map_err(error)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        match read_disk(&entry.path(), name) {
            Ok(Some(disk)) => disks.push(disk),
            Ok(None) => {}
            Err(e) if is_gone(&e) => {}
            Err(source) => return Err(InventoryError { path: entry.path(), source }),
        }
    }
    disks.sort_by(|a, b| natural(&a.name, &b.name));
    Ok(disks)
}

fn is_gone(error: &io::Error) -> bool {
    // ENODEV is what an attribute of a device answers that is being taken away.
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(nix::errno::Errno::ENODEV as i32)
}

fn read_disk(directory: &Path, name: String) -> io::Result<Option<Disk>> {
    if directory.join("partition").exists() || !directory.join("size").exists() {
        return Ok(None);
    }
    let mut partitions = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else { continue };
        let Some(number) = number(&path, "partition")? else { continue };
        partitions.push(Partition {
            name,
            number: u32::try_from(number).unwrap_or(u32::MAX),
            start: number_of(&path, "start", 0)?.saturating_mul(512),
            size: number_of(&path, "size", 0)?.saturating_mul(512),
            holders: holders(&path)?,
        });
    }
    partitions.sort_by_key(|p| (p.start, p.number));
    Ok(Some(Disk {
        size: number_of(directory, "size", 0)?.saturating_mul(512),
        sector: u32::try_from(number_of(directory, "queue/logical_block_size", 512)?).unwrap_or(512),
        removable: number_of(directory, "removable", 0)? != 0,
        read_only: number_of(directory, "ro", 0)? != 0,
        hidden: number_of(directory, "hidden", 0)? != 0,
        holders: holders(directory)?,
        partitions,
        name,
    }))
}

fn number(directory: &Path, attribute: &str) -> io::Result<Option<u64>> {
    match std::fs::read_to_string(directory.join(attribute)) {
        Ok(text) => match text.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(io::Error::new(io::ErrorKind::InvalidData, format!("{attribute} is not a number"))),
        },
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}

fn number_of(directory: &Path, attribute: &str, absent: u64) -> io::Result<u64> {
    Ok(number(directory, attribute)?.unwrap_or(absent))
}

fn holders(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(directory.join("holders")) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Orders names as people do: `sda` before `sdb` before `sdaa`, `nvme2n1` before `nvme10n1`.
pub fn natural(a: &str, b: &str) -> Ordering {
    fn key(name: &str) -> Vec<(usize, &str)> {
        let mut runs = Vec::new();
        let mut rest = name;
        while let Some(first) = rest.chars().next() {
            let digits = first.is_ascii_digit();
            let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
            let (run, tail) = rest.split_at(end);
            let run = if digits { run.trim_start_matches('0') } else { run };
            runs.push((run.len(), run));
            rest = tail;
        }
        runs
    }
    key(a).cmp(&key(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A fake `/sys/class/block`.
    pub(crate) fn write_device(root: &Path, path: &str, attributes: &[(&str, &str)]) {
        let directory = root.join(path);
        std::fs::create_dir_all(directory.join("holders")).unwrap();
        for (name, value) in attributes {
            let file = directory.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, format!("{value}\n")).unwrap();
        }
    }

    #[test]
    fn disks_and_their_partitions_are_read_with_sizes_in_bytes() {
        let root = tempfile::tempdir().unwrap();
        let part = [("partition", "1"), ("start", "2048"), ("size", "4096")];
        write_device(
            root.path(),
            "vdb",
            &[("size", "8192"), ("queue/logical_block_size", "4096"), ("ro", "1")],
        );
        write_device(root.path(), "vdb/vdb1", &part);
        // In sysfs a partition is listed beside its disk as well.
        write_device(root.path(), "vdb1", &part);
        write_device(root.path(), "vda", &[("size", "16"), ("removable", "1"), ("hidden", "1")]);
        write_device(root.path(), "vda/holders/dm-0", &[]);

        let disks = read(root.path()).unwrap();
        assert_eq!(disks.iter().map(Disk::node).collect::<Vec<_>>(), ["/dev/vda", "/dev/vdb"]);
        let (vda, vdb) = (&disks[0], &disks[1]);
        assert_eq!((vda.size, vda.sector, vda.removable, vda.hidden), (8192, 512, true, true));
        assert_eq!(vda.holders, ["dm-0"]);
        assert_eq!((vdb.size, vdb.sector, vdb.read_only), (4 << 20, 4096, true));
        assert_eq!(
            vdb.partitions,
            [Partition { name: "vdb1".into(), number: 1, start: 1 << 20, size: 2 << 20, holders: vec![] }]
        );
    }

    #[test]
    fn this_machines_own_list_can_be_read() {
        if Path::new(SYS_BLOCK).exists() {
            let disks = read(Path::new(SYS_BLOCK)).unwrap();
            assert!(disks.iter().all(|d| d.sector >= 512), "{disks:?}");
        }
    }

    #[test]
    fn a_missing_sysfs_is_said() {
        let message = read(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(message.contains("/nowhere") && message.contains("/sys"), "{message}");
    }

    #[test]
    fn the_order_of_names_is_that_of_people() {
        let mut names = ["vdaa", "nvme10n1", "sdb", "vdb", "nvme2n1", "sda", "vda", "sdaa"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["sda", "sdb", "vda", "vdb", "nvme2n1", "nvme10n1", "sdaa", "vdaa"]);
    }

    #[test]
    fn kinds_that_are_never_data_disks_are_known_by_their_names() {
        let disk = |name: &str| Disk {
            name: name.into(),
            size: 1,
            sector: 512,
            removable: false,
            read_only: false,
            hidden: false,
            holders: vec![],
            partitions: vec![],
        };
        for odd in [
            "loop0",
            "ram1",
            "zram0",
            "nbd3",
            "sr0",
            "fd0",
            "dm-1",
            "md127",
            "md_d0",
            "mtdblock0",
            "mmcblk0boot1",
        ] {
            assert!(disk(odd).odd_kind().is_some(), "{odd}");
        }
        for data in ["sda", "vdb", "xvdc", "nvme0n1", "mmcblk0", "sdfd", "mdisk"] {
            assert_eq!(disk(data).odd_kind(), None, "{data}");
        }
    }
}
