//! Where a process's input comes from and its output goes, by the words of containerd's clients.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// What a path of containerd's means.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// `""`: nowhere.
    Null,
    /// `file:///path`: a file, appended to.
    File(PathBuf),
    /// `/path`, `fifo:///path`: a pipe with a name.
    Fifo(PathBuf),
}

/// A stream could not be opened: in words.
pub type Reason = String;

/// Standard streams without a terminal: the container gets the files themselves, and nothing is copied.
#[derive(Debug)]
pub struct Streams {
    /// Standard input.
    pub stdin: Stdio,
    /// Standard output.
    pub stdout: Stdio,
    /// Standard error.
    pub stderr: Stdio,
    /// Our end of the input, if it is a pipe: as long as it is held the input does not end.
    pub input: Option<OwnedFd>,
}

/// Opens all three.
///
/// # Errors
/// In words: which path, and why.
pub fn open(stdin: &str, stdout: &str, stderr: &str) -> Result<Streams, Reason> {
    let (stdin, input) = match place(stdin)? {
        Place::Null => (Stdio::null(), None),
        Place::File(path) => return Err(format!("input cannot come from file://{}", path.display())),
        Place::Fifo(path) => {
            let reader = fifo(&path, OpenOptions::new().read(true))?;
            let writer = fifo(&path, OpenOptions::new().write(true))?;
            // It was opened so as not to wait for a writer; the container's reads are to wait.
            set_blocking(&reader).map_err(|error| cannot("open", &path, &error))?;
            (Stdio::from(reader), Some(OwnedFd::from(writer)))
        }
    };
    let out = output(stdout)?;
    // One file for both, so that their lines stay in order.
    let err = if stdout == stderr {
        out.as_ref().map(File::try_clone).transpose().map_err(|error| error.to_string())?
    } else {
        output(stderr)?
    };
    let stdio = |file: Option<File>| file.map_or_else(Stdio::null, Stdio::from);
    Ok(Streams { stdin, stdout: stdio(out), stderr: stdio(err), input })
}

/// Opens an output for the container.
fn output(words: &str) -> Result<Option<File>, Reason> {
    Ok(match place(words)? {
        Place::Null => None,
        Place::File(path) => Some(append(&path)?),
        Place::Fifo(path) => {
            // For reading too: so the container lives on when its reader dies, and a new reader finds what it wrote.
            let file = fifo(&path, OpenOptions::new().read(true).write(true))?;
            set_blocking(&file).map_err(|error| cannot("open", &path, &error))?;
            Some(file)
        }
    })
}

/// Opens input and output of a terminal, for us to copy; nothing waits.
///
/// # Errors
/// In words: which path, and why.
pub fn open_for_copying(stdin: &str, stdout: &str) -> Result<(Option<File>, Option<File>), Reason> {
    let input = match place(stdin)? {
        Place::Null => None,
        Place::File(path) => return Err(format!("input cannot come from file://{}", path.display())),
        // For writing too: so it does not end with its first writer.
        Place::Fifo(path) => Some(fifo(&path, OpenOptions::new().read(true).write(true))?),
    };
    let output = match place(stdout)? {
        Place::Null => None,
        Place::File(path) => Some(append(&path)?),
        Place::Fifo(path) => Some(fifo(&path, OpenOptions::new().read(true).write(true))?),
    };
    Ok((input, output))
}

fn append(path: &Path) -> Result<File, Reason> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|error| cannot("make", dir, &error))?;
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o644).custom_flags(OFlag::O_NOCTTY.bits());
    options.open(path).map_err(|error| cannot("open", path, &error))
}

fn fifo(path: &Path, options: &mut OpenOptions) -> Result<File, Reason> {
    let file = options
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(path)
        .map_err(|error| cannot("open", path, &error))?;
    match file.metadata() {
        Ok(meta) if meta.file_type().is_fifo() => Ok(file),
        Ok(_) => Err(format!("{} is not a FIFO; a file is written file://{0}", path.display())),
        Err(error) => Err(cannot("look at", path, &error)),
    }
}

fn set_blocking(file: &impl AsFd) -> std::io::Result<()> {
    let flags = OFlag::from_bits_truncate(fcntl(file, FcntlArg::F_GETFL)?);
    fcntl(file, FcntlArg::F_SETFL(flags.difference(OFlag::O_NONBLOCK)))?;
    Ok(())
}

fn place(words: &str) -> Result<Place, Reason> {
    let (scheme, path) = match words.split_once("://") {
        Some((scheme, path)) => (scheme, path),
        None => ("fifo", words),
    };
    match scheme {
        "fifo" if words.is_empty() => Ok(Place::Null),
        "fifo" | "file" if !path.starts_with('/') => Err(format!("{words} is not an absolute path")),
        "fifo" => Ok(Place::Fifo(path.into())),
        "file" => Ok(Place::File(path.into())),
        other => Err(format!("unsupported log uri {other}://: it can be a FIFO's path or file://")),
    }
}

fn cannot(action: &str, path: &Path, error: &std::io::Error) -> Reason {
    format!("cannot {action} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn words_mean_places() {
        assert_eq!(place(""), Ok(Place::Null));
        assert_eq!(place("/run/x"), Ok(Place::Fifo("/run/x".into())));
        assert_eq!(place("fifo:///run/x"), Ok(Place::Fifo("/run/x".into())));
        assert_eq!(place("file:///var/log/x"), Ok(Place::File("/var/log/x".into())));
        for words in ["binary:///bin/x?a=b", "x", "file://x", "unix:///s"] {
            assert!(place(words).is_err(), "{words}");
        }
    }

    #[test]
    fn a_file_is_appended_to_and_its_directory_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.log");
        let words = format!("file://{}", path.display());
        for _ in 0..2 {
            output(&words).unwrap().unwrap().write_all(b"x\n").unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "x\nx\n");
    }

    #[test]
    fn a_plain_path_that_is_no_fifo_is_refused_and_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plain");
        let words = path.to_str().unwrap();
        assert!(output(words).unwrap_err().starts_with("cannot open"));
        assert!(!path.exists());
        std::fs::write(&path, "").unwrap();
        assert!(output(words).unwrap_err().contains("not a FIFO"));
    }

    #[test]
    fn a_fifo_needs_no_reader_and_its_input_ends_when_we_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let words = path.to_str().unwrap();
        let mut out = output(words).unwrap().unwrap();
        out.write_all(b"kept").unwrap();
        drop(open("", words, words).unwrap());
        let mut reader = fifo(&path, OpenOptions::new().read(true)).unwrap();
        let mut buffer = [0; 4];
        reader.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"kept");
        drop((out, reader));

        let streams = open(words, "", "").unwrap();
        let mut client = fifo(&path, OpenOptions::new().write(true)).unwrap();
        client.write_all(b"in").unwrap();
        drop((client, streams.input));
        let mut reader = fifo(&path, OpenOptions::new().read(true)).unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "in");
    }
}
