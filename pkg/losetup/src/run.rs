//! From the command line to a block device.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::process::ExitCode;

use lk_command::command::Command;
use lk_command::size::Bytes;

use crate::cli::{self, Options};
use crate::device::{self, AttachError, Attached};
use crate::file::{self, CreateError};

/// Why there is no block device.
#[derive(Debug, thiserror::Error)]
pub enum LoopError {
    /// The file cannot be opened.
    #[error("{file}: {source}{advice}")]
    Open {
        /// The file.
        file: String,
        /// The kernel's reason.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// It cannot be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// It cannot be put behind a device.
    #[error(transparent)]
    Attach(#[from] AttachError),
}

/// The command: its arguments without its name, its exit code.
///
/// | exit code | meaning |
/// | --- | --- |
/// | 0 | the file is behind the device |
/// | 1 | it is not |
/// | 2 | the command line is wrong |
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    Command { name: "loopy", usage: cli::USAGE, flags: cli::FLAGS }.main(arguments, cli::options, run)
}

fn run(options: &Options) -> Result<(), LoopError> {
    let path = Path::new(&options.file);
    let file = open_or_create(path, options)?;
    let node = &options.device;
    match device::attach_to(Path::new(node), &file, path)? {
        Attached::Now => println!("loopy: {node}: is {}", path.display()),
        Attached::Before => println!("loopy: {node}: is {} already", path.display()),
    }
    Ok(())
}

fn open_or_create(path: &Path, options: &Options) -> Result<File, LoopError> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound && options.create => {
            let file = file::create(path, options.size, &[])?;
            println!("loopy: {}: made, of {}", path.display(), Bytes(options.size));
            Ok(file)
        }
        Err(source) => {
            let missing = source.kind() == io::ErrorKind::NotFound;
            let advice = if missing { "; --create makes it" } else { "" };
            Err(LoopError::Open { file: options.file.clone(), source, advice })
        }
    }
}
