//! `lkb run qemu`.

use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::{Context, Outcome};
use crate::run::disk::DiskRequest;
use crate::run::networking::Networking;
use crate::run::publish::Published;
use crate::run::qemu::{self, Attended, Console, Device, Expectation, Metadata, Mode, Told};

/// Run an image in QEMU on this machine
///
/// PATH is a disk image (.qcow2, .img, .raw, .vmdk, .vhd, .vhdx), a CD image (.iso), an EFI program (.efi), or the name of a build: then
/// PATH-kernel is run if it is there, with PATH-initrd.img, PATH-squashfs.img, PATH-erofs.img or PATH.iso, else PATH.qcow2, PATH-bios.img, PATH.raw, PATH-hybrid.img,
/// PATH-efi.qcow2, PATH-efi.img, PATH.vmdk, PATH.vhd, PATH.vhdx, PATH.iso, PATH-hybrid.iso, PATH-efi.iso or PATH-efi-initrd.iso. Disks are virtio: the boot disk is vda, read-only, and the --disk ones follow. On a terminal, Ctrl-A X quits.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Memory in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..))]
    pub mem: u32,

    /// Number of processors
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=255))]
    pub cpus: u32,

    /// A data disk, made if it is not there: [file=]PATH[,size=1G][,format=qcow2|raw]; without a path, in the state
    /// directory. May be repeated
    #[arg(long, value_name = "DISK")]
    pub disk: Vec<DiskRequest>,

    /// Metadata for the machine, on a CD
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "data_file")]
    pub data: Option<String>,

    /// A file with metadata for the machine
    #[arg(long, value_name = "FILE")]
    pub data_file: Option<PathBuf>,

    /// Make a port of the machine reachable on this host: HOST:GUEST[/tcp|udp]. May be repeated
    #[arg(long, value_name = "PORTS")]
    pub publish: Vec<Published>,

    /// How the machine reaches the world: user (through QEMU, without privileges; only published ports lead in), tap,IF (a
    /// TAP interface), bridge,BR (a bridge) or none
    #[arg(long, value_name = "KIND", default_value = "user")]
    pub networking: Networking,

    /// Give the machine USB
    #[arg(long)]
    pub usb: bool,

    /// Plug this into its USB, named as for QEMU's -device; usb-storage,file=FILE is a memory stick. May be repeated
    #[arg(long, value_name = "DEVICE", requires = "usb")]
    pub device: Vec<Device>,

    /// Let the machine mount this directory: `mount -t virtiofs virtiofs0 /mnt`, virtiofs1 for the second, … May be
    /// repeated
    #[arg(long, value_name = "DIR")]
    pub virtiofs: Vec<PathBuf>,

    /// The virtiofsd that does this [default: that of the package virtiofsd]
    #[arg(long, value_name = "FILE", requires = "virtiofs")]
    pub virtiofsd: Option<PathBuf>,

    /// QEMU itself [default: qemu-system-ARCH in PATH]
    #[arg(long, value_name = "FILE")]
    pub qemu: Option<PathBuf>,

    /// QEMU's accelerator; several with : between them are tried in turn [env: LKB_QEMU_ACCEL, LINUXKIT_QEMU_ACCEL;
    /// default: kvm where it works, else tcg]
    #[arg(long, value_name = "NAME")]
    pub accel: Option<String>,

    /// The machine's architecture: x86_64, aarch64, s390x or riscv64; emulated when it is not the host's
    #[arg(long, default_value = std::env::consts::ARCH)]
    pub arch: String,

    /// Where the machine keeps its state [default: PATH-state]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// Leave the machine running; its console goes to console.log in its state directory
    #[arg(long, visible_alias = "detached", conflicts_with = "gui")]
    pub detach: bool,

    /// Show the machine's screen in a window
    #[arg(long)]
    pub gui: bool,

    /// Wait until the console has shown this text, then end the machine: the exit status is 0 if it has, else 1, and the
    /// last lines of the console are told. May be repeated: all texts, in any order
    #[arg(long, value_name = "TEXT", conflicts_with = "detach", allow_hyphen_values = true)]
    pub expect: Vec<String>,

    /// How long --expect waits
    #[arg(long, value_name = "SECONDS", default_value_t = 300, requires = "expect")]
    pub timeout: u64,

    /// Boot PATH-kernel and PATH-initrd.img, whatever else is there
    #[arg(long, conflicts_with_all = ["iso", "squashfs"])]
    pub kernel: bool,

    /// Boot PATH-kernel with its root on PATH-squashfs.img, whatever else is there
    #[arg(long, conflicts_with = "iso")]
    pub squashfs: bool,

    /// Boot by EFI firmware, even an image whose name does not end in -efi.img, -efi.qcow2, -efi.iso, -efi-initrd.iso or .efi
    #[arg(long)]
    pub uefi: bool,

    /// The EFI firmware [default: that of the package ovmf]
    #[arg(long, value_name = "FILE")]
    pub fw: Option<PathBuf>,

    /// PATH is a CD image, whatever its name
    #[arg(long)]
    pub iso: bool,

    /// Listen for QMP on this socket
    #[arg(long, value_name = "SOCKET")]
    pub qmp: Option<PathBuf>,

    /// Write the console to this file, too
    #[arg(long, value_name = "FILE")]
    pub console_file: Option<PathBuf>,

    /// Draw what took how long while the machine booted (SVG); drawn again whenever it has done something more
    #[arg(long, value_name = "FILE", conflicts_with = "detach")]
    pub boot_chart: Option<PathBuf>,

    /// What to run
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let ready = qemu::prepare(&options.to_library())?;
    context.terminal.detail(format_args!("{} {}", ready.program.display(), shell_words(&ready.plan)));
    if !options.detach {
        if let Console::Terminal { interactive: true, .. } = ready.plan.console {
            context.terminal.note("Ctrl-A X quits");
        }
        if ready.needs_attendance() || options.boot_chart.is_some() {
            return attend(ready, options, context);
        }
        match ready.exec()? {}
    }
    let machine = ready.detach()?;
    let (pid, console) = (machine.pid, machine.console.display());
    let stop = match &options.state {
        Some(state) => format!("--state {} {}", state.display(), options.path.display()),
        None => options.path.display().to_string(),
    };
    context.terminal.note(format_args!(
        "the machine runs as process {pid}\nconsole: {console}\nto stop it: lkb stop {stop}"
    ));
    Ok(ExitCode::SUCCESS)
}

