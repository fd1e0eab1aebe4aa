//! Takes the file systems away, the last mounted first.

use std::time::Duration;

use nix::errno::Errno;
use nix::mount::MsFlags;

use super::super::machine::Machine;
use super::super::mountinfo::{self, MountPoint};
use super::super::state::State;
use super::super::system::{Mount, System, Unmount};
use super::super::watchdog;
use super::{UNFED, settle, start_last_resort};

/// For file systems to be written and taken away, before the machine ends regardless.
pub(super) const UNMOUNT: Duration = Duration::from_secs(60);
/// Rounds of unmounting: a mount that is busy may be free when another is gone.
const ROUNDS: usize = 4;

/// File systems of the kernel's own, with nothing to write back.
const KERNEL_FILE_SYSTEMS: [&str; 21] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "rootfs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];

/// Takes all file systems away, the last mounted first.
pub fn unmount_all<S: System>(machine: &mut Machine<S>) -> State {
    if machine.contained {
        return State::End;
    }
    start_last_resort(machine, UNMOUNT);
    watchdog::stretch(machine, UNFED);
    machine.system.sync();
    swap_off(machine);
    let all = all_mounts(machine);
    let mut mounts = mounts_to_take_away(&all);
    for _ in 0..ROUNDS {
        let before = mounts.len();
        mounts.retain(|mount| machine.system.unmount(&mount.target, Unmount::Now).is_err());
        if mounts.is_empty() || mounts.len() == before {
            break;
        }
    }
    let stay = |mount: &&MountPoint| mount.target == "/" || mounts.contains(mount);
    let disks = settle::disks_without(&all, all.iter().filter(stay));
    for mount in &mounts {
        detach(machine, mount);
    }
    settle::await_disks(machine, disks);
    if !machine.root_in_memory {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        let result = machine.system.mount(Mount { source: "", target: "/", kind: "", flags, data: "" });
        machine.check(result, "make / read-only");
    }
    State::End
}

fn swap_off<S: System>(machine: &mut Machine<S>) {
    let swaps = machine.system.read("/proc/swaps").unwrap_or_default();
    for path in swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next()) {
        let result = match machine.system.swap_off(path) {
            Err(errno @ (Errno::ENOENT | Errno::EINVAL)) => swap_off_below_mounts(machine, path).ok_or(errno),
            result => result,
        };
        machine.check(result, format_args!("stop swapping to {path}"));
    }
}

/// Stops swapping to what a container that is gone has begun: the kernel tells the path below a mount of that container's.
fn swap_off_below_mounts<S: System>(machine: &mut Machine<S>, path: &str) -> Option<()> {
    let mounts = mountinfo::parse(&machine.system.read("/proc/self/mountinfo").ok()?);
    let mut targets = mounts.iter().map(|mount| mount.target.trim_end_matches('/'));
    targets.find_map(|target| machine.system.swap_off(&format!("{target}{path}")).ok())
}

fn all_mounts<S: System>(machine: &mut Machine<S>) -> Vec<MountPoint> {
    match machine.system.read("/proc/self/mountinfo") {
        Ok(text) => mountinfo::parse(&text),
        Err(errno) => {
            machine.say(format_args!("cannot read /proc/self/mountinfo: {errno}; nothing is unmounted"));
            Vec::new()
        }
    }
}

/// The mounts that hold data, the last mounted first.
fn mounts_to_take_away(all: &[MountPoint]) -> Vec<MountPoint> {
    let holds_data =
        |mount: &&MountPoint| mount.target != "/" && !KERNEL_FILE_SYSTEMS.contains(&mount.kind.as_str());
    all.iter().rev().filter(holds_data).cloned().collect()
}

