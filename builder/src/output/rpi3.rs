//! `rpi3`: the files of an SD card that a Raspberry Pi 3 boots from.
//!
//! They are extracted onto the card's first partition, which is FAT. LinuxKit puts U-Boot between firmware and kernel; the firmware
//! boots 64-bit kernels itself since 2018, so here it does. Source: the Raspberry Pi documentation, "config.txt", "Boot options".
//!
//! | file | content |
//! |---|---|
//! | `bootcode.bin`, `start.elf`, `fixup.dat` | the firmware |
//! | `bcm2710-rpi-3-b*.dtb`, `bcm2837-rpi-3-b*.dtb` | what is on the board: the Foundation's kernels' name, and everybody else's |
//! | `config.txt`, `cmdline.txt` | what the firmware is told, and tells the kernel |
//! | `kernel8.img`, `initrd.img` | an `Image`, unpacked; the initrd |

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::{Format, Job, OutputError, member, vmlinux};
use crate::bounded;
use crate::tree::{Content, Tree, split};

/// `NAME.tar`.
#[derive(Debug, Clone, Copy)]
pub struct Rpi3;

const NAME: &str = "rpi3";
/// Where Debian's package `raspi-firmware` has the firmware.
const DEFAULT_DIR: &str = "/usr/lib/raspi-firmware";
/// The environment variable that names another directory.
const DIR_VARIABLE: &str = "LKB_RPI_DIR";
/// Directories of the machine with firmware or device trees: those of LinuxKit's kernels, and Debian's.
const PLACES: [&str; 4] = ["boot", "boot/dtb/broadcom", "usr/lib/raspi-firmware", "lib/raspi-firmware"];
/// Debian's kernels have device trees in `usr/lib/linux-image-RELEASE/broadcom`.
const DEBIAN: (&[u8], &[u8]) = (b"usr/lib/linux-image-", b"/broadcom");

const FIRMWARE: [&str; 3] = ["bootcode.bin", "start.elf", "fixup.dat"];
/// What the names of the board's device trees begin with.
const BOARDS: [&str; 2] = ["bcm2710-rpi-3-b", "bcm2837-rpi-3-b"];
/// No file of the firmware has a quarter of this, in bytes.
const LIMIT: u64 = 16 << 20;

const CONFIG: &str = "arm_64bit=1\nenable_uart=1\nkernel=kernel8.img\ninitramfs initrd.img followkernel\n";

impl Format for Rpi3 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![format!("{name}.tar")]
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let machine = job.machine;
        let kernel = machine.kernel.as_ref().ok_or_else(|| OutputError::no_kernel(NAME))?;
        let kernel = vmlinux::unpacked_content(kernel)
            .map_err(|source| OutputError::Disk { format: NAME, source: Box::new(source) })?;
        let mut start = Vec::new();
        kernel
            .reader()
            .take(64)
            .read_to_end(&mut start)
            .map_err(OutputError::io("read", Path::new("the kernel")))?;
        if !vmlinux::is_image(&start) {
            let reason = "the kernel is not one for arm64; build with --arch arm64".into();
            return Err(OutputError::Unfit { format: NAME, reason });
        }
        let dir = std::env::var_os(DIR_VARIABLE).map_or_else(|| PathBuf::from(DEFAULT_DIR), PathBuf::from);
        let board = board(&machine.root, &dir)?;
        let initrd = job.initrd()?;
        let mut initrd_file = File::open(initrd).map_err(OutputError::io("read", initrd))?;
        let initrd_len = initrd_file.metadata().map_err(OutputError::io("read", initrd))?.len();
        // The firmware reads one line.
        let cmdline = format!("{}\n", machine.cmdline);

        let file = job.create(&format!("{}.tar", job.name))?;
        let path = file.path().to_owned();
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let mut add = |name: &str, content: &mut dyn Read, len: u64| {
            member::append(&mut out, name, content, len).map_err(OutputError::io("write", &path))
        };
        for (name, content) in &board {
            add(name, &mut content.reader(), content.len())?;
        }
        add("config.txt", &mut CONFIG.as_bytes(), CONFIG.len() as u64)?;
        add("cmdline.txt", &mut cmdline.as_bytes(), cmdline.len() as u64)?;
        add("kernel8.img", &mut kernel.reader(), kernel.len())?;
        add("initrd.img", &mut initrd_file, initrd_len)?;
        out.write_all(&member::END).and_then(|()| out.flush()).map_err(OutputError::io("write", &path))
    }
}

/// Firmware and device trees, by name: out of the machine, and what it does not have out of `dir`.
fn board(root: &Tree, dir: &Path) -> Result<BTreeMap<String, Content>, OutputError> {
    let mut found = BTreeMap::new();
    for (path, _) in root.iter() {
        let (parent, name) = split(path);
        let of_debian = parent.starts_with(DEBIAN.0) && parent.ends_with(DEBIAN.1);
        if let Ok(name) = std::str::from_utf8(name)
            && (of_debian || PLACES.iter().any(|place| place.as_bytes() == parent))
            && is_wanted(name)
            && let Some(content) = root.file(path)
        {
            found.entry(name.to_owned()).or_insert_with(|| content.clone());
        }
    }
    for path in files(dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if is_wanted(&name) && !found.contains_key(&name) {
            found.insert(name, read(&path)?);
        }
    }
    let mut missing: Vec<&str> = FIRMWARE.into_iter().filter(|name| !found.contains_key(*name)).collect();
    if !found.keys().any(|name| is_device_tree(name)) {
        missing.push("a device tree (bcm2837-rpi-3-b.dtb)");
    }
    match missing[..] {
        [] => Ok(found),
        _ => Err(OutputError::Unfit {
            format: NAME,
            reason: format!(
                "{} is neither in the machine (in /{}, or where Debian's kernels have device trees) nor in {}; add an image with \
                 the Raspberry Pi's firmware to `init:`, install the Debian package raspi-firmware, or name a directory in \
                 {DIR_VARIABLE}",
                missing.join(", "),
                PLACES.join(", /"),
                dir.display()
            ),
        }),
    }
}

