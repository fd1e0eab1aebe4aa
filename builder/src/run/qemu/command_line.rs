//! A plan → the arguments of `qemu-system-x86_64`.
//!
//! The machine is a `pc`: its CD drive hangs on PIIX IDE, which distribution kernels for clouds still know when they
//! have given up AHCI. Disks, network and random numbers are virtio.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::super::disk::Format;
use super::super::publish::Published;

/// All that is known when QEMU is started; every path is absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What is booted.
    pub boot: Boot,
    /// EFI firmware, instead of QEMU's BIOS.
    pub firmware: Option<Firmware>,
    /// Memory in MiB.
    pub memory: u32,
    /// Number of processors.
    pub cpus: u32,
    /// `-cpu`.
    pub cpu_model: &'static str,
    /// `-accel`, in the order in which they are tried.
    pub accelerators: Vec<String>,
    /// Data disks.
    pub disks: Vec<Drive>,
    /// The image of the metadata CD.
    pub metadata_cd: Option<PathBuf>,
    /// The network.
    pub network: Network,
    /// Where the first serial port leads.
    pub console: Console,
    /// Where to listen for QMP.
    pub qmp: Vec<PathBuf>,
    /// Where QEMU writes its process number.
    pub pid_file: PathBuf,
    /// Whether there is a window.
    pub gui: bool,
    /// Whether QEMU becomes a daemon.
    pub detach: bool,
}

/// What is booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// A disk. It is attached read-only: nothing in our images writes to it, and two machines can use one image.
    Disk(Drive),
    /// A CD.
    Iso(PathBuf),
    /// A kernel that QEMU loads itself.
    Kernel {
        /// The kernel.
        kernel: PathBuf,
        /// The initrd.
        initrd: PathBuf,
        /// The command line.
        cmdline: String,
    },
    /// An EFI program that has all of this in it.
    Program(PathBuf),
}

/// EFI firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firmware {
    /// The code.
    pub code: PathBuf,
    /// The machine's own variable store; `None` where it is in the same file, and nothing is kept.
    pub variables: Option<PathBuf>,
}

/// A disk image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// The image.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
}

/// The network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// There is none.
    None,
    /// QEMU's own.
    User {
        /// The machine's MAC address.
        mac: String,
        /// Ports that lead from the host to the machine.
        publish: Vec<Published>,
    },
}

/// Where the first serial port leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Console {
    /// To standard input and output.
    Terminal {
        /// Whether these are a terminal: then all keys go to the machine, and Ctrl-A leads to QEMU's monitor.
        interactive: bool,
        /// Where what is shown is written as well.
        copy: Option<PathBuf>,
    },
    /// To a file.
    File(PathBuf),
}

/// QEMU's arguments for a plan.
#[must_use]
pub fn command_line(plan: &Plan) -> Vec<OsString> {
    let mut args = Arguments::default();
    args.option("-machine", "pc");
    for accelerator in &plan.accelerators {
        args.option("-accel", accelerator);
    }
    args.option("-cpu", plan.cpu_model);
    args.option("-smp", plan.cpus.to_string());
    args.option("-m", format!("{}M", plan.memory));
    args.flag("-nodefaults");
    if plan.gui {
        args.option("-vga", "std");
    } else {
        args.option("-display", "none");
    }
    if let Some(firmware) = &plan.firmware {
        let flash = "if=pflash,format=raw,";
        args.option("-drive", property(&format!("{flash}readonly=on,file="), &firmware.code, ""));
        if let Some(variables) = &firmware.variables {
            args.option("-drive", property(&format!("{flash}file="), variables, ""));
        }
    }
    boot(&mut args, &plan.boot);
    for drive in &plan.disks {
        args.option("-drive", disk(drive, ""));
    }
    if let Some(cd) = &plan.metadata_cd {
        args.option("-drive", cdrom(cd));
    }
    network(&mut args, &plan.network);
    args.option("-object", "rng-random,id=rng0,filename=/dev/urandom");
    args.option("-device", "virtio-rng-pci,rng=rng0");
    console(&mut args, &plan.console);
    for path in &plan.qmp {
        args.option("-qmp", property("unix:", path, ",server=on,wait=off"));
    }
    args.option("-pidfile", &plan.pid_file);
    if plan.detach {
        args.flag("-daemonize");
    }
    args.0
}

