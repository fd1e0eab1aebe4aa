//! GRUB on a CD, which is a disk as well when the image is written on one.
//!
//! | booted as | firmware loads | that loads |
//! |---|---|---|
//! | CD | `cdboot.img`, the first sector of the image that El Torito names | the core image behind it |
//! | disk | `boot_hybrid.img` in the first sector of the disk | the same core image, by its own block list |
//!
//! Source: GRUB's `boot/i386/pc/cdboot.S` and `boot.S`, `util/mkimage.c`; xorriso's `--grub2-boot-info` for the fields.

use std::path::Path;

use super::{Files, GrubError, LinuxEntry, core_image};
use crate::output::mbr;

/// Bytes in a sector of a CD.
const SECTOR: usize = 2048;
/// Sectors of a disk in one of a CD.
const PER_SECTOR: u64 = 4;
/// In `boot_hybrid.img`: the disk sector of the core image (`u64`).
const HYBRID_CORE: usize = 0x1B0;
/// In `cdboot.img`: the boot information table, four `u32`.
const INFO: usize = 8;
/// The check sum counts from here.
const SUMMED_FROM: usize = 64;
/// Where ISO 9660 has its volume descriptor.
const VOLUME_DESCRIPTOR: u32 = 16;

/// GRUB as it goes on a CD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CdCode {
    /// The code part of the first sector, for disks.
    pub mbr: [u8; mbr::CODE],
    /// The boot image: whole sectors of a disk.
    pub image: Vec<u8>,
}

/// Builds GRUB for the boot image at `sector` of the CD. It boots `entry`, of which kernel and initrd are lists of sectors of 512
/// bytes, at once and without a menu.
///
/// # Errors
/// As [`super::boot_code`]; `room` is what the boot image may have in bytes.
pub fn cd_code(dir: &Path, entry: &LinuxEntry<'_>, sector: u32, room: usize) -> Result<CdCode, GrubError> {
    let files = Files { dir };
    let core_sector = (u64::from(sector) + 1) * PER_SECTOR;
    let modules = core_image::modules(&files, &["biosdisk", "linux16"], entry)?;
    let core = core_image::build(&files, &modules, &entry.config()?, "/", core_sector)?;
    let mut image = files.sized::<SECTOR>("cdboot.img")?.to_vec();
    image.extend(core);
    if image.len() > room {
        return Err(GrubError::NoRoom { len: image.len(), room });
    }
    let words = image[SUMMED_FROM..].chunks_exact(4);
    let sum = words
        .fold(0, |sum: u32, word| sum.wrapping_add(u32::from_le_bytes([word[0], word[1], word[2], word[3]])));
    let info = [VOLUME_DESCRIPTOR, sector, image.len() as u32, sum];
    for (field, value) in image[INFO..].chunks_exact_mut(4).zip(info) {
        field.copy_from_slice(&value.to_le_bytes());
    }
    let hybrid = files.sized::<512>("boot_hybrid.img")?;
    let mut mbr = [0; mbr::CODE];
    mbr.copy_from_slice(&hybrid[..mbr::CODE]);
    mbr[HYBRID_CORE..HYBRID_CORE + 8].copy_from_slice(&core_sector.to_le_bytes());
    Ok(CdCode { mbr, image })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::output::grub::DEFAULT_DIR;

    #[test]
    fn the_image_is_grub_mkimages_but_for_compression_and_what_it_is_told() {
        let entry = LinuxEntry { kernel: "1+2", initrd: "3+4", cmdline: "a=b", cmdline_limit: 2047 };
        let code = cd_code(Path::new(DEFAULT_DIR), &entry, 40, 1 << 20).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (config, out) = (dir.path().join("config"), dir.path().join("image"));
        std::fs::write(&config, entry.config().unwrap()).unwrap();
        let mkimage = Command::new("grub-mkimage")
            .args(["-O", "i386-pc-eltorito", "-p", "/", "-d", DEFAULT_DIR, "-c"])
            .arg(&config)
            .arg("-o")
            .arg(&out)
            .args(["biosdisk", "linux16"])
            .output()
            .expect("running grub-mkimage (package grub-common)");
        assert!(mkimage.status.success(), "{}", String::from_utf8_lossy(&mkimage.stderr));
        let theirs = std::fs::read(out).unwrap();
        // The boot information table, the block list, and the two sizes of `lzma_decompress.img` differ.
        let told = [8..24, 2548..2558, 2568..2576];
        for at in (0..2048 + 512 + 2848).filter(|at| !told.iter().any(|range| range.contains(at))) {
            assert_eq!(code.image[at], theirs[at], "byte {at}");
        }
        assert_eq!(code.image[12..16], 40_u32.to_le_bytes());
        assert_eq!(code.image[2548..2556], 165_u64.to_le_bytes());
        assert_eq!(code.mbr[0x1B0..], 164_u64.to_le_bytes());
    }
}
