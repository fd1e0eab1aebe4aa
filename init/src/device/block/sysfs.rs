//! The block devices as sysfs shows them, and what can be read from their nodes.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

use super::{BlockDevice, hardware};
use crate::device::identify::{HEAD, identify};
use crate::device::partitions::{Table, table};

/// Unit of sysfs' sizes, whatever a device's own sectors are.
const UNIT: u64 = 512;
/// Longest attribute, in bytes: page 0x83 of a SCSI disk, which may fill a page.
const ATTRIBUTE: u64 = 4096;
/// Most devices that are looked at; a machine with more has its first ones.
const DEVICES: usize = 16 * 1024;

/// Where the devices are.
#[derive(Debug, Clone)]
pub struct Sysfs {
    sys: PathBuf,
    dev: PathBuf,
}

impl Default for Sysfs {
    fn default() -> Self {
        Self::at(Path::new("/sys"), Path::new("/dev"))
    }
}

impl Sysfs {
    /// Another `/sys` and `/dev`.
    #[must_use]
    pub fn at(sys: &Path, dev: &Path) -> Self {
        Self { sys: sys.to_owned(), dev: dev.to_owned() }
    }

    /// All block devices that hold something, each disk before its partitions, `sdb` before `sdaa`.
    ///
    /// Drives without a medium and RAM disks are left out. A device that cannot be read is there, and says so.
    #[must_use]
    pub fn devices(&self) -> Vec<BlockDevice> {
        let mut devices: Vec<BlockDevice> =
            self.names().iter().filter_map(|name| self.device(name)).collect();
        devices.sort_by(|a, b| order(a).cmp(&order(b)));
        let mut tables: HashMap<String, Option<Table>> = HashMap::new();
        for device in &mut devices {
            self.look(device, &mut tables);
        }
        devices
    }

    /// The kernel's names.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.sys.join("class/block")).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| !is_memory(name)).take(DEVICES).collect()
    }

    /// What sysfs says of a device; `None` for one without content, or that is gone.
    fn device(&self, name: &str) -> Option<BlockDevice> {
        // With the links resolved: a partition is a directory in its disk's.
        let path = fs::canonicalize(self.sys.join("class/block").join(name)).ok()?;
        let sectors: u64 = text(&path.join("size"))?.parse().ok().filter(|size| *size > 0)?;
        let number = text(&path.join("dev"))?;
        let (major, minor) = number.split_once(':')?;
        let partition = text(&path.join("partition")).and_then(|number| number.parse().ok());
        let disk = if partition.is_some() { path.parent()? } else { &path };
        let disk_name = disk.file_name()?.to_str()?;
        Some(BlockDevice {
            name: node(name),
            number: (major.parse().ok()?, minor.parse().ok()?),
            part_of: partition.map(|number| (node(disk_name), number)),
            bytes: sectors.saturating_mul(UNIT),
            hardware: self.hardware(disk, disk_name, partition),
            ..BlockDevice::default()
        })
    }

    fn hardware(&self, disk: &Path, name: &str, partition: Option<u32>) -> Vec<String> {
        let below =
            fs::canonicalize(&self.sys).ok().and_then(|sys| disk.strip_prefix(sys).ok().map(Path::to_owned));
        let Some(below) = below.as_deref().and_then(Path::to_str) else { return Vec::new() };
        let attribute = |file: &str| read(&disk.join(file));
        let mut names = hardware::by_id(name, &attribute);
        names.extend(hardware::by_path(below, &|file: &str| read(&self.sys.join(file))));
        if let Some(number) = partition {
            names.iter_mut().for_each(|name| name.push_str(&format!("-part{number}")));
        }
        names
    }

    /// Reads what the device holds.
    fn look(&self, device: &mut BlockDevice, tables: &mut HashMap<String, Option<Table>>) {
        let file = match self.open(&device.name) {
            Ok(file) => file,
            Err(error) => {
                device.problem = Some(format!("cannot be opened: {error}"));
                return;
            }
        };
        let mut head = Vec::new();
        if let Err(error) = (&file).take(HEAD as u64).read_to_end(&mut head) {
            device.problem = Some(format!("cannot be read: {error}"));
            return;
        }
        device.content = identify(&head, &mut |offset, length| read_at(&file, offset, length));
        match &device.part_of {
            Some((disk, number)) => {
                let table = tables.get(disk).and_then(Option::as_ref);
                device.partition = table.map(|table| table.partition(*number)).unwrap_or_default();
            }
            None => {
                let sector = self.sector(&device.name);
                let sectors = device.bytes.checked_div(sector).unwrap_or_default();
                let found = table(sector, sectors, &mut |offset, length| read_at(&file, offset, length));
                device.table = found.as_ref().map(Table::kind);
                tables.insert(device.name.clone(), found);
            }
        }
    }

    /// Without waiting for a CD drive to close, or to spin up.
    fn open(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(self.dev.join(name))
    }

    /// Bytes of a logical sector.
    fn sector(&self, name: &str) -> u64 {
        let file = self.sys.join("class/block").join(name.replace('/', "!")).join("queue/logical_block_size");
        let size = text(&file).and_then(|size| size.parse().ok());
        size.filter(|size| (512..=65536).contains(size)).unwrap_or(UNIT)
    }
}

/// The kernel writes `!` where a node has a directory.
fn node(name: &str) -> String {
    name.replace('!', "/")
}

/// RAM disks, and floppies, which answer after seconds that there is none.
fn is_memory(name: &str) -> bool {
    ["ram", "zram", "fd"].iter().any(|kind| {
        name.strip_prefix(kind).is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// Disks by length and name, partitions by number after their disk.
fn order(device: &BlockDevice) -> (usize, &str, u32) {
    match &device.part_of {
        Some((disk, number)) => (disk.len(), disk, *number),
        None => (device.name.len(), &device.name, 0),
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(ATTRIBUTE).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn text(path: &Path) -> Option<String> {
    String::from_utf8(read(path)?).ok().map(|text| text.trim().to_owned())
}

/// What can be read, where a device ends early or answers with an error: all that is asked for, or its start.
fn read_at(file: &File, offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    bytes.truncate(done);
    bytes
}
