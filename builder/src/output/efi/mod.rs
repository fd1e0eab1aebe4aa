//! What EFI firmware boots: one file with kernel, initrd and command line, on a partition that it can read.
//!
//! | file | duty |
//! |---|---|
//! | `pe.rs` | the little of PE that the other two need |
//! | `stub.rs` | the program in front of the kernel, and which architecture it is for |
//! | `uki.rs` | program + kernel + initrd + command line → one program |
//! | `system_partition.rs` | a file system with that program where firmware looks for it |
//! | `disk.rs` | a disk with that file system |

mod disk;
mod pe;
mod stub;
mod system_partition;
mod uki;

use std::fs::File;
use std::io::{self, Read};

pub use disk::{Bios, EfiDiskError};
pub(super) use disk::{write, write_hybrid};
#[cfg(test)]
pub(super) use pe::program_for_tests;
pub(super) use pe::{ARM64, RISCV64, machine};
pub use stub::{DIR_VARIABLE, Stub, StubError};
pub use system_partition::{Sections, SystemPartition};
pub use uki::{Uki, UkiError};

use super::bzimage::{HEADER_LEN, Header};
use super::on_disk::Boot;
use super::{Job, Machine, OutputError};

/// How much of a kernel is looked at to find out what it is for (bytes): its PE header is within.
pub(super) const LOOKED_AT: u64 = 64 << 10;

/// The machine of `job` as one EFI program with the initrd and command line of `boot`; also says for which architecture.
pub(super) fn uki<'a>(
    format: &'static str,
    job: &Job<'a>,
    boot: &Boot,
) -> Result<(Uki<'a>, Stub), OutputError> {
    let machine: &'a Machine = job.machine;
    let unfit = |source: UkiError| OutputError::Disk { format, source: Box::new(source) };
    let kernel = machine.kernel.as_ref().ok_or_else(|| OutputError::no_kernel(format))?;
    let mut start = Vec::new();
    kernel.reader().take(LOOKED_AT).read_to_end(&mut start).map_err(|source| OutputError::Copy {
        path: "the kernel".into(),
        origin: machine.boot.to_string(),
        into: format.into(),
        source,
    })?;
    let stub = Stub::for_kernel(&start).map_err(|source| unfit(source.into()))?;
    if let Ok(header) = Header::parse(start.get(..HEADER_LEN).unwrap_or_default()) {
        let (len, limit) = (boot.cmdline.len(), header.cmdline_size);
        if len > limit as usize {
            return Err(unfit(UkiError::CommandLine { len, limit }));
        }
    }
    let path = &boot.initrd;
    let cmdline = boot.cmdline.clone().into_bytes();
    let initrd = File::open(path).map_err(OutputError::io("read", path))?;
    let initrd_len = initrd.metadata().map_err(OutputError::io("read", path))?.len();
    let release = os_release(job.name).into_bytes();
    let mut uki = Uki::new(&stub.program).map_err(unfit)?;
    let mut add = |name, len, content: Box<dyn Read + 'a>| uki.add(name, len, content).map_err(unfit);
    add(".osrel", release.len() as u64, Box::new(io::Cursor::new(release)))?;
    add(".cmdline", cmdline.len() as u64, Box::new(io::Cursor::new(cmdline)))?;
    add(".initrd", initrd_len, Box::new(initrd))?;
    // Last, as systemd's own tool has it: old stubs unpack the kernel over what follows.
    add(".linux", kernel.len(), kernel.reader())?;
    Ok((uki, stub))
}

/// By this boot loaders know that there is a system in the file, and what to call it.
fn os_release(name: &str) -> String {
    // Nothing that a shell would take for more than text.
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-._ ".contains(c) { c } else { '_' }).collect();
    format!("ID=lkb\nNAME=lkb\nPRETTY_NAME=\"{plain}\"\n")
}
