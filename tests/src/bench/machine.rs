//! One boot, in qemu as LinuxKit was measured.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::console::Console;
use crate::image::run_lkb;

/// A built image.
#[derive(Debug, Clone)]
pub struct Image {
    kernel: PathBuf,
    initrd: PathBuf,
    cmdline: String,
    /// The disk with the root, where the initrd is only the way to it.
    root: Option<PathBuf>,
}

impl Image {
    /// Builds `sources`, merged, as `DIR/NAME-kernel` and so on.
    ///
    /// # Errors
    /// What `lkb` said.
    pub fn build(dir: &Path, name: &str, sources: &[&Path]) -> Result<Self, String> {
        build(dir, "kernel+initrd", name, sources)?;
        Self::open(&dir.join(name), None)
    }

    /// Builds `source`, a path in the source tree, with its root on a disk.
    ///
    /// # Errors
    /// What `lkb` said.
    pub fn build_on_disk(dir: &Path, source: &str) -> Result<Self, String> {
        let name = "on-disk";
        build(dir, "kernel+squashfs", name, &[Path::new(source)])?;
        Self::open(&dir.join(name), Some(dir.join(format!("{name}-squashfs.img"))))
    }

    /// The files `PREFIX-kernel` and so on.
    fn open(prefix: &Path, root: Option<PathBuf>) -> Result<Self, String> {
        let file = |suffix: &str| PathBuf::from(format!("{}-{suffix}", prefix.display()));
        let cmdline = file("cmdline");
        let cmdline = std::fs::read_to_string(&cmdline).map_err(|e| format!("{}: {e}", cmdline.display()))?;
        let cmdline = cmdline.trim().to_string();
        Ok(Self { kernel: file("kernel"), initrd: file("initrd.img"), cmdline, root })
    }
}

fn build(dir: &Path, format: &str, name: &str, sources: &[&Path]) -> Result<(), String> {
    let dir = dir.to_str().ok_or("a path")?;
    let mut args = vec!["build", "--format", format, "--name", name, "--dir", dir];
    for source in sources {
        args.push(source.to_str().ok_or("a path")?);
    }
    let out = run_lkb(&args);
    if out.status.success() {
        return Ok(());
    }
    Err(format!("lkb {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr)))
}

/// How a machine is started.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Memory (MiB).
    pub memory: u32,
    /// For qemu's random numbers: the same seed is the same boot, instruction for instruction.
    pub seed: u32,
    /// How long it may take on this host.
    pub patience: Duration,
}

/// A boot that ended.
#[derive(Debug, Clone)]
pub struct Boot {
    /// All that was on the console.
    pub console: String,
    /// How long it took on this host.
    pub wall: Duration,
    /// Whether the machine went off by itself.
    pub ended: bool,
}

/// Boots `image`, and waits until the machine is off.
///
/// Virtual time is the number of instructions in nanoseconds; while all processors are idle it jumps to the next
/// timer. One processor, so that nothing depends on how the host schedules.
///
/// # Errors
/// When qemu cannot be started.
pub fn boot(image: &Image, settings: &Settings) -> Result<Boot, String> {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-M", "q35", "-cpu", "max", "-accel", "tcg", "-icount", "shift=0,sleep=off", "-smp", "1"]);
    qemu.args(["-rtc", "base=2026-01-01,clock=vm", "-seed", &settings.seed.to_string()]);
    qemu.args(["-m", &settings.memory.to_string(), "-nic", "none", "-display", "none", "-monitor", "none"]);
    qemu.args(["-no-reboot", "-serial", "stdio"]);
    qemu.arg("-kernel").arg(&image.kernel).arg("-initrd").arg(&image.initrd);
    if let Some(root) = &image.root {
        qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio,readonly=on", root.display()));
    }
    // A kernel that gives up ends the machine instead of standing still.
    qemu.arg("-append").arg(format!("{} panic=-1", image.cmdline));
    qemu.stdin(Stdio::null()).stdout(Stdio::piped());
    let began = Instant::now();
    let mut child = qemu.spawn().map_err(|e| format!("starting qemu-system-x86_64: {e}"))?;
    let console = Console::reading(child.stdout.take().ok_or("qemu has no standard output")?);
    let ended = console.ends_within(settings.patience);
    let wall = began.elapsed();
    // It has ended already, or is to end now.
    drop(child.kill());
    child.wait().map_err(|e| format!("waiting for qemu: {e}"))?;
    Ok(Boot { console: console.text(), wall, ended })
}
