//! Control groups: v2, or v1 where the kernel's command line asks for it or the kernel has nothing else.

use nix::errno::Errno;

use super::super::machine::Machine;
use super::super::system::{Mount, System};
use super::filesystems;
use super::table::{CGROUPS, HIERARCHIES, HIERARCHY, UNIFIED};

/// LinuxKit's word for it; `0` is v1.
const UNIFIED_WORD: &str = "linuxkit.unified_cgroup_hierarchy";

/// Mounts the control groups; a machine without them boots, and whoever needs them fails.
pub fn mount<S: System>(machine: &mut Machine<S>) {
    if filesystems::mounted(&machine.system).iter().any(|target| target == CGROUPS) {
        enable_controllers(machine);
        return;
    }
    if machine.cmdline.last(UNIFIED_WORD) == Some("0") {
        machine.info(format_args!("cgroup v1, as {UNIFIED_WORD}=0 says"));
        mount_hierarchies(machine);
        return;
    }
    match filesystems::mount(machine, &UNIFIED) {
        Ok(()) => enable_controllers(machine),
        Err(Errno::ENODEV) => {
            machine.say("the kernel has no cgroup v2: mounting v1 instead");
            mount_hierarchies(machine);
        }
        Err(errno) => machine.say(format_args!("cannot mount cgroup2 on {CGROUPS}: {errno}")),
    }
}

/// Lets every cgroup below the root have every controller that the kernel has.
fn enable_controllers<S: System>(machine: &mut Machine<S>) {
    let Ok(controllers) = machine.system.read(&format!("{CGROUPS}/cgroup.controllers")) else {
        // Mounted by somebody else, as v1.
        return;
    };
    let control = format!("{CGROUPS}/cgroup.subtree_control");
    let enabled: Vec<String> = controllers.split_whitespace().map(|name| format!("+{name}")).collect();
    if machine.system.write(&control, &enabled.join(" ")).is_ok() {
        return;
    }
    // One that cannot be enabled makes the kernel refuse all.
    for name in enabled {
        let result = machine.system.write(&control, &name);
        machine.check(result, format_args!("enable the cgroup controller {name}"));
    }
}

/// cgroup v1: a hierarchy for each controller, and systemd's, which has none, for those who look for it.
fn mount_hierarchies<S: System>(machine: &mut Machine<S>) {
    let text = match machine.system.read("/proc/cgroups") {
        Ok(text) => text,
        Err(errno) => {
            machine
                .say(format_args!("the kernel has no control groups ({errno}): containers will not start"));
            return;
        }
    };
    let mounted = filesystems::mount(machine, &HIERARCHIES);
    if !machine.check(mounted, format_args!("mount tmpfs on {CGROUPS}")) {
        return;
    }
    for name in controllers(&text) {
        mount_hierarchy(machine, name, name);
    }
    mount_hierarchy(machine, "systemd", "none,name=systemd");
    // Counts what is in a group's subgroups too, as v2 does. Newer kernels always do, and some have no such file.
    let path = format!("{CGROUPS}/memory/memory.use_hierarchy");
    let written = machine.system.write(&path, "1");
    machine.check_unless(written, &[Errno::ENOENT], format_args!("write {path}"));
}

fn mount_hierarchy<S: System>(machine: &mut Machine<S>, name: &str, options: &str) {
    let target = format!("{CGROUPS}/{name}");
    let made = machine.system.mkdir(&target, 0o755);
    let mounted = made.and_then(|()| {
        let flags = HIERARCHY;
        machine.system.mount(Mount {
            source: "cgroup",
            target: &target,
            kind: "cgroup",
            flags,
            data: options,
        })
    });
    machine.check(mounted, format_args!("mount cgroup v1 on {target}"));
}

