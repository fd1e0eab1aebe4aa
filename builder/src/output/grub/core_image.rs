//! The core image: what `grub-mkimage -O i386-pc -c CONFIG -p PREFIX MODULE…` writes.
//!
//! | part | content |
//! |---|---|
//! | `diskboot.img` | one sector; loads the rest by the block list at its end |
//! | `lzma_decompress.img` | unpacks the rest above 1 MiB; told the two sizes |
//! | payload, as raw LZMA | kernel · `{"mimg", 12, length}` · objects |
//!
//! An object is `{type, length with this header, data padded to 4}`: the modules, the configuration, the prefix.
//! Source: GRUB's `util/mkimage.c` and `include/grub/kernel.h`.

use std::collections::HashSet;
use std::io::Write as _;

use lzma_rust2::{LzmaOptions, LzmaWriter};

use super::elf::{ALLOC, Elf, PROGBITS};
use super::{Files, GrubError, LinuxEntry, verbatim};

/// Where the decompressed kernel is linked to run.
const KERNEL_ADDRESS: u32 = 0x9000;
const MODULE_MAGIC: u32 = 0x676D_696D;

const OBJECT_MODULE: u32 = 0;
const OBJECT_CONFIG: u32 = 2;
const OBJECT_PREFIX: u32 = 3;

const DISKBOOT_LEN: usize = 512;
/// In `diskboot.img`: the first sector of what follows it (`u64`), and how many there are (`u16`).
const DISKBOOT_NEXT: usize = 500;
const DISKBOOT_COUNT: usize = 508;
/// In `lzma_decompress.img`: length of the packed payload (`u32`), then of the unpacked one.
const DECOMPRESS_PACKED: usize = 8;
const DECOMPRESS_UNPACKED: usize = 12;

/// A module, ready to be put into a core image.
pub struct Module {
    bytes: Vec<u8>,
}

/// The modules `wanted`, each after those it needs, ready to boot `entry`.
pub fn modules(files: &Files<'_>, wanted: &[&str], entry: &LinuxEntry<'_>) -> Result<Vec<Module>, GrubError> {
    let dependencies = files.read("moddep.lst")?;
    let names = in_dependency_order(&String::from_utf8_lossy(&dependencies), wanted)?;
    names
        .iter()
        .map(|name| {
            let mut bytes = files.read(&format!("{name}.mod"))?;
            if name == verbatim::MODULE && entry.needs_verbatim() {
                verbatim::apply(&mut bytes)?;
            }
            Ok(Module { bytes })
        })
        .collect()
}

/// The core image for sector `first` of the disk, padded to whole sectors.
pub fn build(
    files: &Files<'_>,
    modules: &[Module],
    config: &str,
    prefix: &str,
    first: u64,
) -> Result<Vec<u8>, GrubError> {
    let mut payload = kernel(&files.read("kernel.img")?)?;
    let objects = objects(modules, config, prefix);
    for word in [MODULE_MAGIC, 12, 12 + objects.len() as u32] {
        payload.extend(word.to_le_bytes());
    }
    payload.extend(objects);

    let packed = compress(&payload).map_err(GrubError::Compress)?;
    let mut core = files.sized::<DISKBOOT_LEN>("diskboot.img")?.to_vec();
    let mut decompress = files.read("lzma_decompress.img")?;
    let len = decompress.len();
    let sizes = decompress.get_mut(DECOMPRESS_PACKED..DECOMPRESS_UNPACKED + 4).ok_or(GrubError::Size {
        name: "lzma_decompress.img",
        len,
        expected: 2848,
    })?;
    sizes[..4].copy_from_slice(&(packed.len() as u32).to_le_bytes());
    sizes[4..].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    core.extend(decompress);
    core.extend(packed);
    core.resize(core.len().next_multiple_of(512), 0);

    let follow = u16::try_from(core.len() / 512 - 1)
        .map_err(|_| GrubError::NoRoom { len: core.len(), room: usize::from(u16::MAX) * 512 })?;
    core[DISKBOOT_NEXT..DISKBOOT_NEXT + 8].copy_from_slice(&(first + 1).to_le_bytes());
    core[DISKBOOT_COUNT..DISKBOOT_COUNT + 2].copy_from_slice(&follow.to_le_bytes());
    Ok(core)
}

/// The kernel as it lies in memory, without its zero-initialised part.
fn kernel(file: &[u8]) -> Result<Vec<u8>, GrubError> {
    let damaged = |source| GrubError::Elf { name: "kernel.img".to_owned(), source };
    let elf = Elf::parse(file).map_err(damaged)?;
    let mut image = Vec::new();
    for section in elf.sections().iter().filter(|s| s.kind == PROGBITS && s.flags & ALLOC != 0) {
        let content = elf.content(section).map_err(damaged)?;
        let start = section.address.checked_sub(KERNEL_ADDRESS).filter(|start| *start < 1 << 20);
        let start = start.ok_or(damaged(super::ElfError::Truncated))? as usize;
        if image.len() < start + content.len() {
            image.resize(start + content.len(), 0);
        }
        image[start..start + content.len()].copy_from_slice(content);
    }
    image.resize(image.len().next_multiple_of(4), 0);
    Ok(image)
}

