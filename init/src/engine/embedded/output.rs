//! What a container writes to.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Opens `path` for a container's output: a FIFO if it is one, else a file that grows.
///
/// A FIFO is opened for reading as well, so that neither opening waits for a reader, nor writing fails when the reader
/// dies.
pub fn open(path: &Path) -> std::io::Result<File> {
    let is_fifo = std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo());
    let opened = if is_fifo {
        OpenOptions::new().read(true).write(true).open(path)
    } else {
        path.parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| OpenOptions::new().append(true).create(true).mode(0o640).open(path))
    };
    opened.map_err(|error| {
        std::io::Error::new(error.kind(), format!("cannot open {} for its output: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_fifo_without_a_reader_is_opened_and_written_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.out");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut fifo = open(&path).unwrap();
        fifo.write_all(b"x").unwrap();
        let mut byte = [0];
        fifo.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
    }

    #[test]
    fn a_file_is_made_and_added_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log/a.log");
        for _ in 0..2 {
            open(&path).unwrap().write_all(b"line\n").unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "line\nline\n");
    }
}