fn attend(ready: qemu::Ready, options: &Options, context: &Context) -> Outcome {
    let mut echo: Box<dyn Write> = match context.terminal.is_quiet() {
        true => Box::new(io::sink()),
        false => Box::new(io::stdout()),
    };
    let Attended { status, drawn } = ready.attend(options.boot_chart.as_deref(), &mut echo, &mut |told| {
        let Told::Lost(lost) = told;
        let how = lost.status.map(|status| format!(" ({status})")).unwrap_or_default();
        context.terminal.note(format_args!(
            "warning: the machine has lost {}, since its virtiofsd has ended{how}; see {}",
            lost.share.dir.display(),
            lost.share.log.display()
        ));
    })?;
    match &options.boot_chart {
        Some(chart) if drawn => context.terminal.note(format_args!("boot chart: {}", chart.display())),
        Some(_) => context.terminal.note(
            "the machine said nothing about its boot, so there is no chart: its init is not ours, it did not come that \
             far, or its kernel has no virtio_console",
        ),
        None => {}
    }
    let Some(status) = status else { return Ok(ExitCode::SUCCESS) };
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

impl Options {
    fn to_library(&self) -> qemu::Options {
        let text = self.data.clone().map(Metadata::Text);
        qemu::Options {
            path: self.path.clone(),
            mode: [(self.kernel, Mode::Kernel), (self.squashfs, Mode::Squashfs), (self.iso, Mode::Iso)]
                .into_iter()
                .find_map(|(asked, mode)| asked.then_some(mode)),
            uefi: self.uefi,
            firmware: self.fw.clone(),
            memory: self.mem,
            cpus: self.cpus,
            disks: self.disk.clone(),
            metadata: text.or_else(|| self.data_file.clone().map(Metadata::File)),
            publish: self.publish.clone(),
            networking: self.networking.clone(),
            program: self.qemu.clone(),
            usb: self.usb.then(|| self.device.clone()),
            shares: self.virtiofs.clone(),
            virtiofsd: self.virtiofsd.clone(),
            expect: (!self.expect.is_empty()).then(|| Expectation {
                texts: self.expect.clone(),
                patience: Duration::from_secs(self.timeout),
            }),
            accelerator: self.accel.clone(),
            arch: self.arch.clone(),
            state: self.state.clone(),
            detach: self.detach,
            gui: self.gui,
            qmp: self.qmp.clone(),
            console_file: self.console_file.clone(),
        }
    }
}

/// QEMU's arguments as a shell would take them.
fn shell_words(plan: &qemu::Plan) -> String {
    let words = qemu::command_line(plan).into_iter().map(|word| {
        let word = word.to_string_lossy().into_owned();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=,.:/+@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
