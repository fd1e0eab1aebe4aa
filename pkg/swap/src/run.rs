//! From the command line to a machine that swaps.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lk_command::command::Command;
use lk_command::size::Bytes;
use lk_losetup::file::{self, CreateError};
use lk_mount::mountinfo;
use nix::errno::Errno;
use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};

use crate::area::{self, Kind, PAGE};
use crate::cli::{self, Options};
use crate::encrypted::{self, EncryptError};
use crate::kernel::swap_on;

/// `RAMFS_MAGIC` (linux/magic.h).
const RAMFS: FsType = FsType(0x8584_58f6);

/// Why there is no swap although there should be.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// A required condition does not hold.
    #[error("no swap: it is required that {0}, and that is not so")]
    Condition(String),
    /// A file or directory cannot be used.
    #[error("{path}: cannot {step}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What was being done.
        step: &'static str,
        /// The kernel's reason.
        source: io::Error,
    },
    /// There is something else.
    #[error("{0}: is there, and is no swap file; it is left alone: remove it, or choose another --path")]
    Foreign(PathBuf),
    /// The file would be in memory.
    #[error("{0}: is in memory, not on a disk: mount one there first (see the packages format and mount)")]
    InMemory(PathBuf),
    /// The file cannot be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// There is no encrypted device.
    #[error(transparent)]
    Encrypt(#[from] EncryptError),
    /// The kernel refused.
    #[error("{path}: cannot swap to it: {errno}{}", advice(*.errno))]
    SwapOn {
        /// The file or device.
        path: PathBuf,
        /// The kernel's reason.
        errno: Errno,
    },
}

fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::EINVAL => "; the file system cannot hold swap files (btrfs: --encrypt works)",
        Errno::EPERM => "; it takes CAP_SYS_ADMIN",
        _ => "",
    }
}

/// The command: its arguments without its name, its exit code.
///
/// | exit code | meaning |
/// | --- | --- |
/// | 0 | the machine swaps to the file, or a condition that is not required does not hold |
/// | 1 | it does not |
/// | 2 | the command line is wrong |
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    Command { name: "swap", usage: cli::USAGE, flags: cli::FLAGS }.main(arguments, cli::options, run)
}

fn run(options: &Options) -> Result<(), SwapError> {
    for condition in &options.conditions {
        let mounts = read_text("/proc/self/mountinfo")?;
        let mounted = |path: &str| mountinfo::at(&mountinfo::parse(&mounts), path).is_some();
        if condition.holds(mounted, file_system_size)? {
            continue;
        }
        if condition.required {
            return Err(SwapError::Condition(condition.to_string()));
        }
        println!("swap: none: only if {condition}, and that is not so");
        return Ok(());
    }
    let path = Path::new(&options.path);
    let say = |line: &str| {
        if options.debug {
            println!("swap: {line}");
        }
    };
    let file = prepare(path, options, &say)?;
    let device = if options.encrypt {
        swap_to_encrypted(&file, path, options)?
    } else {
        swap_to_plain(&file, path, options)?
    };
    let how = if options.encrypt { ", encrypted," } else { "" };
    println!(
        "swap: {}: {}{how} is swapped to as {}",
        path.display(),
        Bytes(options.pages * PAGE),
        device.display()
    );
    Ok(())
}

/// The swap file, which has its size and is ours to write to.
fn prepare(path: &Path, options: &Options, say: &dyn Fn(&str)) -> Result<File, SwapError> {
    let directory = path.parent().unwrap_or(path);
    std::fs::create_dir_all(directory).map_err(io_error(directory, "make the directory"))?;
    let fs = statfs(directory)
        .map_err(|e| io_error(directory, "look at its file system")(e.into()))?
        .filesystem_type();
    if [TMPFS_MAGIC, RAMFS].contains(&fs) {
        return Err(SwapError::InMemory(directory.to_owned()));
    }
    let size = options.pages * PAGE;
    match existing(path)? {
        Some((_, Kind::Other)) => Err(SwapError::Foreign(path.to_owned())),
        Some((file, kind)) if is_whole(&file, size) => {
            say(&format!("{}: is there ({kind:?}) and is used again", path.display()));
            Ok(file)
        }
        _ => {
            say(&format!("{}: making it, of {}", path.display(), Bytes(size)));
            // So that the next boot knows it for ours, whatever becomes of this one.
            Ok(file::create(path, size, &area::encrypted_header())?)
        }
    }
}

/// The file that is there, with what its first page says; an empty one is as good as none.
fn existing(path: &Path) -> Result<Option<(File, Kind)>, SwapError> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path, "open it")(error)),
    };
    let mut page = Vec::new();
    (&file).take(PAGE).read_to_end(&mut page).map_err(io_error(path, "read it"))?;
    Ok((!page.is_empty()).then(|| (file, area::kind(&page))))
}

/// Whether it has the size, and space for all of it.
fn is_whole(file: &File, size: u64) -> bool {
    file.metadata().is_ok_and(|meta| {
        meta.is_file()
            && meta.len() == size
            && meta.blocks() * 512 >= size
            && meta.permissions().mode() & 0o077 == 0
    })
}

