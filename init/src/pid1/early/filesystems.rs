//! All file systems but the root, and the directories on them.

use nix::errno::Errno;
use nix::mount::MsFlags;

use super::super::machine::Machine;
use super::super::mountinfo;
use super::super::state::State;
use super::super::system::{Mount, System};
use super::cgroups;
use super::table::{DIRECTORIES, Entry, LINKS, MOUNTS, Need};
use crate::rcu;

/// Where the tree of configuration files is, for real.
const CONFIG: &str = "/run/config";
/// Where it can be seen too.
const CONFIG_IN_VAR: &str = "/var/config";
const VAR: &str = "/var";

/// Mounts what every machine has, and makes what belongs on it.
pub fn mount_all<S: System>(machine: &mut Machine<S>) -> State {
    if let Err(reason) = mount_entries(machine, &MOUNTS) {
        return machine.fail(reason);
    }
    hurry(machine);
    // A container may have none of these writable, and does not need them.
    let expected: &[Errno] =
        if machine.contained { &[Errno::EROFS, Errno::EACCES, Errno::ENOENT] } else { &[] };
    for (path, mode) in DIRECTORIES {
        let result = machine.system.mkdir(path, mode);
        machine.check_unless(result, expected, format_args!("make {path}"));
    }
    if machine.contained {
        return State::Settings;
    }
    for (target, path) in LINKS {
        let result = machine.system.symlink(target, path);
        machine.check(result, format_args!("make the link {path}"));
    }
    share_config(machine);
    cgroups::mount(machine);
    State::Devices
}

/// Has the kernel not take its time over what the boot changes; the supervisor calls that off when the boot is over.
fn hurry<S: System>(machine: &mut Machine<S>) {
    if machine.contained || rcu::is_set(&machine.cmdline) {
        return;
    }
    let result = machine.system.write(rcu::EXPEDITED, rcu::HURRY);
    if machine.check_unless(result, &[Errno::ENOENT], format_args!("write {}", rcu::EXPEDITED)) {
        let marked = machine.system.create(rcu::MARK, 0o600);
        machine.check(marked, format_args!("make {}", rcu::MARK));
    }
}

/// Mounts a part of the table; what is mounted already is left alone, and in a container everything is. Fails with the
/// first essential one that fails.
pub fn mount_entries<S: System>(machine: &mut Machine<S>, entries: &[Entry]) -> Result<(), String> {
    if machine.contained {
        return Ok(());
    }
    let mut taken = mounted(&machine.system);
    for entry in entries {
        if taken.iter().any(|target| target == entry.target) {
            continue;
        }
        if entry.need != Need::Feature {
            let made = machine.system.mkdir(entry.target, 0o755);
            // On a read-only root the image must have the directory; if not, mounting says so.
            machine.check_unless(made, &[Errno::EROFS], format_args!("make {}", entry.target));
        }
        let tried = format!("mount {} on {}", entry.kind, entry.target);
        match (mount(machine, entry), entry.need) {
            (Ok(()), _) => {}
            (Err(errno), Need::Essential) => return Err(format!("cannot {tried}: {errno}")),
            (Err(errno), Need::Expected) => machine.say(format_args!("cannot {tried}: {errno}")),
            (Err(Errno::ENODEV | Errno::ENOENT | Errno::EPERM | Errno::EACCES), Need::Feature) => {}
            (Err(errno), Need::Feature) => machine.info(format_args!("cannot {tried}: {errno}")),
        }
        if entry.target == "/proc" {
            taken = mounted(&machine.system);
        }
    }
    Ok(())
}

/// Mounts with all options, or, when this kernel does not know one of them, with none.
pub fn mount<S: System>(machine: &mut Machine<S>, entry: &Entry) -> Result<(), Errno> {
    let Entry { target, kind, flags, data, .. } = *entry;
    match machine.system.mount(Mount { source: kind, target, kind, flags, data }) {
        Err(Errno::EINVAL) if !data.is_empty() => {
            machine.system.mount(Mount { source: kind, target, kind, flags, data: "" })
        }
        result => result,
    }
}

/// Where something is mounted; nowhere before `/proc` is.
pub fn mounted<S: System>(system: &S) -> Vec<String> {
    let text = system.read("/proc/self/mountinfo").unwrap_or_default();
    mountinfo::parse(&text).into_iter().map(|mount| mount.target).collect()
}

/// Makes `/run/config` and `/var/config` one tree: containers bind either.
///
/// The tree is on `/run`, and bind-mounted on `/var`:
/// - a disk that is mounted on `/var` later covers the bind mount only, and [`restore_config`] puts it back;
/// - secrets from the cloud never land on that disk;
/// - a container that binds all of `/var` recursively gets the tree with it, where a symbolic link would dangle.
///
/// Whether it is shown now.
fn share_config<S: System>(machine: &mut Machine<S>) -> bool {
    let flags = MsFlags::MS_BIND;
    let result =
        machine.system.mount(Mount { source: CONFIG, target: CONFIG_IN_VAR, kind: "", flags, data: "" });
    machine.check(result, format_args!("show {CONFIG} on {CONFIG_IN_VAR}"))
}