/// What cannot be unmounted is made read-only, so that it is whole on the disk, and taken out of the tree.
fn detach<S: System>(machine: &mut Machine<S>, mount: &MountPoint) {
    let holds_data = !matches!(mount.kind.as_str(), "tmpfs" | "ramfs" | "overlay");
    if holds_data {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        let result =
            machine.system.mount(Mount { source: "", target: &mount.target, kind: "", flags, data: "" });
        let state =
            if result.is_ok() { "made read-only instead" } else { "may have to be checked at the next boot" };
        machine.say(format_args!("{} ({}) is busy and was not unmounted: {state}", mount.target, mount.kind));
    }
    let result = machine.system.unmount(&mount.target, Unmount::Detach);
    if holds_data {
        machine.check(result, format_args!("detach {}", mount.target));
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::super::super::fake::{Fake, machine};
    use super::*;

    const MOUNTS: &str = "1 0 0:1 / / ro - tmpfs rootfs rw\n\
        2 1 0:2 / /proc rw - proc proc rw\n\
        3 1 0:3 / /var rw - tmpfs tmpfs rw\n\
        4 3 8:1 / /var/lib/data rw - ext4 /dev/sda1 rw\n\
        5 4 8:2 / /var/lib/data/deep rw - xfs /dev/sda2 rw\n\
        6 1 0:6 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

    fn unmounting(prepare: impl FnOnce(&mut Fake)) -> Machine<Fake> {
        let mut machine = machine(|fake| {
            fake.file("/proc/self/mountinfo", MOUNTS);
            prepare(fake);
        });
        machine.root_in_memory = true;
        assert_eq!(unmount_all(&mut machine), State::End);
        machine
    }

    #[test]
    fn mounts_go_in_reverse_order_and_the_kernels_own_stay() {
        let machine = unmounting(|_| {});
        let expected = ["unmount /var/lib/data/deep", "unmount /var/lib/data", "unmount /var"];
        assert_eq!(machine.system.calls_of("unmount"), expected);
        assert!(machine.system.log.is_empty() && machine.system.calls_of("mount").is_empty());
    }

    #[test]
    fn what_is_busy_is_made_read_only_detached_and_said() {
        let machine = unmounting(|fake| fake.fail("unmount /var", Errno::EBUSY));
        assert!(machine.system.has_called("mount /var/lib/data rdonly,remount"));
        assert_eq!(
            machine.system.calls_of("detach"),
            ["detach /var/lib/data/deep", "detach /var/lib/data", "detach /var"]
        );
        assert!(
            machine
                .system
                .has_said("/var/lib/data (ext4) is busy and was not unmounted: made read-only instead")
        );
        assert!(!machine.system.has_said("/var (tmpfs)"));
        // A round without progress is the last.
        assert_eq!(machine.system.calls_of("unmount").len(), 3);
    }

    #[test]
    fn a_disk_whose_file_system_lives_on_for_a_moment_is_waited_for() {
        let moment = Duration::from_millis(200);
        let machine = unmounting(|fake| fake.busy = vec![("/dev/sda1".into(), moment)]);
        assert!(machine.system.now() >= moment);
        assert!(machine.system.log.is_empty(), "{:?}", machine.system.log);
        // That of a file system which is still there is none to wait for.
        let machine = unmounting(|fake| {
            fake.busy = vec![("/dev/sda1".into(), Duration::MAX)];
            fake.fail("unmount /var/lib/data", Errno::EBUSY);
        });
        assert_eq!(machine.system.now(), Duration::ZERO);
    }

    #[test]
    fn swap_ends_before_file_systems_go() {
        let swaps = "Filename\tType\tSize\tUsed\tPriority\n/var/lib/data/swap file 1024 0 -2\n";
        let machine = unmounting(|fake| fake.file("/proc/swaps", swaps));
        let at = |call| machine.system.calls.iter().position(|line| line == call).unwrap();
        assert!(at("swap_off /var/lib/data/swap") < at("unmount /var/lib/data"));
    }

    #[test]
    fn swap_that_a_container_began_is_found_below_the_mounts() {
        let swaps = "Filename\tType\tSize\tUsed\tPriority\n/swap file 1024 0 -2\n";
        let machine = unmounting(|fake| {
            fake.file("/proc/swaps", swaps);
            // Below every mount but the one that it is on.
            for mount in mountinfo::parse(MOUNTS).iter().filter(|mount| mount.target != "/var/lib/data") {
                let call = format!("swap_off {}/swap", mount.target.trim_end_matches('/'));
                fake.fail(&call, Errno::ENOENT);
            }
            fake.fail("swap_off /swap", Errno::ENOENT);
        });
        let at = |call| machine.system.calls.iter().position(|line| line == call).unwrap();
        assert!(at("swap_off /var/lib/data/swap") < at("unmount /var/lib/data"));
        assert!(!machine.system.has_said("stop swapping"), "{:?}", machine.system.log);
    }
}
