//! `lkb run`.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Context, Outcome};
use crate::run::disk::DiskRequest;
use crate::run::publish::Published;
use crate::run::qemu::{self, Console, Metadata, Mode, Networking};

/// Run an image
///
/// The back-end may be left out: `lkb run PATH` is `lkb run qemu PATH`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(subcommand)]
    pub backend: Backend,
}

#[derive(Debug, clap::Subcommand)]
pub enum Backend {
    Qemu(Qemu),
}

/// Run an image in QEMU on this machine
///
/// PATH is a disk image (.qcow2, .img, .raw, .vmdk, .vhd), a CD image (.iso), an EFI program (.efi), or the name of a build: then
/// PATH-kernel and PATH-initrd.img are run if they are there, else PATH.qcow2, PATH-bios.img, PATH.raw, PATH-hybrid.img,
/// PATH-efi.qcow2, PATH-efi.img, PATH.vmdk, PATH.vhd or PATH.iso. Disks are virtio: the boot disk is vda, read-only, and the --disk ones follow. On a terminal, Ctrl-A X quits.
#[derive(Debug, clap::Args)]
pub struct Qemu {
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

    /// How the machine reaches the world
    #[arg(long, value_enum, default_value = "user")]
    pub networking: Network,

    /// QEMU's accelerator; several with : between them are tried in turn [env: LKB_QEMU_ACCEL, LINUXKIT_QEMU_ACCEL;
    /// default: kvm where it works, else tcg]
    #[arg(long, value_name = "NAME")]
    pub accel: Option<String>,

    /// The machine's architecture
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

    /// Boot PATH-kernel and PATH-initrd.img, whatever else is there
    #[arg(long, conflicts_with = "iso")]
    pub kernel: bool,

    /// Boot by EFI firmware, even an image whose name does not end in -efi.img, -efi.qcow2 or .efi
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

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Network {
    /// Through QEMU, without privileges; only published ports lead in
    User,
    /// Not at all
    None,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    match &options.backend {
        Backend::Qemu(options) => run_qemu(options, context),
    }
}

fn run_qemu(options: &Qemu, context: &Context) -> Outcome {
    let ready = qemu::prepare(&options.to_library())?;
    context.terminal.detail(format_args!("{} {}", ready.program.display(), shell_words(&ready.plan)));
    if !options.detach {
        if let Console::Terminal { interactive: true, .. } = ready.plan.console {
            context.terminal.note("Ctrl-A X quits");
        }
        if let Some(chart) = &options.boot_chart {
            return run_with_chart(ready, chart, context);
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

fn run_with_chart(ready: qemu::Ready, chart: &Path, context: &Context) -> Outcome {
    let machine = ready.run_with_chart(chart)?;
    if machine.drawn {
        context.terminal.note(format_args!("boot chart: {}", chart.display()));
    } else {
        context.terminal.note(
            "the machine said nothing about its boot, so there is no chart: its init is not ours, it did not come that \
             far, or its kernel has no virtio_console",
        );
    }
    let code = machine.status.code().or_else(|| machine.status.signal().map(|signal| 128 + signal));
    Ok(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

impl Qemu {
    fn to_library(&self) -> qemu::Options {
        let text = self.data.clone().map(Metadata::Text);
        qemu::Options {
            path: self.path.clone(),
            mode: match (self.kernel, self.iso) {
                (true, _) => Some(Mode::Kernel),
                (_, true) => Some(Mode::Iso),
                _ => None,
            },
            uefi: self.uefi,
            firmware: self.fw.clone(),
            memory: self.mem,
            cpus: self.cpus,
            disks: self.disk.clone(),
            metadata: text.or_else(|| self.data_file.clone().map(Metadata::File)),
            publish: self.publish.clone(),
            networking: match self.networking {
                Network::User => Networking::User,
                Network::None => Networking::None,
            },
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
