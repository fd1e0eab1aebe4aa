//! From the command line to a formatted disk.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::ExitCode;

use lk_command::command::Command;
use lk_command::program::Programs;
use lk_command::size::Bytes;

use crate::choice::{self, Decision, Named, Passed, Survey};
use crate::cli::{self, Options};
use crate::inventory::{self, Disk, InventoryError, SYS_BLOCK};
use crate::make::{self, MakeError, Plan, Tools};
use crate::probe::{self, ProbeError};
use crate::uevent::{Events, Uevents, wait_for};

/// How long a disk that was not named may take to appear, in seconds.
const ANY_DISK: u64 = 2;
/// How long a disk that was named may take to appear, in seconds.
const NAMED_DISK: u64 = 10;

/// Why nothing was formatted although something should have been.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The named device did not appear.
    #[error("{device}: no such disk appeared within {seconds} s")]
    Absent {
        /// As it was named.
        device: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The named device is something else.
    #[error("{0}: is not a block device")]
    NotADevice(String),
    /// The named device is a partition.
    #[error("{node}: is a partition; name the whole disk, {disk}")]
    IsPartition {
        /// The partition.
        node: String,
        /// Its disk.
        disk: String,
    },
    /// The named device cannot be formatted.
    #[error("{node}: {why}; it is left alone")]
    Refused {
        /// The disk.
        node: String,
        /// Why not.
        why: String,
    },
    /// The named device holds something that is not a Linux file system.
    #[error("{node}: holds {held}; it is left alone; -force overwrites it")]
    NeedsForce {
        /// The disk.
        node: String,
        /// What it holds.
        held: String,
    },
    /// No disk was blank, and some could not be looked at.
    #[error("{0}")]
    Unreadable(String),
    /// The list of devices cannot be read.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// A device cannot be looked at.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// Formatting failed.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// Device events cannot be heard.
    #[error("cannot listen to the kernel's device events: {0}")]
    Events(#[from] io::Error),
}

/// The command: its arguments without its name, its exit code.
///
/// | exit code | meaning |
/// | --- | --- |
/// | 0 | a disk was formatted, or there was nothing to do |
/// | 1 | what was asked for could not be done |
/// | 2 | the command line is wrong |
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    Command { name: "format", usage: cli::USAGE, flags: cli::FLAGS }.main(arguments, cli::options, run)
}

fn run(options: &Options) -> Result<(), FormatError> {
    let verbose = options.verbose;
    let say = move |line: &str| {
        if verbose {
            println!("format: {line}");
        }
    };
    let programs = Programs::from_environment();
    // Listening begins before the first look, so that no disk slips in between.
    let mut events = Uevents::open()?;
    let chosen = match &options.device {
        Some(device) => chosen_by_name(device, options, &programs, &mut events)?,
        None => chosen_by_survey(options, &programs, &mut events, &say)?,
    };
    let Some(disk) = chosen else { return Ok(()) };
    println!("format: {}: {}: making {}", disk.node(), Bytes(disk.size), what(options));
    let plan = Plan {
        fs: options.fs,
        label: options.label.as_deref(),
        table: options.table,
        force: options.force && options.device.is_some(),
    };
    let mut tools =
        Tools { programs: &programs, sys_block: Path::new(SYS_BLOCK), events: &mut events, say: &say };
    let partition = make::make(&disk, &plan, &mut tools)?;
    println!("format: {}: {} of {} is ready", partition.node(), what(options), Bytes(partition.size));
    Ok(())
}

fn what(options: &Options) -> String {
    match &options.label {
        Some(label) => format!("{} labelled {label}", options.fs.name()),
        None => options.fs.name().to_owned(),
    }
}

