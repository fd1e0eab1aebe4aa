//! Whether a file is a disk that Azure takes.
//!
//! Sources: Microsoft's "Virtual Hard Disk Image Format Specification" 1.0, "Hard Disk Footer Format"; Azure's "Prepare a
//! Windows VHD or VHDX to upload to Azure".

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Length of the footer in bytes.
const FOOTER: u64 = 512;
/// What disks are of whole ones of.
const UNIT: u64 = 1 << 20;
const CHECKSUM: std::ops::Range<usize> = 64..68;
const FIXED: u32 = 2;

/// Why a file is none.
#[derive(Debug)]
pub enum Flaw {
    /// It cannot be read.
    Read(io::Error),
    /// It is something else.
    Content(String),
}

/// Looks at the footer of a file of `len` bytes.
pub fn check(file: &File, len: u64) -> Result<(), Flaw> {
    let Some(disk) = len.checked_sub(FOOTER) else { return Err(Flaw::Content("it has no footer".into())) };
    let mut footer = [0; FOOTER as usize];
    file.read_exact_at(&mut footer, disk).map_err(Flaw::Read)?;
    fits(&footer, disk).map_err(Flaw::Content)
}

fn fits(footer: &[u8; FOOTER as usize], disk: u64) -> Result<(), String> {
    let number = |at: usize| footer[at..at + 4].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    let sum = footer.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let own = footer[CHECKSUM].iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let size = u64::from(number(48)) << 32 | u64::from(number(52));
    if !footer.starts_with(b"conectix") {
        return Err("it does not end in a footer".into());
    }
    if number(CHECKSUM.start) != !(sum - own) {
        return Err("the checksum of its footer is wrong".into());
    }
    if number(60) != FIXED {
        return Err("it is a dynamic or a differencing disk, and Azure takes fixed ones".into());
    }
    if size != disk {
        return Err(format!("by its footer the disk has {size} bytes, and the file has {disk}"));
    }
    match size % UNIT {
        0 if size > 0 => Ok(()),
        _ => Err(format!("the disk has {size} bytes, and Azure takes whole mebibytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footer(size: u64, kind: u32) -> [u8; 512] {
        let mut footer = [0; 512];
        footer[..8].copy_from_slice(b"conectix");
        footer[48..56].copy_from_slice(&size.to_be_bytes());
        footer[60..64].copy_from_slice(&kind.to_be_bytes());
        let sum = footer.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        footer[CHECKSUM].copy_from_slice(&(!sum).to_be_bytes());
        footer
    }

    #[test]
    fn fixed_disks_of_whole_mebibytes_fit() {
        assert_eq!(fits(&footer(3 * UNIT, FIXED), 3 * UNIT), Ok(()));
        let mut broken = footer(UNIT, FIXED);
        broken[100] = 1;
        for (footer, disk, says) in [
            ([0; 512], UNIT, "does not end in a footer"),
            (broken, UNIT, "checksum"),
            (footer(UNIT, 3), UNIT, "Azure takes fixed ones"),
            (footer(UNIT, FIXED), 2 * UNIT, "by its footer the disk has 1048576 bytes"),
            (footer(UNIT + 512, FIXED), UNIT + 512, "whole mebibytes"),
            (footer(0, FIXED), 0, "whole mebibytes"),
        ] {
            let error = fits(&footer, disk).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_file_without_room_for_a_footer_is_none() {
        let file = tempfile::tempfile().unwrap();
        assert!(matches!(check(&file, 0), Err(Flaw::Content(_))));
    }
}
