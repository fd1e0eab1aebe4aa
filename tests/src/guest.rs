//! A machine that qemu runs as a test wants it, with the fault suite's agent inside.
//!
//! [`crate::vm`] is what a user runs. This is for what `lkb run` has no option for: a wrong clock, no console, a clock that
//! counts instructions, a machine that is cut off.

mod engine;

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};

pub use engine::Engine;
use engine::fault;
use tempfile::TempDir;

use crate::agent::Agent;
use crate::console::Console;
use crate::lines::Lines;
use crate::qmp::Qmp;
use crate::{PATIENCE, image, write_log};

/// How a machine is started.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Memory (MiB).
    pub memory: u32,
    /// Processors.
    pub processors: u32,
    /// Whether there is a serial port.
    pub console: bool,
    /// Appended to the kernel command line.
    pub append: String,
    /// What the hardware clock says at power on: `2026-01-01`.
    pub date: Option<&'static str>,
    /// Whether time is the number of instructions, and passes at once while nothing runs.
    pub counted_time: bool,
    /// More arguments for qemu.
    pub devices: &'static [&'static str],
    /// A raw disk, and where its writes are noted (see [`crate::write_log`]).
    pub disk: Option<(PathBuf, PathBuf)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            memory: 512,
            processors: 1,
            console: true,
            append: String::new(),
            date: None,
            counted_time: false,
            devices: &[],
            disk: None,
        }
    }
}

/// A running machine.
#[derive(Debug)]
pub struct Guest {
    console: Console,
    agent: Agent,
    writes: Lines,
    process: Mutex<Child>,
    /// How many times more it is looked at, if that is known.
    looks: Mutex<Option<usize>>,
    /// Holds the sockets.
    dir: TempDir,
}

impl Guest {
    /// Builds `tests/faults/CASE.yml` for `engine`, and boots it.
    ///
    /// # Panics
    /// When the build fails, or qemu cannot be started.
    #[must_use]
    pub fn boot(engine: Engine, case: &str, setup: &Setup) -> Self {
        let built = build(engine, case);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let listen = |name: &str| {
            let path = dir.path().join(name);
            UnixListener::bind(&path).unwrap_or_else(|e| panic!("listening on {}: {e}", path.display()))
        };
        let (agent, writes) = (listen("agent"), listen("writes"));
        let mut process = start(command(&built, dir.path(), setup));
        let console = Console::reading(process.stdout.take().expect("qemu's standard output"));
        let agent = Agent::new(connection(agent));
        let writes = Lines::reading(connection(writes));
        Self { console, agent, writes, process: Mutex::new(process), looks: Mutex::default(), dir }
    }

    /// The serial console.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// The agent inside.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// What the writer says of its writes.
    #[must_use]
    pub fn writes(&self) -> &Lines {
        &self.writes
    }

    /// qemu's control socket.
    #[must_use]
    pub fn qmp(&self) -> Qmp {
        Qmp::connect(&self.dir.path().join("qmp"))
    }

    /// Waits for a line on the console.
    ///
    /// # Panics
    /// When it does not come.
    pub fn wait(&self, wanted: &str) -> String {
        self.console.wait(wanted, PATIENCE)
    }

    /// Asks the machine to power off, and waits until it is.
    ///
    /// # Panics
    /// When it stays on.
    pub fn power_off(&self) {
        // The agent may be stopped before it has answered.
        drop(self.agent.send(&["init", "poweroff"]));
        self.console.wait_end(PATIENCE);
    }

    /// Cuts the power: nothing in the machine gets another instruction.
    ///
    /// # Panics
    /// When qemu cannot be killed.
    pub fn cut(&self) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.kill().expect("killing qemu");
        process.wait().expect("waiting for qemu");
    }

    /// Cut off when so many tests have looked at it: machines that several share are never dropped.
    #[must_use]
    pub fn ending_after(mut self, looks: usize) -> Self {
        self.looks = Mutex::new(Some(looks));
        self
    }

    /// To be held by a test while it looks at this machine: shows the console when the test fails.
    #[must_use]
    pub fn watched(&self) -> Watched<'_> {
        Watched(self)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        // It may have ended by itself.
        drop(process.kill());
        drop(process.wait());
    }
}

/// See [`Guest::watched`].
#[derive(Debug)]
pub struct Watched<'a>(&'a Guest);

