//! The virtio serial port on which whoever runs the machine can read its boot time-line. Most machines have none.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc::O_NONBLOCK;

use super::console;
use crate::timeline::{PORT, Timeline};

/// The ports that there are (kernel drivers/char/virtio_console.c), each a directory with a file `name`.
const PORTS: &str = "/sys/class/virtio-ports";
/// How long the other side may take to read; it usually is a file.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pause between attempts while the port is full.
const PAUSE: Duration = Duration::from_millis(5);

/// Prints the time-line on the port, as one line of JSON; does nothing without a port.
pub async fn send(timeline: &Timeline) {
    let Some(device) = find(Path::new(PORTS), PORT) else { return };
    let sent = tokio::time::timeout(PATIENCE, print(&device, timeline)).await;
    if let Ok(Err(error)) = sent {
        console::say(&format!("boot time-line: cannot print on {}: {error}", device.display()));
    }
}

async fn print(device: &Path, timeline: &Timeline) -> io::Result<()> {
    let mut port = OpenOptions::new().write(true).custom_flags(O_NONBLOCK).open(device)?;
    // A line feed first: what was begun before, and not finished, is a line of its own.
    let mut line = vec![b'\n'];
    serde_json::to_writer(&mut line, timeline)?;
    line.push(b'\n');
    let mut rest = line.as_slice();
    while !rest.is_empty() {
        match some(&mut port, rest)? {
            0 => tokio::time::sleep(PAUSE).await,
            count => rest = rest.get(count..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// How much the port takes now.
fn some(port: &mut File, bytes: &[u8]) -> io::Result<usize> {
    match port.write(bytes) {
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
        result => result,
    }
}

/// The device of the port with a name; a machine without such ports does not have the directory.
fn find(ports: &Path, name: &str) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(ports).ok()?.flatten();
    let port = entries.find(|entry| {
        std::fs::read_to_string(entry.path().join("name")).is_ok_and(|found| found.trim_end() == name)
    })?;
    Some(Path::new("/dev").join(port.file_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        for (port, name) in [("vport0p1", "org.qemu.guest_agent.0\n"), ("vport0p2", "lkb.boot\n")] {
            std::fs::create_dir(dir.path().join(port)).unwrap();
            std::fs::write(dir.path().join(port).join("name"), name).unwrap();
        }
        assert_eq!(find(dir.path(), PORT), Some("/dev/vport0p2".into()));
        assert_eq!(find(dir.path(), "other"), None);
        assert_eq!(find(&dir.path().join("none"), PORT), None);
    }

    #[test]
    fn each_time_line_is_a_line_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let port = dir.path().join("port");
        std::fs::write(&port, "").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(print(&port, &Timeline::default())).unwrap();
        assert_eq!(std::fs::read_to_string(&port).unwrap(), "\n{\"version\":1,\"steps\":[]}\n");
    }
}
