//! EFI programs that have a kernel in them.
//!
//! Source: Microsoft, "PE Format"; the UAPI Group's "Unified Kernel Image" specification, which names the sections.

use std::io;

use super::bytes::Bytes;
use super::damaged;
use super::field::{le16, le32, part};
use super::{Inside, Part, Reader, Role};

const MZ: &[u8] = b"MZ";
const SIGNATURE: &[u8] = b"PE\0\0";
/// Bytes of the file header with the signature, and of a section's header.
const HEADER: usize = 24;
const SECTION: usize = 40;
/// Most sections that are looked at.
const MAX_SECTIONS: u16 = 256;
/// Largest header of a program: systemd's stub has less than 4 KiB.
const MAX_OPTIONAL: u16 = 4096;

/// Sections and what is in them.
const SECTIONS: [(&[u8; 8], Role); 4] = [
    (b".linux\0\0", Role::Boot("boot/kernel")),
    (b".cmdline", Role::Boot("boot/cmdline")),
    (b".ucode\0\0", Role::Boot("boot/ucode.cpio")),
    (b".initrd\0", Role::Volume),
];

/// Reads unified kernel images.
#[derive(Debug)]
pub(super) struct UnifiedKernel;

impl Reader for UnifiedKernel {
    fn called(&self) -> &'static str {
        "program"
    }

    fn recognises(&self, bytes: &Bytes) -> io::Result<bool> {
        if bytes.start(2)? != MZ {
            return Ok(false);
        }
        // Kernels are programs, too, and have no kernel in them.
        Ok(sections(bytes).is_ok_and(|found| found.iter().any(|(role, _)| *role == SECTIONS[0].1)))
    }

    fn read(&self, bytes: &Bytes) -> io::Result<Inside> {
        let parts = sections(bytes)?.into_iter().map(|(role, bytes)| {
            let name = if role == Role::Volume { "initrd" } else { "" };
            Part { name: name.into(), bytes, role, facts: Vec::new() }
        });
        Ok(Inside { parts: parts.collect(), ..Inside::default() })
    }
}

/// The sections that say something about the machine.
fn sections(bytes: &Bytes) -> io::Result<Vec<(Role, Bytes)>> {
    let at = u64::from(le32(&bytes.read(0, 64)?, 60)?);
    let header = bytes.read(at, HEADER)?;
    if !header.starts_with(SIGNATURE) {
        return Err(damaged("it is no EFI program"));
    }
    let (count, optional) = (le16(&header, 6)?, le16(&header, 20)?);
    if count > MAX_SECTIONS || optional > MAX_OPTIONAL {
        return Err(damaged("it has more sections than programs have"));
    }
    let table = bytes.read(at + HEADER as u64 + u64::from(optional), usize::from(count) * SECTION)?;
    let mut found = Vec::new();
    for section in table.chunks_exact(SECTION) {
        let name = part(section, 0, 8)?;
        let Some((_, role)) = SECTIONS.iter().find(|(known, _)| &known[..] == name) else { continue };
        // What is behind the content fills the file up to a multiple of its alignment.
        let len = le32(section, 8)?.min(le32(section, 16)?);
        found.push((*role, bytes.slice(le32(section, 20)?.into(), len.into())?));
    }
    Ok(found)
}
