//! VMware Workstation: a machine is described in a `.vmx` file, and started with `vmrun`.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

use super::disk::DiskRequest;
use crate::size::Size;

/// What makes data disks.
const DISK_MANAGER: &str = "vmware-vdiskmanager";
/// What starts machines.
const RUNNER: &str = "vmrun";
/// Most disks: the controller itself has the place 7 of 16.
const MAX_DISKS: usize = 14;

/// What is run, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The boot disk, with or without its `.vmdk`.
    pub path: PathBuf,
    /// Where the machine keeps its state; `PATH-state` if nothing is said.
    pub state: Option<PathBuf>,
    /// Memory in MiB.
    pub memory: u32,
    /// Number of processors.
    pub cpus: u32,
    /// Data disks.
    pub disks: Vec<DiskRequest>,
}

/// Why VMware does not run it.
#[derive(Debug, Error)]
pub enum VmwareError {
    /// The boot disk is not there.
    #[error("cannot use {}: {source}; `lkb build --format vmdk` makes it", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A data disk cannot be had like this.
    #[error("cannot give the machine a disk: {0}")]
    Disk(String),
    /// Something of ours cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Path {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program is not there.
    #[error("cannot start {program}: {source}; it comes with VMware Workstation, and must be in PATH")]
    Program {
        /// The program.
        program: &'static str,
        /// Why it does not start.
        source: io::Error,
    },
    /// A program fails.
    #[error("`{command}` fails: {complaint}")]
    Refused {
        /// What was called.
        command: String,
        /// What it says.
        complaint: String,
    },
}

/// Starts a machine, and returns its `.vmx` file; VMware shows it.
///
/// # Errors
/// When its disks are not there, or VMware is not, or refuses.
pub fn run(options: &Options) -> Result<PathBuf, VmwareError> {
    let prefix = prefix(&options.path);
    let image = suffixed(&prefix, ".vmdk");
    let image = image.canonicalize().map_err(|source| VmwareError::Image { path: image, source })?;
    let state = options.state.clone().unwrap_or_else(|| suffixed(&prefix, "-state"));
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| VmwareError::Path { path, source }
    };
    std::fs::create_dir_all(&state).map_err(failed(&state))?;
    let state = state.canonicalize().map_err(failed(&state))?;
    let disks = disks(options, &state)?;
    for disk in &disks {
        if !disk.path.exists() {
            let file = disk.path.to_string_lossy().into_owned();
            let size = format!("{}MB", disk.mebibytes);
            call(DISK_MANAGER, &["-c", "-s", &size, "-a", "lsilogic", "-t", "0", &file])?;
        }
    }
    let vmx = state.join("linuxkit.vmx");
    let paths: Vec<&Path> =
        [image.as_path()].into_iter().chain(disks.iter().map(|disk| disk.path.as_path())).collect();
    let name = prefix.file_name().unwrap_or_default().to_string_lossy();
    std::fs::write(&vmx, describe(&name, options.cpus, options.memory, &paths)).map_err(failed(&vmx))?;
    call(RUNNER, &["-T", "ws", "start", &vmx.to_string_lossy()])?;
    Ok(vmx)
}

fn call(program: &'static str, arguments: &[&str]) -> Result<(), VmwareError> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|source| VmwareError::Program { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    // vmrun complains on its standard output.
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said).split_whitespace().collect::<Vec<_>>().join(" ");
    let complaint = if said.is_empty() { output.status.to_string() } else { said };
    Err(VmwareError::Refused { command: format!("{program} {}", arguments.join(" ")), complaint })
}

#[derive(Debug, PartialEq, Eq)]
struct Disk {
    path: PathBuf,
    /// Its size when it must be made.
    mebibytes: u64,
}

fn disks(options: &Options, state: &Path) -> Result<Vec<Disk>, VmwareError> {
    if options.disks.len() > MAX_DISKS {
        return Err(VmwareError::Disk(format!("there are more than {MAX_DISKS}")));
    }
    let disk = |(n, request): (usize, &DiskRequest)| {
        let path = match &request.path {
            Some(path) => std::path::absolute(path)
                .map_err(|source| VmwareError::Path { path: path.clone(), source })?,
            // The first has no number, as LinuxKit's.
            None => state.join(format!("disk{}.vmdk", if n == 0 { String::new() } else { n.to_string() })),
        };
        if request.format.is_some() || path.extension().is_none_or(|extension| extension != "vmdk") {
            return Err(VmwareError::Disk(format!(
                "{} is to be a .vmdk by its name, without format=",
                path.display()
            )));
        }
        let mebibytes = request.size.map(Size::bytes).unwrap_or_default().div_ceil(1 << 20);
        if mebibytes == 0 && !path.exists() {
            return Err(VmwareError::Disk(format!(
                "{} is not there; give its size with size=",
                path.display()
            )));
        }
        Ok(Disk { path, mebibytes })
    };
    options.disks.iter().enumerate().map(disk).collect()
}