/// Shows the tree of configuration files on `/var` again after something was mounted there.
pub fn restore_config<S: System>(machine: &mut Machine<S>) {
    if machine.contained {
        return;
    }
    let (Ok(var), shown) = (machine.system.device(VAR), machine.system.device(CONFIG_IN_VAR)) else { return };
    // The tree is on another file system than /var itself.
    if shown.is_ok_and(|device| device != var) || machine.unshown_on == Some(var) {
        return;
    }
    // A /var that cannot have the directory is said once.
    machine.unshown_on = Some(var);
    let made = machine.system.mkdir(CONFIG_IN_VAR, 0o755);
    if machine.check(made, format_args!("make {CONFIG_IN_VAR} on what was mounted on /var"))
        && share_config(machine)
    {
        machine.unshown_on = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::{Fake, machine};
    use super::super::table::FEATURES;
    use super::*;
    use kmod::cmdline::Cmdline;

    #[test]
    fn every_mount_and_directory_of_the_table_is_made() {
        let mut machine = machine(|_| {});
        assert_eq!(mount_all(&mut machine), State::Devices);
        for call in [
            "mount /run tmpfs tmpfs nodev,noexec,nosuid,relatime size=10%,mode=755",
            "mount /tmp tmpfs tmpfs nodev,noexec,nosuid,relatime size=10%,mode=1777",
            "mount /var tmpfs tmpfs nodev,noexec,nosuid,relatime size=50%,mode=755",
            "mount /dev/pts devpts devpts noexec,nosuid,relatime gid=5,mode=0620",
            "mount /run/lkb tmpfs tmpfs nodev,noexec,nosuid,relatime size=16m,mode=755",
            "mkdir /run/lkb/exits 700",
            "mkdir /var/empty 555",
            "mkdir /var/tmp 1777",
            "symlink /run /var/run",
            "symlink /proc/self/fd /dev/fd",
            "mount /var/config /run/config bind",
        ] {
            assert!(machine.system.has_called(call), "{call} is missing in {:#?}", machine.system.calls);
        }
        assert!(machine.system.log.is_empty(), "{:?}", machine.system.log);
    }

    #[test]
    fn the_kernel_hurries_until_the_boot_is_over_unless_it_was_told_how_to_do_it() {
        for (line, written) in [("quiet", true), ("rcupdate.rcu_expedited=0", false)] {
            let mut machine = machine(|_| {});
            machine.cmdline = Cmdline::parse(line);
            mount_all(&mut machine);
            assert_eq!(machine.system.has_called("write /sys/kernel/rcu_expedited 1"), written, "{line}");
            assert_eq!(machine.system.has_called("create /run/lkb/hurry 600"), written, "{line}");
        }
    }

    #[test]
    fn what_is_mounted_already_is_left_alone() {
        let mut machine =
            machine(|fake| fake.file("/proc/self/mountinfo", "9 1 0:9 / /run rw - tmpfs tmpfs rw\n"));
        assert_eq!(mount_all(&mut machine), State::Devices);
        assert!(!machine.system.calls.iter().any(|call| call.starts_with("mount /run ")));
        assert!(machine.system.calls.iter().any(|call| call.starts_with("mount /var ")));
    }

    #[test]
    fn a_missing_expected_mount_is_said_and_a_missing_essential_one_ends_the_boot() {
        let mut tolerant = machine(|fake| fake.fail("mount /dev/mqueue", Errno::ENODEV));
        assert_eq!(mount_all(&mut tolerant), State::Devices);
        assert!(tolerant.system.has_said("cannot mount mqueue on /dev/mqueue: ENODEV"));
        let mut strict = machine(|fake| fake.fail("mount /run ", Errno::ENOMEM));
        assert_eq!(mount_all(&mut strict), State::Failed);
    }

    #[test]
    fn features_that_the_kernel_lacks_are_not_worth_a_word() {
        let mut machine = machine(|fake| {
            fake.fail("mount /sys/fs/selinux", Errno::ENOENT);
            fake.fail("mount /sys/kernel/debug", Errno::EPERM);
            fake.fail("mount /sys/fs/pstore", Errno::EIO);
        });
        mount_entries(&mut machine, &FEATURES).unwrap();
        assert_eq!(machine.system.log.len(), 1);
        assert!(machine.system.has_said("pstore"));
        assert!(machine.system.calls_of("mkdir").is_empty());
    }

    #[test]
    fn a_container_gets_directories_where_it_can_and_nothing_else() {
        let mut machine = machine(|fake| {
            fake.file("/sys/fs/cgroup/cgroup.controllers", "cpu\n");
            fake.fail("mkdir", Errno::EROFS);
        });
        machine.contained = true;
        assert_eq!(mount_all(&mut machine), State::Settings);
        assert!(machine.system.calls.iter().all(|call| call.starts_with("mkdir")));
        assert!(machine.system.log.is_empty());
    }

    fn devices(fake: &mut Fake, var: u64, config: u64) {
        fake.file("/var#device", &var.to_string());
        fake.file("/var/config#device", &config.to_string());
    }

    #[test]
    fn configuration_shows_again_after_a_disk_was_mounted_on_var() {
        let mut machine = machine(|fake| devices(fake, 40, 40));
        for _ in 0..2 {
            // Mounted, taken away, and mounted again.
            restore_config(&mut machine);
        }
        let once = ["mkdir /var/config 755", "mount /var/config /run/config bind"];
        assert_eq!(machine.system.calls, [once, once].concat());
    }

    #[test]
    fn configuration_shows_on_a_disk_that_has_no_such_directory_yet() {
        let mut machine = machine(|fake| fake.file("/var#device", "40"));
        restore_config(&mut machine);
        assert!(machine.system.has_called("mount /var/config /run/config bind"));
    }

    #[test]
    fn configuration_that_shows_is_left_alone_and_a_read_only_var_is_said_once() {
        let mut shown = machine(|fake| devices(fake, 40, 41));
        restore_config(&mut shown);
        assert!(shown.system.calls.is_empty());
        let mut refused = machine(|fake| {
            fake.file("/var#device", "40");
            fake.fail("mkdir", Errno::EROFS);
        });
        restore_config(&mut refused);
        restore_config(&mut refused);
        assert_eq!(refused.system.calls, ["mkdir /var/config 755"]);
        assert_eq!(refused.system.log.len(), 1);
    }
}
