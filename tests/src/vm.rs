//! A machine: `lkb run qemu` as a user runs it, in a network namespace of its own.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::json;

use crate::console::Console;
use crate::metadata::{self, Instance, Service};
use crate::netns::Netns;
use crate::{PATIENCE, image, remote};

/// The port on the host side of the namespace that leads to LDAP.
pub const LDAP_PORT: u16 = 8389;
/// The port on the host side of the namespace that leads to ssh.
pub const SSH_PORT: u16 = 2222;

/// What a machine is started with.
#[derive(Debug, Default)]
pub struct Setup {
    /// Values of `--disk`.
    pub disks: Vec<String>,
    /// The cloud around it; `None` is no metadata service at all.
    pub cloud: Option<Instance>,
    /// Where its boot is drawn.
    pub chart: Option<PathBuf>,
    /// Booted by EFI firmware, whatever its image is called.
    pub uefi: bool,
    /// Ports on the host side of the namespace that lead into the machine, beside LDAP's and ssh's.
    pub publish: Vec<(u16, u16)>,
    /// Values of `--device`.
    pub devices: Vec<String>,
    /// Whether somebody types at its console.
    pub typing: bool,
}

/// A running machine. Dropping it kills it; when the test fails, its console is kept.
#[derive(Debug)]
pub struct Vm {
    name: String,
    child: Child,
    console: Console,
    netns: Netns,
    dir: PathBuf,
    service: Option<Service>,
}

impl Vm {
    /// Boots `image`; `dir` is a directory of the test's own, for the machine's state.
    ///
    /// # Panics
    /// When `lkb` can't be started.
    #[must_use]
    pub fn boot(image: &Path, dir: &Path, setup: &Setup) -> Self {
        let addresses: &[&str] = if setup.cloud.is_some() { &["169.254.169.254/32"] } else { &[] };
        debug_assert!(addresses.iter().all(|a| a.starts_with(metadata::ADDRESS)));
        let netns = Netns::new(addresses);
        let service = setup.cloud.as_ref().map(|instance| Service::start(&netns, instance));
        let mut command = netns.command(image::lkb());
        command.args(["run", "qemu", "--mem", "1024"]);
        command.arg("--state").arg(dir.join("state"));
        command.arg("--qmp").arg(dir.join("qmp"));
        for (host, guest) in [(LDAP_PORT, 389), (SSH_PORT, 22)].iter().chain(&setup.publish) {
            command.arg("--publish").arg(format!("{host}:{guest}"));
        }
        for disk in &setup.disks {
            command.arg("--disk").arg(disk);
        }
        for device in &setup.devices {
            command.args(["--usb", "--device", device]);
        }
        if let Some(chart) = &setup.chart {
            command.arg("--boot-chart").arg(chart);
        }
        if setup.uefi {
            command.arg("--uefi");
        }
        command.stdin(if setup.typing { Stdio::piped() } else { Stdio::null() });
        command.arg(image).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().expect("starting lkb run");
        let console = Console::reading(child.stdout.take().expect("lkb's standard output"));
        let name = std::thread::current().name().unwrap_or("machine").replace("::", "-");
        Self { name, child, console, netns, dir: dir.into(), service }
    }

    /// The machine's serial console.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// The cloud's metadata service, if there is one.
    #[must_use]
    pub fn metadata(&self) -> Option<&Service> {
        self.service.as_ref()
    }

    /// Waits for a line on the console.
    ///
    /// # Panics
    /// When it does not come.
    pub fn wait(&self, wanted: &str) -> String {
        self.console.wait(wanted, PATIENCE)
    }

    /// Waits for a prompt on the console, which no line feed follows.
    ///
    /// # Panics
    /// When it does not come.
    pub fn wait_prompt(&self, wanted: &str) {
        self.until(&format!("prompt {wanted:?}"), || self.console.text().contains(wanted));
    }

    /// Waits until the machine has done `what`, which `done` sees.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn until(&self, what: &str, done: impl Fn() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < PATIENCE, "it did not within {PATIENCE:?}: {what}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// qemu's control socket, once it is there.
    #[must_use]
    pub fn qmp(&self) -> crate::qmp::Qmp {
        let socket = self.dir.join("qmp");
        self.until("listen on its control socket", || socket.exists());
        crate::qmp::Qmp::connect(&socket)
    }

    /// Presses the power button.
    pub fn press_power_button(&self) {
        self.qmp().run("system_powerdown", &json!({}));
    }