/// The first blank disk, or `None` when there is nothing to do, which has been said.
fn chosen_by_survey(
    options: &Options,
    programs: &Programs,
    events: &mut dyn Events,
    say: &dyn Fn(&str),
) -> Result<Option<Disk>, FormatError> {
    if options.force {
        eprintln!("format: -force has no effect: it needs the name of a disk");
    }
    let mut last = None;
    let settled = wait_for(events, options.wait.deadline(ANY_DISK), || -> Result<_, FormatError> {
        let disks = inventory::read(Path::new(SYS_BLOCK))?;
        let survey = choice::survey(&disks, options.label.as_deref(), options.fs.smallest_disk(), |disk| {
            probe::look(disk, programs)
        });
        let settled = survey.decision != Decision::NoDisk;
        last = Some((disks, survey));
        Ok(settled.then_some(()))
    })?;
    let Some((mut disks, survey)) = last else { return Ok(None) };
    if settled.is_none() {
        say("no blank disk appeared");
    }
    report(&survey, options.verbose);
    match survey.decision {
        Decision::Format(i) => return Ok(Some(disks.swap_remove(i))),
        Decision::LabelThere(node) => {
            println!("format: {node}: has the label {} already: nothing to do", what_label(options));
        }
        Decision::AlreadyFormatted => println!("format: no blank disk: nothing to do"),
        Decision::NoDisk => match unreadable(&survey) {
            Some(why) => return Err(FormatError::Unreadable(why)),
            None => println!("format: no blank disk: nothing to do"),
        },
    }
    Ok(None)
}

fn what_label(options: &Options) -> &str {
    options.label.as_deref().unwrap_or_default()
}

/// Says what became of the disks that were not taken; those that can never be one only when asked.
fn report(survey: &Survey, verbose: bool) {
    for (name, why) in &survey.passed {
        match why {
            // A message of its own, which names the device.
            Passed::Unreadable(why) => eprintln!("format: {why}"),
            Passed::Kind(_) | Passed::Hidden | Passed::Empty if !verbose => {}
            why => println!("format: /dev/{name}: {why}: left alone"),
        }
    }
}

fn unreadable(survey: &Survey) -> Option<String> {
    let broken: Vec<&str> = survey
        .passed
        .iter()
        .filter(|(_, why)| matches!(why, Passed::Unreadable(_)))
        .map(|(name, _)| name.as_str())
        .collect();
    (!broken.is_empty())
        .then(|| format!("no blank disk, and these could not be looked at: {}", broken.join(", ")))
}

/// The disk that was named, or `None` when it is formatted already, which has been said.
fn chosen_by_name(
    device: &str,
    options: &Options,
    programs: &Programs,
    events: &mut dyn Events,
) -> Result<Option<Disk>, FormatError> {
    let found = wait_for(events, options.wait.deadline(NAMED_DISK), || {
        let disks = inventory::read(Path::new(SYS_BLOCK))?;
        resolve(device, disks)
    })?;
    let Some(disk) = found else {
        let seconds = options.wait.seconds(NAMED_DISK);
        return Err(FormatError::Absent { device: device.to_owned(), seconds });
    };
    let node = disk.node();
    match choice::named(&disk, probe::look(&disk, programs)?, options.force, options.fs.smallest_disk()) {
        Named::Format => Ok(Some(disk)),
        Named::Refuse(why) => Err(FormatError::Refused { node, why: why.to_string() }),
        Named::NeedsForce(held) => Err(FormatError::NeedsForce { node, held: held.to_string() }),
        Named::Leave(held) => {
            println!("format: {node}: holds {held} already: left alone");
            let has = |label: &str| held.signatures().iter().any(|(_, s)| s.label.as_deref() == Some(label));
            if let Some(label) = options.label.as_deref().filter(|l| !has(l)) {
                eprintln!("format: {node}: the label {label}, which was asked for, is not on it");
            }
            Ok(None)
        }
    }
}

/// The disk behind a name such as `/dev/vdb`, `vdb`, or a link to a device; `None` when it is not there yet.
fn resolve(device: &str, disks: Vec<Disk>) -> Result<Option<Disk>, FormatError> {
    let path = Path::new("/dev").join(device);
    let Ok(path) = path.canonicalize() else { return Ok(None) };
    let not_a_device = || FormatError::NotADevice(device.to_owned());
    if !path.metadata().map_err(|_| not_a_device())?.file_type().is_block_device() {
        return Err(not_a_device());
    }
    let node = path.to_string_lossy();
    for disk in disks {
        if disk.node() == node {
            return Ok(Some(disk));
        }
        if disk.partitions.iter().any(|p| p.node() == node) {
            return Err(FormatError::IsPartition { node: node.into_owned(), disk: disk.node() });
        }
    }
    Ok(None)
}