/// The `.vmx` file of a machine with these disks, the first of which it boots.
fn describe(name: &str, cpus: u32, memory: u32, disks: &[&Path]) -> String {
    let mut vmx = String::new();
    let mut set = |key: &str, value: &str| {
        // Writing to a string cannot fail.
        let _written = writeln!(vmx, "{key} = \"{}\"", quoted(value));
    };
    for (key, value) in [
        ("config.version", "8"),
        // Workstation 12 and Fusion 8, and everything newer.
        ("virtualHW.version", "12"),
        ("vmci0.present", "TRUE"),
        ("floppy0.present", "FALSE"),
        ("displayName", name),
        ("guestOS", "other3xlinux-64"),
        ("numvcpus", &cpus.to_string()),
        ("memsize", &memory.to_string()),
        ("scsi0.present", "TRUE"),
        ("scsi0.sharedBus", "none"),
        ("scsi0.virtualDev", "lsilogic"),
    ] {
        set(key, value);
    }
    for (place, disk) in (0..).filter(|place| *place != 7).zip(disks) {
        set(&format!("scsi0:{place}.present"), "TRUE");
        set(&format!("scsi0:{place}.fileName"), &disk.to_string_lossy());
        set(&format!("scsi0:{place}.deviceType"), "scsi-hardDisk");
    }
    set("pciBridge0.present", "TRUE");
    for bridge in 4..=7 {
        set(&format!("pciBridge{bridge}.present"), "TRUE");
        set(&format!("pciBridge{bridge}.virtualDev"), "pcieRootPort");
        set(&format!("pciBridge{bridge}.functions"), "8");
    }
    for (key, value) in [
        ("ethernet0.present", "TRUE"),
        ("ethernet0.virtualDev", "e1000"),
        ("ethernet0.networkName", "Inside"),
        ("ethernet0.generatedAddressOffset", "0"),
        ("ethernet0.pciSlotNumber", "32"),
    ] {
        set(key, value);
    }
    vmx
}

/// VMware writes what would end a value as `|` and two hexadecimal digits.
fn quoted(value: &str) -> String {
    let special = |c: char| c.is_ascii_control() || "\"|#".contains(c);
    value.chars().map(|c| if special(c) { format!("|{:02X}", u32::from(c)) } else { c.to_string() }).collect()
}

fn prefix(path: &Path) -> PathBuf {
    match path.extension() {
        Some(extension) if extension == "vmdk" => path.with_extension(""),
        _ => path.to_owned(),
    }
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_described_with_its_disks() {
        let many: Vec<PathBuf> = (0..9).map(|n| format!("/d/{n}.vmdk").into()).collect();
        let paths: Vec<&Path> = many.iter().map(PathBuf::as_path).collect();
        let vmx = describe("a \"b\"|", 2, 512, &paths);
        for line in [
            "config.version = \"8\"",
            "displayName = \"a |22b|22|7C\"",
            "numvcpus = \"2\"",
            "memsize = \"512\"",
            "scsi0:0.fileName = \"/d/0.vmdk\"",
            "scsi0:6.fileName = \"/d/6.vmdk\"",
            "scsi0:8.fileName = \"/d/7.vmdk\"",
            "scsi0:9.deviceType = \"scsi-hardDisk\"",
            "pciBridge7.functions = \"8\"",
            "ethernet0.virtualDev = \"e1000\"",
        ] {
            assert!(vmx.lines().any(|found| found == line), "{line}\nis not in\n{vmx}");
        }
        assert!(!vmx.contains("scsi0:7"));
    }

    #[test]
    fn disks_are_vmware_s_own() {
        let disks = |texts: &[&str]| {
            let disks = texts.iter().map(|text| text.parse().unwrap()).collect();
            let options = Options { path: "web".into(), state: None, memory: 1, cpus: 1, disks };
            super::disks(&options, Path::new("/s"))
        };
        assert_eq!(
            disks(&["size=1G", "size=5M", "/d/x.vmdk,size=2G"]).unwrap(),
            [("/s/disk.vmdk", 1024), ("/s/disk1.vmdk", 5), ("/d/x.vmdk", 2048)]
                .map(|(path, mebibytes)| Disk { path: path.into(), mebibytes })
        );
        for bad in ["/none.vmdk", "a.img,size=1G", "a.vmdk,size=1G,format=raw"] {
            assert!(matches!(disks(&[bad]), Err(VmwareError::Disk(_))), "{bad}");
        }
        assert!(disks(&["size=1G"; 15]).is_err());
    }

    #[test]
    fn the_boot_disk_is_named_with_or_without_its_extension() {
        assert_eq!(prefix(Path::new("o/web.vmdk")), prefix(Path::new("o/web")));
        assert_eq!(suffixed(&prefix(Path::new("v1.2")), ".vmdk"), Path::new("v1.2.vmdk"));
    }
}
