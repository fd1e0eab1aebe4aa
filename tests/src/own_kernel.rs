//! Our own kernel (`kernel-configs/`) in the place of another, and disks with a root that it mounts by itself.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use lkb::config::PackageResolver;
use lkb::pkg::Resolver;

use crate::image::out_dir;
use crate::root;

/// The package with our own kernel, in the source tree.
pub const PACKAGE: &str = "kernel-configs";
/// Names the package, in the source tree, whose kernel every machine of the suite is to have.
const CHOICE: &str = "LKB_KERNEL";
/// The UUID of the partition that [`partitioned`] makes.
pub const PARTITION: &str = "4c6b6200-0000-4000-8000-726f6f740003";

/// The configuration that gives every machine the kernel that `LKB_KERNEL` names; it is merged with theirs, as the last one.
///
/// # Panics
/// When that is no package.
pub fn chosen() -> Option<&'static Path> {
    static CHOSEN: OnceLock<Option<PathBuf>> = OnceLock::new();
    let choose = || {
        let package = std::env::var(CHOICE).ok().filter(|package| !package.is_empty())?;
        Some(configuration("chosen-kernel.yml", &reference(&package)))
    };
    CHOSEN.get_or_init(choose).as_deref()
}

/// The configuration that gives a machine our own kernel, which `make kernel` builds.
#[must_use]
pub fn built() -> PathBuf {
    configuration("own-kernel.yml", &reference(PACKAGE))
}

fn reference(package: &str) -> String {
    Resolver::default().tag(&root().join(package)).expect("a package with a kernel")
}

fn configuration(name: &str, image: &str) -> PathBuf {
    let path = out_dir().join(name);
    fs::write(&path, format!("kernel:\n  image: {image}\n")).expect("writing the choice of a kernel");
    path
}

/// Puts a file system into the only partition of a new disk.
///
/// # Panics
/// When the disk cannot be written.
pub fn partitioned(file_system: &Path, disk: &Path) {
    const SECTOR: u64 = 512;
    const START: u64 = 1 << 20;
    let mut source = File::open(file_system).expect("opening the file system");
    let len = source.metadata().expect("its size").len().next_multiple_of(START);
    let mut target = File::create_new(disk).expect("making the disk");
    // The table has a copy at the end.
    target.set_len(START + len + START).expect("giving the disk its size");
    let mut sfdisk = Command::new("/usr/sbin/sfdisk");
    let mut child = sfdisk.arg("--quiet").arg(disk).stdin(Stdio::piped()).spawn().expect("running sfdisk");
    let script = format!("label: gpt\nstart={}, size={}, uuid={PARTITION}\n", START / SECTOR, len / SECTOR);
    child.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("telling sfdisk");
    assert!(child.wait().expect("waiting for sfdisk").success(), "sfdisk {}", disk.display());
    target.seek(SeekFrom::Start(START)).expect("seeking");
    std::io::copy(&mut source, &mut target).expect("writing the partition");
}