fn swap_to_plain(file: &File, path: &Path, options: &Options) -> Result<PathBuf, SwapError> {
    write_area(file, path, options.pages)?;
    match swap_on(path) {
        Ok(()) => Ok(path.to_owned()),
        Err(errno) => Err(SwapError::SwapOn { path: path.to_owned(), errno }),
    }
}

fn swap_to_encrypted(file: &File, path: &Path, options: &Options) -> Result<PathBuf, SwapError> {
    file.write_all_at(&area::encrypted_header(), 0)
        .and_then(|()| file.sync_all())
        .map_err(io_error(path, "write its first page"))?;
    let node = encrypted::open(file, path, options.pages, &random()?)?;
    let swapped = swap_to_device(&node, options.pages - 1);
    // Also when it failed: then nobody uses it.
    if let Err(errno) = encrypted::release() {
        eprintln!("swap: /dev/mapper/{}: stays when it is swapped to no more: {errno}", encrypted::NAME);
    }
    swapped.map(|()| node)
}

fn swap_to_device(node: &Path, pages: u64) -> Result<(), SwapError> {
    let device = OpenOptions::new().write(true).open(node).map_err(io_error(node, "open it"))?;
    write_area(&device, node, pages)?;
    drop(device);
    swap_on(node).map_err(|errno| SwapError::SwapOn { path: node.to_owned(), errno })
}

fn write_area(file: &File, path: &Path, pages: u64) -> Result<(), SwapError> {
    let write = || {
        let header = area::header(pages, area::uuid(random_bytes()?)).ok_or(io::ErrorKind::InvalidInput)?;
        file.write_all_at(&header, 0)?;
        file.sync_all()
    };
    write().map_err(io_error(path, "make it a swap area"))
}

fn random<const N: usize>() -> Result<[u8; N], SwapError> {
    random_bytes().map_err(io_error(Path::new("/dev/urandom"), "read random bytes"))
}

fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn file_system_size(path: &str) -> Result<u64, SwapError> {
    match statfs(path) {
        Ok(fs) => Ok(fs.blocks().saturating_mul(u64::try_from(fs.block_size()).unwrap_or(0))),
        // A path that is not there is in no file system.
        Err(Errno::ENOENT) => Ok(0),
        Err(errno) => Err(io_error(Path::new(path), "look at its file system")(errno.into())),
    }
}

fn read_text(path: &str) -> Result<String, SwapError> {
    std::fs::read_to_string(path).map_err(io_error(Path::new(path), "read it"))
}

fn io_error(path: &Path, step: &'static str) -> impl FnOnce(io::Error) -> SwapError {
    let path = path.to_owned();
    move |source| SwapError::Io { path, step, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(path: &Path) -> Options {
        Options {
            path: path.to_str().unwrap().into(),
            pages: 16,
            encrypt: false,
            conditions: vec![],
            debug: false,
        }
    }

    /// A directory on a disk; where tests only have memory there is nothing to try.
    fn on_a_disk() -> Option<tempfile::TempDir> {
        let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        (statfs(directory.path()).unwrap().filesystem_type() != TMPFS_MAGIC).then_some(directory)
    }

    #[test]
    fn a_file_is_made_once_and_used_again_while_it_fits() {
        let Some(directory) = on_a_disk() else { return };
        let path = directory.path().join("deep/swap");
        let inode = |options: &Options| prepare(&path, options, &|_| {}).unwrap().metadata().unwrap().ino();
        let first = inode(&options(&path));
        assert_eq!(inode(&options(&path)), first, "as it was made, or was encrypted at the last boot");
        write_area(&File::options().write(true).open(&path).unwrap(), &path, 16).unwrap();
        assert_eq!(inode(&options(&path)), first, "swapped to at the last boot");
        let larger = Options { pages: 32, ..options(&path) };
        assert_ne!(inode(&larger), first);
        assert_eq!(path.metadata().unwrap().len(), 32 * PAGE);
    }

    #[test]
    fn a_file_that_holds_something_is_left_alone() {
        let Some(directory) = on_a_disk() else { return };
        let path = directory.path().join("database");
        for byte in [0, 7] {
            std::fs::write(&path, vec![byte; 16 * PAGE as usize]).unwrap();
            let error = prepare(&path, &options(&path), &|_| {}).unwrap_err();
            assert!(matches!(error, SwapError::Foreign(_)), "{error}");
            assert!(std::fs::read(&path).unwrap().iter().all(|b| *b == byte));
        }
        std::fs::write(&path, "").unwrap();
        prepare(&path, &options(&path), &|_| {}).unwrap();
    }

    #[test]
    fn a_directory_in_memory_is_refused() {
        if statfs("/dev/shm").is_ok_and(|fs| fs.filesystem_type() == TMPFS_MAGIC) {
            let error = prepare(Path::new("/dev/shm/swap"), &options(Path::new("/dev/shm/swap")), &|_| {})
                .unwrap_err();
            assert!(matches!(error, SwapError::InMemory(_)), "{error}");
        }
    }
}