fn boot(args: &mut Arguments, boot: &Boot) {
    match boot {
        Boot::Disk(drive) => args.option("-drive", disk(drive, ",readonly=on")),
        Boot::Iso(path) => {
            args.option("-drive", cdrom(path));
            args.option("-boot", "order=d");
        }
        Boot::Kernel { kernel, initrd, cmdline } => {
            args.option("-kernel", kernel);
            args.option("-initrd", initrd);
            args.option("-append", cmdline);
        }
        Boot::Program(path) => args.option("-kernel", path),
    }
}

fn network(args: &mut Arguments, network: &Network) {
    let Network::User { mac, publish } = network else { return };
    let mut netdev = "user,id=net0".to_owned();
    for Published { host, guest, protocol } in publish {
        netdev += &format!(",hostfwd={protocol}::{host}-:{guest}");
    }
    args.option("-netdev", netdev);
    // Without its boot ROM: nothing boots from the network, and the firmware need not try.
    args.option("-device", format!("virtio-net-pci,netdev=net0,mac={mac},romfile="));
}

fn console(args: &mut Arguments, console: &Console) {
    let (mut chardev, interactive) = match console {
        Console::File(path) => (property("file,id=console,path=", path, ""), false),
        Console::Terminal { interactive: true, .. } => ("stdio,id=console,mux=on,signal=off".into(), true),
        Console::Terminal { interactive: false, .. } => (OsString::from("stdio,id=console,signal=on"), false),
    };
    if let Console::Terminal { copy: Some(path), .. } = console {
        chardev.push(property(",logfile=", path, ",logappend=off"));
    }
    args.option("-chardev", chardev);
    args.option("-serial", "chardev:console");
    if interactive {
        args.option("-mon", "chardev=console,mode=readline");
    }
}

fn disk(drive: &Drive, extra: &str) -> OsString {
    property("file=", &drive.path, &format!(",format={},if=virtio{extra}", drive.format.name()))
}

fn cdrom(path: &Path) -> OsString {
    property("file=", path, ",format=raw,if=ide,media=cdrom,readonly=on")
}