impl std::ops::Deref for Watched<'_> {
    type Target = Guest;

    fn deref(&self) -> &Guest {
        self.0
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let name = std::thread::current().name().unwrap_or("machine").replace("::", "-");
            crate::console::keep(&name, &self.0.console);
        }
        let mut looks = self.0.looks.lock().unwrap_or_else(PoisonError::into_inner);
        *looks = looks.map(|left| left.saturating_sub(1));
        if *looks == Some(0) {
            self.0.cut();
        }
    }
}

/// Builds engine, agent and case together; the same images for the same inputs, so this costs little twice.
fn build(engine: Engine, case: &str) -> PathBuf {
    // lkb refuses to write files that another build is writing.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = image::out_dir();
    let name = format!("{case}-{}", engine.name());
    let examples = tempfile::tempdir().expect("a temporary directory");
    let sources = [fault("kernel"), engine.source(examples.path()), fault("agent"), fault(case)];
    let mut args = vec!["build", "--format", "kernel+initrd", "--name", &name, "--dir"];
    args.push(dir.to_str().expect("a UTF-8 path"));
    args.extend(sources.iter().map(|source| source.to_str().expect("a UTF-8 path")));
    let out = image::run_lkb(&args);
    assert!(out.status.success(), "lkb {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    dir.join(name)
}

fn command(built: &Path, dir: &Path, setup: &Setup) -> Command {
    let file = |suffix: &str| PathBuf::from(format!("{}-{suffix}", built.display()));
    let cmdline = std::fs::read_to_string(file("cmdline")).expect("the kernel's command line");
    // On a busy host an emulated timer is late, and the kernel takes it for a broken one.
    let cmdline = format!("{} no_timer_check {}", cmdline.trim(), setup.append);
    let cmdline = if setup.console { cmdline } else { cmdline.replace("console=ttyS0", "console=ttyS3") };
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-M", "q35", "-cpu", "max", "-accel", "tcg", "-nodefaults", "-display", "none", "-no-reboot"]);
    qemu.args(["-m", &setup.memory.to_string(), "-smp", &setup.processors.to_string()]);
    qemu.args(["-chardev", "stdio,id=console,signal=off"]);
    if setup.console {
        qemu.args(["-serial", "chardev:console"]);
    }
    qemu.args(["-device", "virtio-serial-pci"]);
    for name in ["agent", "writes"] {
        let socket = dir.join(name);
        qemu.arg("-chardev").arg(format!("socket,id={name},path={}", socket.display()));
        qemu.arg("-device").arg(format!("virtserialport,chardev={name},name={name}"));
    }
    qemu.arg("-qmp").arg(format!("unix:{},server=on,wait=off", dir.join("qmp").display()));
    qemu.args(setup.devices);
    if setup.counted_time {
        qemu.args(["-icount", "shift=0,sleep=off"]);
    }
    let date = setup.date.unwrap_or("2026-01-01");
    qemu.args(["-rtc", &format!("base={date},clock={}", if setup.counted_time { "vm" } else { "host" })]);
    if let Some((disk, log)) = &setup.disk {
        qemu.args(write_log::arguments(disk, log));
    }
    qemu.arg("-kernel")
        .arg(file("kernel"))
        .arg("-initrd")
        .arg(file("initrd.img"))
        .arg("-append")
        .arg(cmdline);
    qemu.stdin(Stdio::null()).stdout(Stdio::piped());
    qemu
}

/// The connection that qemu makes when it starts.
fn connection(listener: UnixListener) -> UnixStream {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || drop(sender.send(listener.accept())));
    let accepted = receiver.recv_timeout(PATIENCE).expect("qemu did not connect: what it said is above");
    accepted.expect("accepting qemu's connection").0
}

/// Starts qemu so that it ends with the test program, whatever becomes of that: machines that several tests share are
/// never dropped.
fn start(command: Command) -> Child {
    let (sender, receiver) = mpsc::channel();
    // The signal comes when the thread ends that started the process, and so that thread stays.
    std::thread::spawn(move || {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
        let child = setpriv.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let started = child.is_ok();
        drop(sender.send(child));
        if started {
            loop {
                std::thread::park();
            }
        }
    });
    let child = receiver.recv().expect("the thread that starts qemu");
    child.expect("starting qemu-system-x86_64 by setpriv (package util-linux)")
}
