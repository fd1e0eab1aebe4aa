//! A plan → QEMU's arguments.
//!
//! Disks, network and random numbers are virtio on every architecture; a CD is on IDE where a machine has that, else on
//! virtio's SCSI.

#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::arch::{Arch, Bus};
use super::plan::{Boot, Console, Drive, Network, Peer, Plan, Share};
use super::usb::Device;
use crate::run::disk::Format;
use crate::run::publish::Published;

/// QEMU's arguments for a plan.
#[must_use]
pub fn command_line(plan: &Plan) -> Vec<OsString> {
    let bus = plan.arch.bus();
    let mut args = Arguments::default();
    machine(&mut args, plan);
    if plan.gui {
        screen(&mut args, plan.arch);
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
    let mut cds = Cds { arch: plan.arch, count: 0 };
    boot(&mut args, &plan.boot, &mut cds);
    for drive in &plan.disks {
        args.option("-drive", disk(drive, ""));
    }
    if let Some(cd) = &plan.metadata_cd {
        cds.insert(&mut args, cd);
    }
    network(&mut args, &plan.network, bus);
    for share in &plan.shares {
        shared(&mut args, share, bus);
    }
    if let Some(devices) = &plan.usb {
        usb(&mut args, devices);
    }
    args.option("-object", "rng-random,id=rng0,filename=/dev/urandom");
    args.option("-device", format!("virtio-rng-{},rng=rng0", bus.suffix()));
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

fn machine(args: &mut Arguments, plan: &Plan) {
    // What virtiofsd reads and writes for the machine, it finds in memory that both have.
    let memory = if plan.shares.is_empty() { "" } else { ",memory-backend=memory" };
    args.option("-machine", format!("{}{memory}", plan.arch.machine()));
    for accelerator in &plan.accelerators {
        args.option("-accel", accelerator);
    }
    args.option("-cpu", plan.cpu_model);
    args.option("-smp", plan.cpus.to_string());
    args.option("-m", format!("{}M", plan.memory));
    if !plan.shares.is_empty() {
        args.option("-object", format!("memory-backend-memfd,id=memory,size={}M,share=on", plan.memory));
    }
    args.flag("-nodefaults");
}

fn screen(args: &mut Arguments, arch: Arch) {
    if arch == Arch::X86_64 {
        args.option("-vga", "std");
    } else {
        for device in ["virtio-gpu", "virtio-keyboard"] {
            args.option("-device", format!("{device}-{}", arch.bus().suffix()));
        }
    }
}

fn boot(args: &mut Arguments, boot: &Boot, cds: &mut Cds) {
    match boot {
        Boot::Disk(drive) => args.option("-drive", disk(drive, ",readonly=on")),
        Boot::Iso(path) => {
            cds.insert(args, path);
            if cds.arch == Arch::X86_64 {
                args.option("-boot", "order=d");
            }
        }
        Boot::Kernel { kernel, initrd, cmdline, root } => {
            args.option("-kernel", kernel);
            if let Some(initrd) = initrd {
                args.option("-initrd", initrd);
            }
            args.option("-append", cmdline);
            if let Some(root) = root {
                args.option("-drive", property("file=", root, ",format=raw,if=virtio,readonly=on"));
            }
        }
        Boot::Program(path) => args.option("-kernel", path),
    }
}

fn network(args: &mut Arguments, network: &Network, bus: Bus) {
    let Network::Card { mac, peer } = network else { return };
    let netdev = match peer {
        Peer::User(publish) => {
            let mut netdev = "user,id=net0".to_owned();
            for Published { host, guest, protocol } in publish {
                netdev += &format!(",hostfwd={protocol}::{host}-:{guest}");
            }
            netdev
        }
        Peer::Tap(interface) => format!("tap,id=net0,ifname={interface},script=no,downscript=no"),
        Peer::Bridge(bridge) => format!("bridge,id=net0,br={bridge}"),
    };
    args.option("-netdev", netdev);
    // Without its boot ROM: nothing boots from the network, and the firmware need not try.
    let rom = if bus == Bus::Pci { ",romfile=" } else { "" };
    args.option("-device", format!("virtio-net-{},netdev=net0,mac={mac}{rom}", bus.suffix()));
}

fn shared(args: &mut Arguments, share: &Share, bus: Bus) {
    let tag = &share.tag;
    args.option("-chardev", property(&format!("socket,id={tag},path="), &share.socket, ""));
    args.option("-device", format!("vhost-user-fs-{},chardev={tag},tag={tag}", bus.suffix()));
}

fn usb(args: &mut Arguments, devices: &[Device]) {
    args.option("-device", "qemu-xhci,id=usb");
    for (index, device) in devices.iter().enumerate() {
        match device {
            Device::Stick { file, format, properties } => {
                let format = format.unwrap_or(Format::Raw).name();
                args.option(
                    "-drive",
                    property("file=", file, &format!(",format={format},if=none,id=stick{index}")),
                );
                args.option("-device", format!("usb-storage,drive=stick{index}{properties}"));
            }
            Device::Other(text) => args.option("-device", text),
        }
    }
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

/// The machine's CD drives.
struct Cds {
    arch: Arch,
    count: u32,
}

impl Cds {
    /// One more drive, with this CD in it.
    fn insert(&mut self, args: &mut Arguments, path: &Path) {
        let interface = if self.arch == Arch::X86_64 { "ide" } else { "none" };
        let options = format!(",format=raw,if={interface},media=cdrom,readonly=on");
        if self.arch == Arch::X86_64 {
            args.option("-drive", property("file=", path, &options));
        } else {
            if self.count == 0 {
                args.option("-device", format!("virtio-scsi-{}", self.arch.bus().suffix()));
            }
            args.option("-drive", property("file=", path, &format!("{options},id=cd{}", self.count)));
            args.option("-device", format!("scsi-cd,drive=cd{0},bootindex={0}", self.count));
        }
        self.count += 1;
    }
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