/// `before` + path + `after`, with the path's commas doubled as QEMU's option parser wants them.
fn property(before: &str, path: &Path, after: &str) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut bytes = before.as_bytes().to_vec();
    for byte in path.as_os_str().as_bytes() {
        bytes.push(*byte);
        if *byte == b',' {
            bytes.push(b',');
        }
    }
    bytes.extend(after.as_bytes());
    OsString::from_vec(bytes)
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn flag(&mut self, name: &str) {
        self.0.push(name.into());
    }

    fn option(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.0.push(name.into());
        self.0.push(value.as_ref().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::publish::Protocol;

    fn plan() -> Plan {
        Plan {
            boot: Boot::Disk(Drive { path: "/m.qcow2".into(), format: Format::Qcow2 }),
            firmware: None,
            memory: 1024,
            cpus: 1,
            cpu_model: "max",
            accelerators: vec!["tcg,thread=multi".into()],
            disks: vec![],
            metadata_cd: None,
            network: Network::None,
            console: Console::Terminal { interactive: false, copy: None },
            qmp: Vec::new(),
            pid_file: "/s/qemu.pid".into(),
            gui: false,
            detach: false,
        }
    }

    fn text(plan: &Plan) -> String {
        command_line(plan).into_iter().map(|arg| arg.into_string().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_disk_image_alone_runs_with_this() {
        assert_eq!(
            text(&plan()),
            "-machine pc -accel tcg,thread=multi -cpu max -smp 1 -m 1024M -nodefaults -display none \
             -drive file=/m.qcow2,format=qcow2,if=virtio,readonly=on \
             -object rng-random,id=rng0,filename=/dev/urandom -device virtio-rng-pci,rng=rng0 \
             -chardev stdio,id=console,signal=on -serial chardev:console -pidfile /s/qemu.pid"
        );
    }

    #[test]
    fn every_part_of_a_plan_has_its_arguments() {
        let published = Published { host: 8080, guest: 80, protocol: Protocol::Tcp };
        let udp = Published { host: 53, guest: 5353, protocol: Protocol::Udp };
        let kernel =
            || Boot::Kernel { kernel: "/k".into(), initrd: "/i".into(), cmdline: "a=\"b c\",d".into() };
        let drive = |path: &str| Drive { path: path.into(), format: Format::Raw };
        let firmware = |variables: Option<&str>| {
            Some(Firmware { code: "/CODE.fd".into(), variables: variables.map(PathBuf::from) })
        };
        let cases: [(Plan, &str); 14] = [
            (Plan { boot: kernel(), ..plan() }, "-kernel /k -initrd /i -append a=\"b c\",d -object"),
            (
                Plan { boot: Boot::Iso("/m.iso".into()), ..plan() },
                "-drive file=/m.iso,format=raw,if=ide,media=cdrom,readonly=on -boot order=d",
            ),
            (
                Plan {
                    firmware: firmware(Some("/s/v,ars.fd")),
                    boot: Boot::Program("/m.efi".into()),
                    ..plan()
                },
                "-drive if=pflash,format=raw,readonly=on,file=/CODE.fd -drive if=pflash,format=raw,file=/s/v,,ars.fd \
                 -kernel /m.efi -object",
            ),
            (
                Plan { firmware: firmware(None), ..plan() },
                "-drive if=pflash,format=raw,readonly=on,file=/CODE.fd -drive file=/m.qcow2",
            ),
            (
                Plan { disks: vec![drive("/a,b"), drive("/c")], ..plan() },
                "readonly=on -drive file=/a,,b,format=raw,if=virtio -drive file=/c,format=raw,if=virtio -object",
            ),
            (
                Plan { metadata_cd: Some("/s/data.iso".into()), ..plan() },
                "-drive file=/s/data.iso,format=raw,if=ide,media=cdrom,readonly=on",
            ),
            (
                Plan {
                    network: Network::User { mac: "02:00:00:00:00:01".into(), publish: vec![published, udp] },
                    ..plan()
                },
                "-netdev user,id=net0,hostfwd=tcp::8080-:80,hostfwd=udp::53-:5353 \
                 -device virtio-net-pci,netdev=net0,mac=02:00:00:00:00:01,romfile= ",
            ),
            (
                Plan { console: Console::Terminal { interactive: true, copy: None }, ..plan() },
                "-chardev stdio,id=console,mux=on,signal=off -serial chardev:console -mon chardev=console,mode=readline",
            ),
            (
                Plan {
                    console: Console::Terminal { interactive: false, copy: Some("/log".into()) },
                    ..plan()
                },
                "-chardev stdio,id=console,signal=on,logfile=/log,logappend=off -serial chardev:console",
            ),
            (
                Plan { console: Console::File("/s/console.log".into()), detach: true, ..plan() },
                "-chardev file,id=console,path=/s/console.log -serial chardev:console -pidfile /s/qemu.pid -daemonize",
            ),
            (Plan { qmp: vec!["/s/q,mp".into()], ..plan() }, "-qmp unix:/s/q,,mp,server=on,wait=off"),
            (Plan { gui: true, ..plan() }, "-nodefaults -vga std -drive"),
            (Plan { cpus: 4, memory: 512, ..plan() }, "-smp 4 -m 512M"),
            (
                Plan { accelerators: vec!["kvm".into(), "tcg".into()], cpu_model: "host", ..plan() },
                "-accel kvm -accel tcg -cpu host",
            ),
        ];
        for (plan, expected) in cases {
            let line = text(&plan);
            assert!(line.contains(expected), "{expected}\nis not in\n{line}");
        }
    }

    #[test]
    fn a_reboot_of_the_machine_is_not_its_end() {
        assert!(!text(&plan()).contains("-no-reboot"));
    }
}