/// The enabled controllers in `/proc/cgroups` (cgroups(7)): name, hierarchy, number of groups, whether enabled.
fn controllers(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut fields = line.split_whitespace();
        let name = fields.next()?;
        (fields.nth(2) == Some("1") && !name.contains('/')).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::{Fake, machine};
    use super::*;
    use kmod::cmdline::Cmdline;

    const CONTROLLERS: &str =
        "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t0\t1\t1\nmemory\t0\t1\t1\nrdma\t0\t1\t0\n";
    const V1: [&str; 7] = [
        "mount /sys/fs/cgroup tmpfs tmpfs nodev,noexec,nosuid,relatime size=10m,mode=755",
        "mkdir /sys/fs/cgroup/cpu 755",
        "mount /sys/fs/cgroup/cpu cgroup cgroup nodev,noexec,nosuid,relatime cpu",
        "mkdir /sys/fs/cgroup/memory 755",
        "mount /sys/fs/cgroup/memory cgroup cgroup nodev,noexec,nosuid,relatime memory",
        "mkdir /sys/fs/cgroup/systemd 755",
        "mount /sys/fs/cgroup/systemd cgroup cgroup nodev,noexec,nosuid,relatime none,name=systemd",
    ];

    fn mounting(cmdline: &str, prepare: impl FnOnce(&mut Fake)) -> Machine<Fake> {
        let mut machine = machine(|fake| {
            fake.file("/proc/cgroups", CONTROLLERS);
            prepare(fake);
        });
        machine.cmdline = Cmdline::parse(cmdline);
        mount(&mut machine);
        machine
    }

    #[test]
    fn options_that_the_kernel_does_not_know_are_left_out() {
        let plain = "mount /sys/fs/cgroup cgroup2 cgroup2 nodev,noexec,nosuid,relatime";
        let machine =
            mounting("", |fake| fake.fail(&format!("{plain} nsdelegate"), nix::errno::Errno::EINVAL));
        assert!(machine.system.has_called(plain) && machine.system.log.is_empty());
    }

    #[test]
    fn controllers_are_enabled_together_or_one_by_one() {
        let available = |fake: &mut Fake| fake.file("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
        let together = mounting("", available);
        assert_eq!(
            together.system.calls_of("write"),
            ["write /sys/fs/cgroup/cgroup.subtree_control +cpu +memory +pids"]
        );
        let single = mounting("", |fake| {
            available(fake);
            fake.fail("write /sys/fs/cgroup/cgroup.subtree_control +cpu", Errno::EINVAL);
        });
        assert_eq!(single.system.calls_of("write").len(), 4);
        assert!(single.system.has_said("cannot enable the cgroup controller +cpu"));
    }

    #[test]
    fn v1_is_mounted_when_it_is_asked_for() {
        let machine = mounting("linuxkit.unified_cgroup_hierarchy=0", |_| {});
        assert_eq!(machine.system.calls[..7], V1);
        assert_eq!(machine.system.calls[7..], ["write /sys/fs/cgroup/memory/memory.use_hierarchy 1"]);
        assert!(machine.system.has_said("cgroup v1, as linuxkit.unified_cgroup_hierarchy=0 says"));
    }

    #[test]
    fn v1_is_mounted_where_the_kernel_has_no_v2() {
        let machine = mounting("", |fake| fake.fail("mount /sys/fs/cgroup cgroup2", Errno::ENODEV));
        assert!(machine.system.has_said("the kernel has no cgroup v2: mounting v1 instead"));
        assert!(V1.iter().all(|call| machine.system.has_called(call)));
    }

    #[test]
    fn one_hierarchy_that_fails_does_not_take_the_others_along() {
        let machine = mounting("linuxkit.unified_cgroup_hierarchy=0", |fake| {
            fake.fail("mount /sys/fs/cgroup/cpu", Errno::EBUSY);
        });
        assert!(machine.system.has_said("cannot mount cgroup v1 on /sys/fs/cgroup/cpu: EBUSY"));
        assert!(machine.system.has_called(V1[6]));
    }

    #[test]
    fn a_kernel_without_control_groups_is_said_and_boots() {
        let machine = mounting("", |fake| {
            fake.files.remove("/proc/cgroups");
            fake.fail("mount /sys/fs/cgroup", Errno::ENODEV);
        });
        assert!(machine.system.has_said("the kernel has no control groups"));
        let refused = mounting("", |fake| fake.fail("mount /sys/fs/cgroup", Errno::EPERM));
        assert!(refused.system.has_said("cannot mount cgroup2 on /sys/fs/cgroup: EPERM"));
    }

    #[test]
    fn what_is_mounted_already_is_used() {
        let machine = mounting("", |fake| {
            fake.file("/proc/self/mountinfo", "9 1 0:9 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
            fake.file("/sys/fs/cgroup/cgroup.controllers", "cpu\n");
        });
        assert_eq!(machine.system.calls, ["write /sys/fs/cgroup/cgroup.subtree_control +cpu"]);
    }
}