    /// Waits until the machine is off and `lkb` has ended well.
    ///
    /// # Panics
    /// When it stays on, or `lkb` fails.
    pub fn wait_off(&mut self) {
        self.console.wait_end(PATIENCE);
        let status = self.child.wait().expect("waiting for lkb");
        assert!(status.success(), "lkb run ended with {status}");
    }

    /// Types a line at the machine's console.
    ///
    /// # Panics
    /// When nobody can type there: see [`Setup::typing`].
    pub fn type_line(&mut self, line: &str) {
        let console = self.child.stdin.as_mut().expect("a machine that is booted with `typing`");
        writeln!(console, "{line}").expect("typing at the console");
    }

    /// The network beside the machine: its published ports are those of 127.0.0.1 there, which it knows as 10.0.2.2.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// An LDAP command (`ldapsearch`, `ldapadd`, …) as `cn=admin` of `suffix`.
    #[must_use]
    pub fn ldap(&self, program: &str, suffix: &str, password: &str) -> Command {
        let mut command = self.netns.command(program);
        command.args(["-x", "-H", &format!("ldap://127.0.0.1:{LDAP_PORT}"), "-o", "nettimeout=20"]);
        command.args(["-D", &format!("cn=admin,{suffix}"), "-w", password]);
        command
    }

    /// Searches everything below `suffix` until the server is up; returns the LDIF.
    ///
    /// # Panics
    /// When the server does not answer, or refuses.
    #[must_use]
    pub fn search(&self, suffix: &str, password: &str) -> String {
        let start = Instant::now();
        loop {
            let out = self.ldap("ldapsearch", suffix, password).args(["-LLL", "-b", suffix]).output();
            let out = out.expect("running ldapsearch (package ldap-utils)");
            if out.status.success() {
                return String::from_utf8_lossy(&out.stdout).into_owned();
            }
            let errors = String::from_utf8_lossy(&out.stderr);
            let not_up_yet = errors.contains("Can't contact LDAP server");
            assert!(not_up_yet, "ldapsearch -b {suffix}: {errors}");
            assert!(start.elapsed() < PATIENCE, "no LDAP server within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Runs a command in the guest, by ssh with `key`.
    ///
    /// # Panics
    /// When ssh can't be started.
    #[must_use]
    pub fn ssh(&self, key: &Path, command: &str) -> Output {
        self.ssh_with(key, command, Stdio::null())
    }

    /// The same with something to read.
    ///
    /// # Panics
    /// When ssh can't be started.
    #[must_use]
    pub fn ssh_with(&self, key: &Path, command: &str, input: Stdio) -> Output {
        let mut ssh = self.netns.command("ssh");
        ssh.arg("-i").arg(key).args(["-p", &SSH_PORT.to_string()]);
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "BatchMode=yes",
            "ConnectTimeout=20",
            "IdentitiesOnly=yes",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.arg("root@127.0.0.1")
            .arg(command)
            .stdin(input)
            .output()
            .expect("running ssh (package openssh-client)")
    }

    /// Runs a command in the guest once its ssh server is up, and returns what it printed.
    ///
    /// # Panics
    /// When the command fails, or no server answers.
    #[must_use]
    pub fn guest(&self, key: &Path, command: &str) -> String {
        /// ssh's own exit code for "could not connect or log in".
        const NO_CONNECTION: i32 = 255;
        let start = Instant::now();
        loop {
            let out = self.ssh(key, &remote::telling(command));
            let errors = String::from_utf8_lossy(&out.stderr).into_owned();
            if out.status.success() {
                return String::from_utf8_lossy(&out.stdout).into_owned();
            }
            let again = out.status.code() == Some(NO_CONNECTION) && start.elapsed() < PATIENCE;
            assert!(again, "ssh {command:?}: {}: {errors}", out.status);
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            crate::console::keep(&self.name, &self.console);
        }
        if let Ok(None) = self.child.try_wait() {
            let group = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
            // It may have ended since: then there is nothing to kill.
            let _ = killpg(group, Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// A new ssh key pair: the private key's file and the public key's line.
///
/// # Panics
/// When ssh-keygen fails.
#[must_use]
pub fn ssh_key(dir: &Path) -> (PathBuf, String) {
    let key = dir.join("id_ed25519");
    let out = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(&key)
        .output();
    let out = out.expect("running ssh-keygen (package openssh-client)");
    assert!(out.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&out.stderr));
    let public = std::fs::read_to_string(key.with_extension("pub")).expect("the public key");
    (key, public.trim().to_string())
}