fn is_wanted(name: &str) -> bool {
    FIRMWARE.contains(&name) || is_device_tree(name)
}

fn is_device_tree(name: &str) -> bool {
    BOARDS.iter().any(|board| name.starts_with(board)) && name.ends_with(".dtb")
}

/// What is in a directory, if it is there.
fn files(dir: &Path) -> Result<Vec<PathBuf>, OutputError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(OutputError::io("read the directory", dir)(source)),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    paths.map_err(OutputError::io("read the directory", dir))
}

fn read(path: &Path) -> Result<Content, OutputError> {
    match bounded::read(path, LIMIT).map_err(OutputError::io("read", path))? {
        Some(bytes) => Ok(bytes.into()),
        None => Err(OutputError::Unfit {
            format: NAME,
            reason: format!("{} has more than 16 MiB, and no file of the firmware has", path.display()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::image::Cache;
    use crate::output::{Machine, Settings, write};
    use crate::tree::{Node, Origin};

    fn tree(files: &[&str]) -> Tree {
        let mut root = Tree::new();
        for path in files {
            let node = Node::file(path.as_bytes(), 0o644, &Arc::new(Origin::default()));
            root.insert(path.as_bytes(), node).unwrap();
        }
        root
    }

    const WHOLE: [&str; 5] = [
        "init",
        "usr/lib/raspi-firmware/bootcode.bin",
        "usr/lib/raspi-firmware/start.elf",
        "usr/lib/raspi-firmware/fixup.dat",
        "usr/lib/linux-image-6.1.0-1-arm64/broadcom/bcm2837-rpi-3-b-plus.dtb",
    ];

    fn build(root: Tree, kernel: Vec<u8>) -> Result<tempfile::TempDir, OutputError> {
        let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let cache = Cache::open(dir.path()).unwrap();
        let machine = Machine {
            kernel: Some(kernel.into()),
            cmdline: "console=ttyS1,115200".into(),
            root,
            ..Machine::default()
        };
        write(&machine, &cache, out.path(), "pi", Settings::default(), &[&Rpi3]).map(|_| out)
    }

    fn image() -> Vec<u8> {
        let mut image = vec![0; 3000];
        image[56..60].copy_from_slice(b"ARM\x64");
        image
    }

    #[test]
    fn the_card_has_firmware_kernel_and_what_they_are_told() {
        let out = build(tree(&WHOLE), image()).unwrap();
        let listed = std::process::Command::new("tar")
            .current_dir(out.path())
            .args(["-xvf", "pi.tar"])
            .output()
            .expect("running tar");
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        assert_eq!(
            String::from_utf8(listed.stdout).unwrap().lines().collect::<Vec<_>>(),
            [
                "bcm2837-rpi-3-b-plus.dtb",
                "bootcode.bin",
                "fixup.dat",
                "start.elf",
                "config.txt",
                "cmdline.txt",
                "kernel8.img",
                "initrd.img"
            ]
        );
        let read = |name: &str| fs::read(out.path().join(name)).unwrap();
        assert_eq!(read("start.elf"), b"usr/lib/raspi-firmware/start.elf");
        assert_eq!(read("cmdline.txt"), b"console=ttyS1,115200\n");
        assert_eq!(read("kernel8.img"), image());
        let config = String::from_utf8(read("config.txt")).unwrap();
        for named in
            config.lines().filter_map(|line| line.strip_prefix("kernel=").or(line.strip_prefix("initramfs ")))
        {
            assert!(out.path().join(named.split(' ').next().unwrap()).exists(), "{named}");
        }
        let again = build(tree(&WHOLE), image()).unwrap();
        assert!(read("pi.tar") == fs::read(again.path().join("pi.tar")).unwrap());
    }

    #[test]
    fn what_is_missing_is_named_with_what_to_do() {
        let error = board(&tree(&WHOLE[..2]), Path::new("/nonexistent")).unwrap_err().to_string();
        for part in ["start.elf, fixup.dat, a device tree", "/nonexistent", "raspi-firmware", DIR_VARIABLE] {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
        assert!(!error.contains("bootcode.bin"), "{error}");
        let error = build(tree(&WHOLE), b"\x7fELF".to_vec()).unwrap_err().to_string();
        assert!(error.contains("--arch arm64"), "{error}");
    }

    #[test]
    fn a_directory_has_what_the_machine_has_not_and_the_machine_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["bootcode.bin", "start.elf", "fixup.dat", "bcm2710-rpi-3-b.dtb", "start4.elf"] {
            fs::write(dir.path().join(name), b"directory").unwrap();
        }
        let found = board(&tree(&WHOLE[..3]), dir.path()).unwrap();
        let of = |name: &str| found[name].read_all(100).unwrap();
        assert_eq!(of("start.elf"), b"usr/lib/raspi-firmware/start.elf");
        assert_eq!(of("fixup.dat"), b"directory");
        assert_eq!(found.len(), 4);
    }
}
