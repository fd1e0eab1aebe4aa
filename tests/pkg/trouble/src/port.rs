//! Virtio ports: lines to and from the test outside.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

const CLASS: &str = "/sys/class/virtio-ports";

/// Opens the port that qemu gave this name.
///
/// # Errors
/// When there is none, or it is open already.
pub fn open(name: &str) -> Result<File, String> {
    let path = find(name).ok_or_else(|| format!("there is no virtio port {name} in {CLASS}"))?;
    OpenOptions::new().read(true).write(true).open(&path).map_err(|e| format!("{}: {e}", path.display()))
}

fn find(name: &str) -> Option<PathBuf> {
    let ports = std::fs::read_dir(CLASS).ok()?;
    ports.flatten().find_map(|port| {
        let is_it = std::fs::read_to_string(port.path().join("name")).is_ok_and(|found| found.trim() == name);
        is_it.then(|| Path::new("/dev").join(port.file_name()))
    })
}
