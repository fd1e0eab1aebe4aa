//! From the command line to a mounted file system.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lk_command::command::Command;
use lk_command::program::Programs;
use lk_format::content::{Found, Signature};
use lk_format::inventory::{self, InventoryError, SYS_BLOCK};
use lk_format::probe::{self, ProbeError};
use lk_format::uevent::{Events, Uevents, wait_for};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{major, minor};

use crate::choice::{self, ChoiceError, Chosen};
use crate::cli::{self, Options, Wanted};
use crate::devices::{self, Device};
use crate::fsck::{self, Checked, Damaged};
use crate::mountinfo::{self, Mount};

/// How long a file system that was named may take to appear, in seconds.
const NAMED: u64 = 10;
/// How long a data disk that was not named may take to appear, in seconds.
const ANY: u64 = 1;

/// Why nothing was mounted although something should have been.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The file system that was named did not appear.
    #[error("{name}: no such {kind} appeared within {seconds} s; {mount_point} is not mounted")]
    Absent {
        /// Label, UUID or device.
        name: String,
        /// Which of these it is.
        kind: &'static str,
        /// How long was waited.
        seconds: u64,
        /// Where it should have been mounted.
        mount_point: String,
    },
    /// The named device is something else.
    #[error("{0}: is not a block device")]
    NotADevice(String),
    /// The device holds no file system.
    #[error("{node}: holds {found}, which is not a file system to mount{advice}")]
    NoFileSystem {
        /// The device.
        node: String,
        /// What it holds.
        found: String,
        /// What to do instead.
        advice: String,
    },
    /// Something else is mounted there.
    #[error(
        "{mount_point}: {source_name} ({fs}) is mounted there already, not {node}; unmount it or choose another mount point"
    )]
    Occupied {
        /// The mount point.
        mount_point: String,
        /// What is mounted there.
        source_name: String,
        /// Its type.
        fs: String,
        /// What should be mounted.
        node: String,
    },
    /// The mount point cannot be made.
    #[error("{path}: cannot make the mount point: {source}")]
    MountPoint {
        /// The mount point.
        path: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The kernel refused.
    #[error("{node}: cannot mount {fs} on {mount_point}: {errno}{advice}")]
    Mount {
        /// The device.
        node: String,
        /// The file system's type.
        fs: String,
        /// The mount point.
        mount_point: String,
        /// The kernel's reason.
        errno: Errno,
        /// What it usually means.
        advice: &'static str,
    },
    /// A file under `/proc` or `/sys` cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// There is no data disk among the devices that can be read.
    #[error("no data disk among the devices that can be read, and these cannot: {0}; {1} is not mounted")]
    Unreadable(String, String),
    /// Several file systems have the name.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// The file system is damaged.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// The list of devices cannot be read.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// A device cannot be looked at.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// Device events cannot be heard.
    #[error("cannot listen to the kernel's device events: {0}")]
    Events(#[from] io::Error),
}

/// The command: its arguments without its name, its exit code.
///
/// | exit code | meaning |
/// | --- | --- |
/// | 0 | mounted, or mounted already, or nothing was named and there is no data disk |
/// | 1 | what was named is not there or cannot be mounted |
/// | 2 | the command line is wrong |
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    Command { name: "mountie", usage: cli::USAGE, flags: cli::FLAGS }.main(arguments, cli::options, run)
}

