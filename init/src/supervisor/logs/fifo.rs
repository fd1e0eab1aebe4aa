//! The pipes between services and the supervisor: named, so that they outlive both.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// Makes the FIFO, unless it is there, and opens it for reading without waiting.
///
/// It is opened for writing as well, as services open it: so neither side ever sees the end of the other, what is in
/// the pipe waits for the next supervisor, and a service whose supervisor died is not killed by SIGPIPE.
pub fn open(path: &Path) -> io::Result<OwnedFd> {
    match mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    let file = OpenOptions::new().read(true).write(true).custom_flags(O_NONBLOCK | O_NOFOLLOW).open(path)?;
    is_fifo(&file)?;
    Ok(file.into())
}

/// Makes the directory of the FIFOs, for root alone.
pub fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn is_fifo(file: &File) -> io::Result<()> {
    if file.metadata()?.file_type().is_fifo() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else than a FIFO is there"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_was_written_while_nobody_read_is_there_for_the_next_reader() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.err");
        let former = open(&path).unwrap();
        let mut service = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        service.write_all(b"before\n").unwrap();
        drop(former);
        service.write_all(b"between\n").unwrap();
        let mut reader = File::from(open(&path).unwrap());
        let mut buffer = [0; 64];
        let count = reader.read(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"before\nbetween\n");
        assert_eq!(reader.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_or_a_link_in_its_place_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        assert!(open(&file).is_err() && open(&link).is_err());
    }
}
