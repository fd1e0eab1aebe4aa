//! A machine that is told what it is, and writes that down.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;

use crate::console::Console;
use crate::netns::Netns;
use crate::{PATIENCE, image, root};

/// A file of `/var/config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its permission bits.
    pub mode: u32,
    /// What is in it.
    pub content: Vec<u8>,
}

/// What a machine was told: `/var/config`, by path.
pub type Told = BTreeMap<String, File>;

/// Its network card.
#[derive(Debug)]
pub struct Nic<'a> {
    /// Its hardware address.
    pub mac: &'a str,
    /// The address that it is given by DHCP, in a network of 24 bits. None: nobody gives it one, and the machine is asked
    /// to configure it as metadata says.
    pub address: Option<&'a str>,
}

/// A running machine. Dropping it kills it; when the test fails, its console is kept.
#[derive(Debug)]
pub struct Machine {
    process: Child,
    console: Console,
    disk: PathBuf,
    report: PathBuf,
}

impl Machine {
    /// Boots one in `netns`, with a card, a config drive, or both.
    ///
    /// # Panics
    /// When it cannot be built, or qemu cannot be started.
    #[must_use]
    pub fn boot(netns: &Netns, nic: Option<&Nic<'_>>, drive: Option<&Path>, dir: &Path) -> Self {
        let (disk, report) = (blank(dir, "told.raw", 4 << 20), blank(dir, "network.raw", 64 << 10));
        let built = |suffix: &str| PathBuf::from(format!("{}-{suffix}", built().display()));
        let mut cmdline = std::fs::read_to_string(built("cmdline")).expect("the kernel's command line");
        if nic.is_some_and(|nic| nic.address.is_none()) {
            cmdline = format!("{} lkb.network=metadata", cmdline.trim());
        }
        let mut qemu = netns.command("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-accel", "tcg"]);
        qemu.args(["-nodefaults", "-display", "none", "-no-reboot", "-m", "512", "-serial", "stdio"]);
        qemu.arg("-kernel").arg(built("kernel")).arg("-initrd").arg(built("initrd.img"));
        qemu.args(["-append", cmdline.trim()]);
        for disk in [&disk, &report] {
            qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio", disk.display()));
        }
        if let Some(drive) = drive {
            qemu.arg("-drive")
                .arg(format!("file={},format=raw,if=ide,media=cdrom,readonly=on", drive.display()));
        }
        if let Some(nic) = nic {
            qemu.arg("-netdev").arg(nic.network());
            qemu.arg("-device").arg(format!("virtio-net-pci,netdev=net,mac={}", nic.mac));
        }
        let mut process = qemu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("starting qemu");
        let console = Console::reading(process.stdout.take().expect("qemu's standard output"));
        Self { process, console, disk, report }
    }

    /// Waits until it has been told everything; returns that.
    ///
    /// # Panics
    /// When it does not say so, or what it wrote is no archive.
    #[must_use]
    pub fn told(&self) -> Told {
        self.console.wait("the configuration is kept", PATIENCE);
        let archive = std::fs::File::open(&self.disk).expect("what it wrote");
        let mut archive = tar::Archive::new(archive);
        let mut told = Told::new();
        for entry in archive.entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = entry.path().expect("its path").display().to_string();
            let path = path.trim_start_matches("./").to_owned();
            // Where the links lead that are archived as what they are links to.
            if path.starts_with(".data/") || path.starts_with(".tree-") {
                continue;
            }
            let mode = entry.header().mode().expect("its mode");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("its content");
            told.insert(path, File { mode, content });
        }
        told
    }

    /// What `ip address`, `ip route` and `/etc/resolv.conf` say in a machine that has been told everything.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn network(&self) -> String {
        let report = std::fs::read(&self.report).expect("what it wrote about its network");
        String::from_utf8_lossy(&report).trim_end_matches('\0').to_owned()
    }

    /// Its serial console.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let name = std::thread::current().name().unwrap_or("machine").replace("::", "-");
            crate::console::keep(&name, &self.console);
        }
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Nic<'_> {
    /// What qemu connects it to: its own network with DHCP, or a link with nobody else on it.
    fn network(&self) -> String {
        let Some(address) = self.address else { return "hubport,id=net,hubid=0".to_owned() };
        let (network, _) = address.rsplit_once('.').expect("an IPv4 address");
        format!("user,id=net,net={network}.0/24,host={network}.1,dns={network}.2,dhcpstart={address}")
    }
}

/// An empty disk of so many bytes.
fn blank(dir: &Path, name: &str, size: u64) -> PathBuf {
    let path = dir.join(name);
    let file = std::fs::File::create(&path).expect("a disk that it writes on");
    file.set_len(size).expect("room for a disk");
    path
}

/// The image, built once for all tests of a process.
fn built() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| image::build_initrd("openstack-guest", &root().join("tests/openstack/guest.yml")))
}