fn run(options: &Options) -> Result<(), MountError> {
    let programs = Programs::from_environment();
    let mount_point = make_mount_point(&options.mount_point)?;
    let mounts = mounts()?;
    let there = mountinfo::at(&mounts, &mount_point);
    if let (Wanted::Any, Some(mount)) = (&options.wanted, there.filter(|m| m.source.starts_with("/dev/"))) {
        println!("mountie: {}: is mounted on {mount_point} already", mount.source);
        return Ok(());
    }
    // Listening begins before the first look, so that no disk slips in between.
    let mut events = Uevents::open()?;
    let chosen = match &options.wanted {
        Wanted::Device(device) => Some(wait_for_device(device, options, &mut events)?),
        _ => search(options, &programs, &mut events)?,
    };
    let Some(Chosen { node, why }) = chosen else {
        eprintln!("mountie: no data disk: {mount_point} stays in memory and is lost at power-off");
        return Ok(());
    };
    if let Some(mount) = there {
        return match is_mount_of(mount, &node) {
            true => {
                println!("mountie: {node}: is mounted on {mount_point} already");
                Ok(())
            }
            false => Err(MountError::Occupied {
                mount_point,
                source_name: mount.source.clone(),
                fs: mount.fs.clone(),
                node,
            }),
        };
    }
    let fs = file_system(&node, &programs)?;
    let read_only = is_read_only(&node, &fs)?;
    if !read_only {
        check(&node, &fs, &programs)?;
    }
    attach(&node, &fs, &mount_point, read_only)?;
    let mode = if read_only { " read-only" } else { "" };
    println!("mountie: {node}: {fs} mounted on {mount_point}{mode}: {why}");
    if mountinfo::around(&mounts, &mount_point).is_some_and(|m| !m.shared) {
        eprintln!(
            "mountie: {mount_point}: only this container sees the mount: bind the directory above it with rshared"
        );
    }
    Ok(())
}

fn make_mount_point(path: &str) -> Result<String, MountError> {
    let error = |source| MountError::MountPoint { path: path.to_owned(), source };
    std::fs::create_dir_all(path).map_err(error)?;
    // The kernel lists mounts by their real paths.
    let real = Path::new(path).canonicalize().map_err(error)?;
    real.into_os_string()
        .into_string()
        .map_err(|_| error(io::Error::new(io::ErrorKind::InvalidFilename, "its real path is not UTF-8")))
}

fn mounts() -> Result<Vec<Mount>, MountError> {
    const PATH: &str = "/proc/self/mountinfo";
    match std::fs::read_to_string(PATH) {
        Ok(text) => Ok(mountinfo::parse(&text)),
        Err(source) => Err(MountError::Read { path: PATH.into(), source }),
    }
}

/// Waits for a device that was named by its node or a link to it.
fn wait_for_device(device: &str, options: &Options, events: &mut dyn Events) -> Result<Chosen, MountError> {
    let path = Path::new("/dev").join(device);
    let real =
        wait_for(events, options.wait.deadline(NAMED), || Ok::<_, MountError>(path.canonicalize().ok()))?;
    let Some(real) = real else { return Err(absent(device, "device", options)) };
    let is_device = real.metadata().is_ok_and(|m| m.file_type().is_block_device());
    match real.to_str() {
        Some(node) if is_device => Ok(Chosen { node: node.to_owned(), why: "it was named".to_owned() }),
        _ => Err(MountError::NotADevice(device.to_owned())),
    }
}

/// Searches the machine's devices; `None` when nothing was named and there is no data disk.
fn search(
    options: &Options,
    programs: &Programs,
    events: &mut dyn Events,
) -> Result<Option<Chosen>, MountError> {
    let seconds = if options.wanted == Wanted::Any { ANY } else { NAMED };
    let mut seen = (Vec::new(), Vec::new());
    let chosen = wait_for(events, options.wait.deadline(seconds), || -> Result<_, MountError> {
        let disks = inventory::read(Path::new(SYS_BLOCK))?;
        seen = devices::list(&disks, |node| {
            Ok::<_, ProbeError>((probe::in_use(node)?, probe::identify(node, programs)?))
        });
        Ok(choice::choose(&seen.0, &options.wanted)?)
    })?;
    let (devices, errors) = seen;
    let errors: Vec<String> = errors.iter().map(ProbeError::to_string).collect();
    match (&options.wanted, chosen) {
        (_, Some(chosen)) => {
            errors.iter().for_each(|error| eprintln!("mountie: {error}"));
            Ok(Some(chosen))
        }
        // A broken disk may be the one that was meant: to go on in memory would hide it.
        (_, None) if !errors.is_empty() => {
            Err(MountError::Unreadable(errors.join("; "), options.mount_point.clone()))
        }
        (Wanted::Label(label), None) => Err(absent(label, "label", options)),
        (Wanted::Uuid(uuid), None) => Err(absent(uuid, "UUID", options)),
        (Wanted::Device(_) | Wanted::Any, None) => {
            tell_refusals(&devices);
            Ok(None)
        }
    }
}

