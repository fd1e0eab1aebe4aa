//! From the command line to an opened device with a file system in it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::ExitCode;

use lk_command::command::Command;
use lk_command::program::{ProgramError, Programs, account};
use lk_format::mkfs::FsType;
use lk_format::probe::{self, ProbeError};
use lk_format::table::EDGE;
use lk_format::uevent::{Uevents, wait_for};
use nix::errno::Errno;
use nix::sys::stat::{major, minor};

use crate::choice::{self, Content, Device, Held};
use crate::cli::{self, Options};
use crate::luks::{self, LuksError};
use crate::plain::{self, KEY};

/// How long the device may take to appear, in seconds.
const WAIT: u64 = 10;

/// Why it is not open.
#[derive(Debug, thiserror::Error)]
pub enum CryptError {
    /// The key cannot be read.
    #[error("{path}: cannot read the key: {source}")]
    Key {
        /// Its file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The device did not appear.
    #[error("{device}: no such block device appeared within {seconds} s")]
    Absent {
        /// As it was named.
        device: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The device is left alone.
    #[error("{device}: {why}")]
    Refused {
        /// Which.
        device: String,
        /// Why.
        why: String,
    },
    /// A step failed.
    #[error("{device}: cannot {step}: {source}")]
    Io {
        /// The device.
        device: String,
        /// What was being done.
        step: &'static str,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The kernel makes no mapping.
    #[error("/dev/mapper/{name}: cannot make it: {errno}{}", advice(*.errno))]
    Map {
        /// Its name.
        name: String,
        /// The kernel's reason.
        errno: Errno,
    },
    /// `cryptsetup` failed.
    #[error(transparent)]
    Luks(#[from] LuksError),
    /// A device cannot be looked at.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// There is no file system.
    #[error("{device}: mkfs.ext4 failed: {account}")]
    Mkfs {
        /// The opened device.
        device: String,
        /// What it said.
        account: String,
    },
    /// A program is missing.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Device events cannot be heard.
    #[error("cannot listen to the kernel's device events: {0}")]
    Events(#[from] io::Error),
}

fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOENT | Errno::ENXIO => {
            "; is /dev of the machine bound here, and has the kernel the module dm-mod?"
        }
        Errno::EINVAL => "; has the kernel the modules dm-crypt, aes, cbc, essiv and sha256?",
        Errno::EBUSY => "; the device is in use",
        _ => "",
    }
}

/// The command: its arguments without its name, its exit code.
///
/// | exit code | meaning |
/// | --- | --- |
/// | 0 | the device is open, and has a file system |
/// | 1 | it is not open |
/// | 2 | the command line is wrong |
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    Command { name: "crypto", usage: cli::USAGE, flags: cli::FLAGS }.main(arguments, cli::options, run)
}

fn run(options: &Options) -> Result<(), CryptError> {
    let programs = Programs::from_environment();
    let Options { name, key, luks, .. } = options;
    let opened = format!("/dev/mapper/{name}");
    let map_error = |errno| CryptError::Map { name: name.clone(), errno };
    if device_mapper::find(name).map_err(map_error)?.is_some() {
        println!("crypto: {opened}: is open already");
        return Ok(());
    }
    let key_error = |source| CryptError::Key { path: key.clone(), source };
    let secret = read_key(key).map_err(key_error)?;
    let device = wait_for_device(options)?;
    let decision = choice::device(&look(&device, &programs)?, *luks, options.force);
    let made = match decision {
        Device::Refuse(why) => return Err(CryptError::Refused { device, why }),
        Device::Make => true,
        Device::Open => false,
    };
    if *luks {
        if made {
            println!("crypto: {device}: making a LUKS header");
            luks::make(&device, key, &programs)?;
        }
        luks::open(name, &device, key, &programs)?;
    } else {
        let secret = secret.ok_or_else(|| key_error(io::Error::other("it has fewer than 32 bytes")))?;
        let (number, size) = number_and_size(&device).map_err(io_error(&device, "look at it"))?;
        let minor = plain::open(name, number, size, &secret).map_err(map_error)?;
        device_mapper::link(name, minor).map_err(io_error(&opened, "make it"))?;
    }
    println!("crypto: {device}: open as {opened}");
    fill(&opened, made, &programs).inspect_err(|_| close(name))
}

/// The first bytes of the key; `None` when it is shorter, which is enough for LUKS.
fn read_key(path: &str) -> io::Result<Option<[u8; KEY]>> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut key = [0; KEY];
    match file.read_exact(&mut key) {
        Ok(()) => Ok(Some(key)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// The node of the device that was named by it or by a link.
fn wait_for_device(options: &Options) -> Result<String, CryptError> {
    let path = Path::new("/dev").join(&options.device);
    let mut events = Uevents::open()?;
    let found = wait_for(&mut events, options.wait.deadline(WAIT), || -> io::Result<_> {
        let node = path.canonicalize().ok();
        Ok(node.filter(|node| node.metadata().is_ok_and(|meta| meta.file_type().is_block_device())))
    })?;
    let absent =
        || CryptError::Absent { device: options.device.clone(), seconds: options.wait.seconds(WAIT) };
    found.map(|node| node.to_string_lossy().into_owned()).ok_or_else(absent)
}

fn look(node: &str, programs: &Programs) -> Result<Held, CryptError> {
    let (_, size) = number_and_size(node).map_err(io_error(node, "look at it"))?;
    let (first, last) = probe::edges(node, size)?;
    let zero = first.iter().chain(&last).all(|b| *b == 0);
    Ok(Held { found: probe::identify(node, programs)?, zero })
}

fn number_and_size(node: &str) -> io::Result<((u64, u64), u64)> {
    let mut file = File::open(node)?;
    let number = file.metadata()?.rdev();
    Ok(((major(number), minor(number)), file.seek(SeekFrom::End(0))?))
}

/// Sees to it that there is a file system in the opened device.
fn fill(opened: &str, made: bool, programs: &Programs) -> Result<(), CryptError> {
    match choice::content(&look(opened, programs)?, made) {
        Content::Keep(what) => println!("crypto: {opened}: holds {what}"),
        Content::Refuse(why) => return Err(CryptError::Refused { device: opened.to_owned(), why }),
        Content::Make => {
            println!("crypto: {opened}: making ext4");
            // What is cut off from here on leaves zeros at the ends, and the next boot begins again.
            zero_ends(opened).map_err(io_error(opened, "zero its ends"))?;
            let output = programs.run(FsType::Ext4.program(), FsType::Ext4.arguments(None, opened))?;
            if !output.status.success() {
                return Err(CryptError::Mkfs { device: opened.to_owned(), account: account(&output) });
            }
        }
    }
    Ok(())
}

fn zero_ends(node: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(node)?;
    let size = file.seek(SeekFrom::End(0))?;
    let zeros = vec![0; usize::try_from(size.min(EDGE)).unwrap_or(0)];
    file.write_all_at(&zeros, 0)?;
    file.write_all_at(&zeros, size.saturating_sub(zeros.len() as u64))?;
    file.sync_all()
}

/// After a failure: a device that is open looks as if all were well.
fn close(name: &str) {
    if let Err(errno) = device_mapper::remove(name) {
        eprintln!("crypto: /dev/mapper/{name}: cannot be closed: {errno}");
    }
    // Its name leads nowhere then; if it is not there, that is as good.
    let _missing = std::fs::remove_file(Path::new("/dev/mapper").join(name));
}

fn io_error(device: &str, step: &'static str) -> impl FnOnce(io::Error) -> CryptError {
    let device = device.to_owned();
    move |source| CryptError::Io { device, step, source }
}
