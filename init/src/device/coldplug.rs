//! Modules for the devices that were there before PID 1, and for those that their drivers find.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use kmod::load::{Failure, Kernel};
use kmod::modules::Database;

use super::crew::load_all;
use super::schedule::Schedule;
use super::uevent::Uevent;
use crate::sys::netlink::Socket;

/// Rounds of "load, then look which devices appeared"; a PCI device behind three bridges needs five.
const ROUNDS: usize = 16;
/// Longest alias that is looked up, in bytes; input devices have the longest, with some 400.
const LONGEST: usize = 4096;
/// Uevents read at once; what is left stays in the socket.
const EVENTS: usize = 16 * 1024;

/// Modules that no device asks for, but containers and packages expect; missing ones are no matter.
///
/// Other file systems, protocols and device nodes are not here: the kernel asks `/sbin/modprobe` for them at first use.
const ALWAYS: [&str; 3] = ["overlay", "af_packet", "ext4"];

/// What computes SHA-256 with the processor's own instructions, where it has any: loaded before all others, because the
/// kernel digests every signed module that it loads, and without this that is most of what loading takes.
const DIGESTS: [&str; 3] = ["sha256_ssse3", "sha2_ce", "sha256_arm64"];

/// The aliases of the processor and the board, which belong to no bus.
///
/// What they bring (kvm, crypto instructions, sensors) is large, and nothing that boots needs it: the kernel asks for
/// crypto by name. So it is loaded while the services start.
const DEFERRED: [&str; 2] = ["/sys/devices/system/cpu/modalias", "/sys/devices/virtual/dmi/id/modalias"];

/// The devices of the machine.
pub trait Devices {
    /// The aliases of all devices there are.
    fn present(&mut self) -> Vec<String>;
    /// The aliases of devices that have appeared since the last call.
    fn appeared(&mut self) -> Vec<String>;
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Modules that were loaded, in order.
    pub loaded: Vec<String>,
    /// Modules that were wanted and could not be loaded, drivers without hardware aside.
    pub failures: Vec<Failure>,
    /// Aliases that are left for later because devices kept appearing, or drivers took too long.
    pub rest: Vec<String>,
    /// Modules that take too long to be waited for; those that need them are among them.
    pub late: Vec<String>,
}

/// Loads the modules for all devices, and again for those that appear by that; as many at a time as there are `processors`.
/// Those of the file systems that will be mounted, `kinds`, are loaded with them.
pub fn run(
    database: &Database<'_>,
    kernel: &mut dyn Kernel,
    devices: &mut dyn Devices,
    kinds: &[&str],
    processors: usize,
) -> Report {
    let mut report = Report::default();
    let mut seen = HashSet::new();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut next = names(&ALWAYS);
    next.extend(kinds.iter().map(|kind| format!("fs-{kind}")));
    next.extend(devices.present());
    let (mut wanted, mut next) = (names(&DIGESTS), Some(next));
    for _ in 0..=ROUNDS {
        let mut schedule = Schedule::default();
        for alias in wanted {
            if alias.len() <= LONGEST && seen.insert(alias.clone()) {
                database.resolve(&alias).into_iter().flatten().for_each(|plan| schedule.add(plan));
            }
        }
        let outcome = load_all(&mut schedule, kernel, processors);
        report.loaded.extend(outcome.loaded);
        for failure in outcome.failures {
            if !failure.is_missing_hardware() && !report.failures.contains(&failure) {
                report.failures.push(failure);
            }
        }
        wanted = next.take().unwrap_or_else(|| devices.appeared());
        if !outcome.late.is_empty() {
            report.late = outcome.late;
            break;
        }
        if wanted.is_empty() {
            return report;
        }
    }
    report.rest = wanted;
    report
}

/// The devices as sysfs shows them and the uevent socket tells of them.
///
/// Every device of a bus is in `/sys/bus`; those of classes (`/sys/class`) have no alias. So there is no need to walk the
/// whole of `/sys/devices`.
#[derive(Debug)]
pub struct Sysfs<'s> {
    /// Opened before [`Devices::present`] is called, so that no device falls between; without it none appears.
    pub events: Option<&'s Socket>,
}

impl Devices for Sysfs<'_> {
    fn present(&mut self) -> Vec<String> {
        let mut files = Vec::new();
        for bus in fs::read_dir("/sys/bus").into_iter().flatten().filter_map(Result::ok) {
            let devices =
                fs::read_dir(bus.path().join("devices")).into_iter().flatten().filter_map(Result::ok);
            files.extend(devices.map(|device| device.path().join("modalias")));
        }
        files.sort();
        read_aliases(files)
    }

    fn appeared(&mut self) -> Vec<String> {
        match self.events {
            Some(socket) => news(socket).aliases,
            None => Vec::new(),
        }
    }
}