/// Says of each disk that could have been meant why it was not taken.
fn tell_refusals(devices: &[Device]) {
    for device in devices.iter().filter(|d| d.odd.is_none()) {
        if let Some(why) = choice::refusal(devices, device) {
            println!("mountie: {device}: {why}");
        }
    }
}

fn absent(name: &str, kind: &'static str, options: &Options) -> MountError {
    MountError::Absent {
        name: name.to_owned(),
        kind,
        seconds: options.wait.seconds(NAMED),
        mount_point: options.mount_point.clone(),
    }
}

/// Whether `mount` shows the device `node`. Some file systems have a device number of their own; then the
/// name decides.
fn is_mount_of(mount: &Mount, node: &str) -> bool {
    let number = device_number(node).ok();
    number == Some(mount.device) || mount.source == node
}

fn device_number(node: &str) -> io::Result<(u32, u32)> {
    let rdev = std::fs::metadata(node)?.rdev();
    let part = |n: u64| u32::try_from(n).map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
    Ok((part(major(rdev))?, part(minor(rdev))?))
}

/// The type of the file system on `node`.
fn file_system(node: &str, programs: &Programs) -> Result<String, MountError> {
    let found = probe::identify(node, programs)?;
    let advice = match &found {
        Found::One(Signature { kind: Some(kind), usage, .. }) if usage.as_deref() == Some("filesystem") => {
            return Ok(kind.clone());
        }
        Found::One(Signature { table: Some(_), kind: None, .. }) => "; name one of its partitions",
        Found::Nothing => "; the format package makes one",
        _ => "",
    };
    Err(MountError::NoFileSystem {
        node: node.to_owned(),
        found: found.to_string(),
        advice: advice.to_owned(),
    })
}

/// Whether the file system can only be read, for its kind or because the device refuses writes.
fn is_read_only(node: &str, fs: &str) -> Result<bool, MountError> {
    if matches!(fs, "iso9660" | "udf" | "squashfs" | "erofs" | "cramfs" | "romfs") {
        return Ok(true);
    }
    let (major, minor) =
        device_number(node).map_err(|source| MountError::Read { path: node.into(), source })?;
    let path = PathBuf::from(format!("/sys/dev/block/{major}:{minor}/ro"));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim() == "1"),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(MountError::Read { path, source }),
    }
}

fn check(node: &str, fs: &str, programs: &Programs) -> Result<(), MountError> {
    // Mounted elsewhere, it must not be checked, and has been.
    if !matches!(fs, "ext2" | "ext3" | "ext4") || probe::in_use(node)? {
        return Ok(());
    }
    match fsck::check(node, programs)? {
        Checked::Clean => {}
        Checked::Repaired(account) => {
            println!("mountie: {node}: e2fsck repaired the file system ({account})")
        }
        Checked::Skipped(why) => println!("mountie: {node}: not checked: {why}"),
    }
    Ok(())
}

fn attach(node: &str, fs: &str, mount_point: &str, read_only: bool) -> Result<(), MountError> {
    let mut flags = MsFlags::MS_RELATIME;
    flags.set(MsFlags::MS_RDONLY, read_only);
    mount(Some(node), mount_point, Some(fs), flags, None::<&str>).map_err(|errno| MountError::Mount {
        node: node.to_owned(),
        fs: fs.to_owned(),
        mount_point: mount_point.to_owned(),
        errno,
        advice: match errno {
            Errno::ENODEV => "; the kernel does not know this file system: is its module in the image?",
            Errno::EINVAL | Errno::EUCLEAN => "; the kernel's log says what it does not like about it",
            Errno::EPERM => "; the container needs CAP_SYS_ADMIN",
            Errno::EBUSY => "; another device or program has it",
            _ => "",
        },
    })
}
