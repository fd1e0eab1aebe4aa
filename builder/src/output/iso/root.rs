//! Machines whose root file system is an image, and machines that only come from one.

use std::fs::File;
use std::io::{BufWriter, Seek, Write};

use super::layout::Layout;
use super::volume::{Identity, Volume};
use super::{Firmware, IsoError, boot, fingerprint};
use crate::output::lost::Lost;
use crate::output::{Job, Machine, OutputError};
use crate::stage;
use crate::tree::Tree;

const LABEL: &str = "LINUXKIT";

/// Writes an image over `out` that is itself the root file system; a small initrd finds it.
pub(in crate::output) fn from_disk(
    format: &'static str,
    job: &Job<'_>,
    out: &mut File,
    firmware: Firmware,
) -> Result<(), OutputError> {
    let failed = |source: IsoError| OutputError::Disk { format, source: Box::new(source) };
    let identity = identity(job.machine).map_err(failed)?;
    let machine = finding(job.machine, &identity).map_err(failed)?;
    let name = format!("{}-{format}-stage", job.name);
    let stage = Job::new(&machine, job.cache, job.dir, &name, job.settings);
    tell_what_is_lost(job);
    boot::write(format, out, job.machine.root.clone(), &identity, &stage, firmware)
}

/// Writes an image over `out` that has an initrd with all of the machine, which runs from memory.
pub(in crate::output) fn from_memory(
    format: &'static str,
    job: &Job<'_>,
    out: &mut File,
    firmware: Firmware,
) -> Result<(), OutputError> {
    let failed = |source: IsoError| OutputError::Disk { format, source: Box::new(source) };
    let identity = identity(job.machine).map_err(failed)?;
    boot::write(format, out, Tree::new(), &identity, job, firmware)
}

/// Writes an image over `out` that is the root file system and nothing else; returns the machine that finds it.
pub(in crate::output) fn alone(
    format: &'static str,
    job: &Job<'_>,
    out: &mut File,
) -> Result<Machine, OutputError> {
    let failed = |source: IsoError| OutputError::Disk { format, source: Box::new(source) };
    let identity = identity(job.machine).map_err(failed)?;
    let layout = Layout::of(&job.machine.root, &[]).map_err(failed)?;
    let volume =
        Volume { layout: &layout, identity: &identity, boot_catalogue: None, sectors: layout.sectors() };
    out.set_len(0).and_then(|()| out.rewind()).map_err(|error| failed(IsoError::Write(error)))?;
    let mut buffered = BufWriter::with_capacity(1 << 20, out);
    volume.write(&mut buffered).map_err(failed)?;
    buffered.flush().map_err(|error| failed(IsoError::Write(error)))?;
    tell_what_is_lost(job);
    finding(job.machine, &identity).map_err(failed)
}

fn tell_what_is_lost(job: &Job<'_>) {
    if let Some(warning) = Lost::attributes_of(&job.machine.root).warning("an ISO image") {
        job.warn(warning);
    }
}

/// How the file system of a machine is called.
fn identity(machine: &Machine) -> Result<Identity, IsoError> {
    Ok(Identity::new(LABEL)?.with_number(fingerprint::of(machine)))
}

/// The machine that finds the file system `identity`, unless its own command line says what the root is.
fn finding(machine: &Machine, identity: &Identity) -> Result<Machine, IsoError> {
    let root = stage::first_stage(&machine.root, &[&stage::DISKS[..], &stage::FILE_SYSTEMS].concat())?;
    let mut cmdline = machine.cmdline.clone();
    if !cmdline.split_ascii_whitespace().any(|word| word.trim_start_matches('"').starts_with("root=")) {
        let blank = if cmdline.is_empty() { "" } else { " " };
        cmdline = format!("{cmdline}{blank}root=UUID={}", identity.uuid());
    }
    Ok(Machine { root, cmdline, ..machine.clone() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tree::{Node, Origin};

    #[test]
    fn the_root_is_found_by_its_uuid_unless_the_configuration_names_another() {
        let mut root = Tree::new();
        root.insert(b"init", Node::file(&b""[..], 0o755, &Arc::new(Origin::default()))).unwrap();
        for (cmdline, expected) in [
            ("", "root=UUID="),
            ("console=ttyS0 myroot=x", "console=ttyS0 myroot=x root=UUID="),
            ("root=/dev/sr0 quiet", "root=/dev/sr0 quiet"),
            ("\"root=LABEL=a b\"", "\"root=LABEL=a b\""),
        ] {
            let machine = Machine { cmdline: cmdline.into(), root: root.clone(), ..Machine::default() };
            let identity = identity(&machine).unwrap();
            let found = finding(&machine, &identity).unwrap().cmdline;
            let expected = match expected.strip_suffix("UUID=") {
                Some(_) => format!("{expected}{}", identity.uuid()),
                None => expected.to_owned(),
            };
            assert_eq!(found, expected);
        }
    }
}