fn objects(modules: &[Module], config: &str, prefix: &str) -> Vec<u8> {
    let mut objects = Vec::new();
    let mut object = |kind: u32, data: &[u8]| {
        let padded = data.len().next_multiple_of(4);
        objects.extend(kind.to_le_bytes());
        objects.extend((8 + padded as u32).to_le_bytes());
        objects.extend(data);
        objects.resize(objects.len() + padded - data.len(), 0);
    };
    for module in modules {
        object(OBJECT_MODULE, &module.bytes);
    }
    object(OBJECT_CONFIG, &[config.as_bytes(), b"\0"].concat());
    object(OBJECT_PREFIX, &[prefix.as_bytes(), b"\0"].concat());
    objects
}

/// Raw LZMA1 with the parameters that are built into GRUB's decompressor.
fn compress(payload: &[u8]) -> std::io::Result<Vec<u8>> {
    let options = LzmaOptions { dict_size: 1 << 16, lc: 3, lp: 0, pb: 2, ..LzmaOptions::with_preset(9) };
    let mut writer = LzmaWriter::new_no_header(Vec::new(), &options, false)?;
    writer.write_all(payload)?;
    writer.finish()
}

/// The named modules and all they need, each after what it needs, by the lines `name: need need …`.
fn in_dependency_order(moddep: &str, wanted: &[&str]) -> Result<Vec<String>, GrubError> {
    fn visit(
        name: &str,
        moddep: &str,
        seen: &mut HashSet<String>,
        order: &mut Vec<String>,
    ) -> Result<(), GrubError> {
        if !seen.insert(name.to_owned()) {
            return Ok(());
        }
        let needs = moddep
            .lines()
            .find_map(|line| line.split_once(':').filter(|(module, _)| module.trim() == name))
            .ok_or_else(|| GrubError::UnknownModule(name.to_owned()))?
            .1;
        // In `grub-mkimage`'s order, so that the two can be compared.
        for need in needs.split_whitespace().rev() {
            visit(need, moddep, seen, order)?;
        }
        order.push(name.to_owned());
        Ok(())
    }
    let (mut seen, mut order) = (HashSet::new(), Vec::new());
    for name in wanted {
        visit(name, moddep, &mut seen, &mut order)?;
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lzma_rust2::LzmaReader;
    use std::io::Read as _;
    use std::path::Path;
    use std::process::Command;

    const DIR: &str = super::super::DEFAULT_DIR;

    fn unpack(core: &[u8]) -> Vec<u8> {
        let field = |at: usize| u32::from_le_bytes(core[at..at + 4].try_into().unwrap());
        let (packed, unpacked) = (field(512 + 8), field(512 + 12));
        let len = std::fs::metadata(format!("{DIR}/lzma_decompress.img")).unwrap().len() as usize;
        let start = 512 + len;
        let stream = &core[start..start + packed as usize];
        let mut payload = Vec::new();
        LzmaReader::new(stream, u64::from(unpacked), 3, 0, 2, 1 << 16, None)
            .unwrap()
            .read_to_end(&mut payload)
            .unwrap();
        payload
    }

    #[test]
    fn the_payload_is_what_grub_mkimage_makes() {
        let place = super::super::Place::behind_mbr(1 << 20);
        let dir = tempfile::tempdir().unwrap();
        let entry = LinuxEntry { kernel: "/k", initrd: "/i", cmdline: "quiet", cmdline_limit: 2047 };
        let config = entry.config().unwrap();
        std::fs::write(dir.path().join("config"), &config).unwrap();
        let made = Command::new("grub-mkimage")
            .args(["-O", "i386-pc", "-p", "(,msdos1)/", "-d", DIR, "-c"])
            .arg(dir.path().join("config"))
            .arg("-o")
            .arg(dir.path().join("core.img"))
            .args(place.modules)
            .status();
        assert!(made.expect("grub-mkimage of grub-common, which grub-pc-bin needs").success());

        let files = Files { dir: Path::new(DIR) };
        let modules = modules(&files, place.modules, &entry).unwrap();
        let ours = build(&files, &modules, &config, place.prefix, place.first).unwrap();
        let theirs = unpack(&std::fs::read(dir.path().join("core.img")).unwrap());
        let ours = unpack(&ours);
        assert_eq!(ours.len(), theirs.len());
        assert_eq!((0..ours.len()).find(|at| ours[*at] != theirs[*at]), None, "the first byte that differs");
    }

    #[test]
    fn the_block_list_covers_the_whole_core() {
        let files = Files { dir: Path::new(DIR) };
        let core = build(&files, &[], "boot\n", "(,msdos1)/", 1).unwrap();
        assert_eq!(core.len() % 512, 0);
        assert_eq!(core[500..508], 2_u64.to_le_bytes());
        assert_eq!(usize::from(u16::from_le_bytes([core[508], core[509]])), core.len() / 512 - 1);
        assert_eq!(core[510..512], 0x820_u16.to_le_bytes());
    }

    #[test]
    fn modules_come_after_what_they_need() {
        let moddep = "fat: fshelp\nfshelp:\nlinux16: boot mmap\nmmap: boot\nboot:\n";
        assert_eq!(
            in_dependency_order(moddep, &["fat", "linux16"]).unwrap(),
            ["fshelp", "fat", "boot", "mmap", "linux16"]
        );
        assert!(
            matches!(in_dependency_order(moddep, &["zfs"]), Err(GrubError::UnknownModule(name)) if name == "zfs")
        );
        assert_eq!(in_dependency_order("a: b\nb: a\n", &["a"]).unwrap(), ["b", "a"], "a cycle ends");
    }
}
