//! The boot chart: what the machine says about its boot on a port of its own, drawn each time it says it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use image_layout::timeline::{PORT, Timeline};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::QemuError;

/// No time-line is longer (bytes); what is, comes from a machine that means no good.
const LINE_LIMIT: u64 = 4 << 20;

/// The port, seen from the host. QEMU inherits its end, by number.
#[derive(Debug)]
pub struct Port {
    ours: UnixStream,
    theirs: UnixStream,
}

impl Port {
    /// Makes one. What is started next inherits QEMU's end of it.
    pub fn new() -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        fcntl(&theirs, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(Self { ours, theirs })
    }

    /// What QEMU is told of it.
    pub fn arguments(&self) -> [String; 6] {
        port_arguments(self.theirs.as_fd().as_raw_fd())
    }

    /// Draws each time-line that comes into the file `chart`, until QEMU ends; whether there was one. QEMU must run.
    pub fn draw_all(self, chart: &Path) -> Result<bool, QemuError> {
        // With it, the port would never end.
        drop(self.theirs);
        draw_all(BufReader::new(self.ours), chart)
    }
}

/// The port, which leads to the socket with this number.
fn port_arguments(socket: i32) -> [String; 6] {
    [
        "-device".to_owned(),
        "virtio-serial-pci".to_owned(),
        "-chardev".to_owned(),
        format!("socket,id=boot,fd={socket}"),
        "-device".to_owned(),
        format!("virtserialport,chardev=boot,name={PORT}"),
    ]
}

/// Draws each time-line that comes, until there is no more; whether there was one.
fn draw_all(mut port: impl BufRead, chart: &Path) -> Result<bool, QemuError> {
    let mut drawn = false;
    loop {
        let mut line = Vec::new();
        match port.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line) {
            Ok(0) => return Ok(drawn),
            Ok(_) => {}
            // QEMU was killed.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(drawn),
            Err(source) => return Err(QemuError::Chart { path: chart.to_owned(), source }),
        }
        // What is no time-line is the beginning of one that was given up, or nothing that we asked for.
        if let Ok(timeline) = Timeline::parse(&line) {
            replace(chart, timeline.svg().as_bytes())
                .map_err(|source| QemuError::Chart { path: chart.to_owned(), source })?;
            drawn = true;
        }
    }
}

/// Writes a file whole or not at all.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary: PathBuf = path.with_file_name(name);
    File::create(&temporary)?.write_all(content)?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use image_layout::timeline::{Kind, Step};

    use super::*;

    fn json(end: u64) -> String {
        let step = Step::done(Kind::Kernel, "kernel", Duration::ZERO, Duration::from_secs(end));
        serde_json::to_string(&Timeline { steps: vec![step], ..Timeline::default() }).unwrap()
    }

    #[test]
    fn the_last_whole_time_line_is_the_chart() {
        let dir = tempfile::tempdir().unwrap();
        let chart = dir.path().join("boot.svg");
        let said = format!("\n{}\n\n{{\"version\":1,\"st\n{}\n\n{{\"vers", json(1), json(2));
        assert!(draw_all(said.as_bytes(), &chart).unwrap());
        assert!(fs::read_to_string(&chart).unwrap().contains(">Boot: 2.000 s<"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_machine_that_says_nothing_has_no_chart() {
        let dir = tempfile::tempdir().unwrap();
        let chart = dir.path().join("boot.svg");
        assert!(!draw_all(&b"login: \n"[..], &chart).unwrap());
        assert!(!chart.exists());
    }

    #[test]
    fn a_chart_that_cannot_be_written_is_named() {
        let error =
            draw_all(format!("{}\n", json(1)).as_bytes(), Path::new("/nowhere/boot.svg")).unwrap_err();
        assert_eq!(error.to_string(), "cannot write the boot chart /nowhere/boot.svg");
    }
}