/// One alias a file; most devices have no such file, and any may be gone by now.
fn read_aliases(files: impl IntoIterator<Item = PathBuf>) -> Vec<String> {
    let texts = files.into_iter().filter_map(|file| fs::read_to_string(file).ok());
    texts.map(|text| text.trim().to_owned()).filter(|alias| !alias.is_empty()).collect()
}

/// The aliases that are worth loading modules for, but not worth waiting for; those that have such modules.
#[must_use]
pub fn deferred(database: &Database<'_>, kernel: &dyn Kernel) -> Vec<String> {
    let has_more = |alias: &String| {
        let mut steps = database.resolve(alias).into_iter().flatten().flatten();
        steps.any(|step| !kernel.is_loaded(&step.name))
    };
    read_aliases(DEFERRED.map(PathBuf::from)).into_iter().filter(has_more).collect()
}

/// What a uevent socket tells of.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct News {
    /// Aliases of devices that appeared.
    pub aliases: Vec<String>,
    /// Whether a disk or partition came, went or changed.
    pub disks: bool,
}

/// All that a uevent socket tells of now.
///
/// When the kernel dropped events because the socket was full, all devices are looked at again instead.
#[must_use]
pub fn news(socket: &Socket) -> News {
    let mut news = News::default();
    let mut buffer = Vec::new();
    for _ in 0..EVENTS {
        match socket.receive(&mut buffer) {
            Ok(Some(datagram)) => {
                if let Some(event) = Uevent::parse(datagram) {
                    news.disks |= event.block;
                    news.aliases.extend(event.into_new_modalias());
                }
            }
            Ok(None) => break,
            Err(_lost) => {
                news.disks = true;
                news.aliases.extend(Sysfs { events: None }.present());
                break;
            }
        }
    }
    news
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use kmod::fake::FakeKernel;
    use kmod::modules::{Config, Texts};
    use nix::errno::Errno;

    /// Devices that appear round by round.
    struct Rounds(VecDeque<Vec<String>>);

    impl Devices for Rounds {
        fn present(&mut self) -> Vec<String> {
            self.appeared()
        }

        fn appeared(&mut self) -> Vec<String> {
            self.0.pop_front().unwrap_or_default()
        }
    }

    fn run_with(kernel: &mut FakeKernel, rounds: Vec<Vec<String>>) -> Report {
        let texts = Texts {
            dependencies: "virtio_pci.ko:\nvirtio_blk.ko:\noverlay.ko:\nkvm.ko:\nefivarfs.ko:\nsha256-ssse3.ko:\n".into(),
            aliases: "alias pci:v1AF4* virtio_pci\nalias virtio:d2* virtio_blk\nalias cpu:* kvm\nalias fs-efivarfs efivarfs\n"
                .into(),
            builtin: "kernel/ext4.ko\n".into(),
        };
        run(&Database::new(&texts, Config::default()), kernel, &mut Rounds(rounds.into()), &["efivarfs"], 1)
    }

    #[test]
    fn digests_come_first_and_a_device_that_a_driver_finds_gets_its_own_driver() {
        let mut kernel = FakeKernel::default();
        let report = run_with(&mut kernel, vec![vec!["pci:v1AF4".into()], vec!["virtio:d2".into()]]);
        assert_eq!(report.loaded, ["sha256_ssse3", "overlay", "efivarfs", "virtio_pci", "virtio_blk"]);
        assert!(report.rest.is_empty() && report.failures.is_empty());
    }

    #[test]
    fn drivers_without_hardware_are_not_reported_and_others_once() {
        let failing = vec![("kvm.ko", Errno::ENODEV), ("overlay.ko", Errno::ENOEXEC)];
        let mut kernel = FakeKernel { failing, ..FakeKernel::default() };
        let report =
            run_with(&mut kernel, vec![vec!["cpu:a".into(), "cpu:b".into()], vec!["overlay".into()]]);
        assert_eq!(report.failures.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["overlay"]);
    }

    #[test]
    fn devices_that_never_stop_appearing_are_left_for_later() {
        let rounds = (0..100).map(|n| vec![format!("virtio:d2v{n}")]).collect();
        let report = run_with(&mut FakeKernel::default(), rounds);
        assert_eq!(report.rest, [format!("virtio:d2v{ROUNDS}")]);
    }
}
