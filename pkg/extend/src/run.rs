//! From the command line to disks that are used to their ends.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use lk_command::command::Command;
use lk_command::program::Programs;
use lk_command::size::Bytes;
use lk_format::inventory::{self, Disk, InventoryError, SYS_BLOCK};
use lk_format::uevent::{Uevents, wait_for};

use crate::cli::{self, Options};
use crate::disk::{self, DiskError, Fit, Unfit};
use crate::grow::{self, GrowError};

/// How long a disk that was named may take to appear, in seconds.
const NAMED_DISK: u64 = 10;

/// Why a disk was not extended although it should have been.
#[derive(Debug, thiserror::Error)]
pub enum ExtendError {
    /// The named disk did not appear.
    #[error("{device}: no such disk appeared within {seconds} s; name a whole disk, not a partition")]
    Absent {
        /// As it was named.
        device: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The named disk is not one to extend.
    #[error("{node}: {unfit}; it is left alone")]
    Unfit {
        /// The disk.
        node: String,
        /// Why not.
        unfit: Unfit,
    },
    /// Several failed, and each was told.
    #[error("{0} disks were not extended")]
    Several(usize),
    /// The list of devices cannot be read.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// A disk cannot be looked at, or written to.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The file system did not grow.
    #[error(transparent)]
    Grow(#[from] GrowError),
    /// Device events cannot be heard.
    #[error("cannot listen to the kernel's device events: {0}")]
    Events(#[from] io::Error),
}

/// The command: its arguments without its name, its exit code.
///
/// | exit code | meaning |
/// | --- | --- |
/// | 0 | every disk that was meant is used to its end |
/// | 1 | one is not |
/// | 2 | the command line is wrong |
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    Command { name: "extend", usage: cli::USAGE, flags: cli::FLAGS }.main(arguments, cli::options, run)
}

fn run(options: &Options) -> Result<(), ExtendError> {
    let programs = Programs::from_environment();
    let mut failed = 0;
    let mut settle = |result: Result<(), ExtendError>| match result {
        Err(error) if options.stop_on_error => Err(error),
        Err(error) => {
            eprintln!("extend: {error}");
            failed += 1;
            Ok(())
        }
        Ok(()) => Ok(()),
    };
    if options.devices.is_empty() {
        for disk in inventory::read(Path::new(SYS_BLOCK))? {
            settle(extend(&disk, options, &programs, false))?;
        }
    }
    for device in &options.devices {
        settle(named(device, options).and_then(|disk| extend(&disk, options, &programs, true)))?;
    }
    match failed {
        0 => Ok(()),
        failed => Err(ExtendError::Several(failed)),
    }
}

/// The disk behind a name such as `/dev/vdb`, `vdb`, or a link to a device.
fn named(device: &str, options: &Options) -> Result<Disk, ExtendError> {
    let path = Path::new("/dev").join(device);
    let mut events = Uevents::open()?;
    let found = wait_for(&mut events, options.wait.deadline(NAMED_DISK), || -> Result<_, ExtendError> {
        let Ok(node) = path.canonicalize() else { return Ok(None) };
        let disks = inventory::read(Path::new(SYS_BLOCK))?;
        Ok(disks.into_iter().find(|disk| Path::new(&disk.node()) == node))
    })?;
    let absent =
        || ExtendError::Absent { device: device.to_owned(), seconds: options.wait.seconds(NAMED_DISK) };
    found.ok_or_else(absent)
}

fn extend(disk: &Disk, options: &Options, programs: &Programs, named: bool) -> Result<(), ExtendError> {
    let node = disk.node();
    let Fit { partition, fs, plan } = match disk::look(disk, options.fs, programs)? {
        Ok(fit) => fit,
        Err(unfit) if named => return Err(ExtendError::Unfit { node, unfit }),
        Err(unfit) => {
            if options.verbose {
                println!("extend: {node}: {unfit}: left alone");
            }
            return Ok(());
        }
    };
    let length = plan.as_ref().map_or(partition.size, |plan| plan.length);
    if let Some(plan) = plan {
        println!("extend: {}: from {} to {}", partition.node(), Bytes(partition.size), Bytes(length));
        disk::enlarge(&node, &plan)?;
    }
    let grown = grow::grow(&partition.node(), fs, length, programs)?;
    match grown.after > grown.before {
        true => println!("extend: {}: {} grew to {}", partition.node(), fs.name(), Bytes(grown.after)),
        false => println!("extend: {}: {} has all of it already", partition.node(), fs.name()),
    }
    Ok(())
}
