//! A root that containers can pivot away from, without copying it.
//!
//! pivot_root(2) refuses a process whose root is the kernel's first mount, the initramfs; every container runtime
//! calls it. So `/` is mounted a second time over itself, and PID 1 moves into that mount: no time, no memory, and
//! device nodes, hard links and extended attributes stay what they are. A root that the kernel mounted from a disk
//! (`root=`) lies on the initramfs already, and needs nothing.

use nix::mount::MsFlags;

use super::super::machine::Machine;
use super::super::state::State;
use super::super::system::{Mount, Result, System};

/// A directory that every image has or gets, and that is covered by a mount of its own soon after.
const STEP: &str = "/run";
/// The kernel's first PID namespace (linux/proc_ns.h, `PROC_PID_INIT_INO`).
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Finds out what machine this is, and moves off the initramfs.
pub fn enter<S: System>(machine: &mut Machine<S>) -> State {
    machine.contained = is_contained(&machine.system);
    if machine.contained {
        return State::Console;
    }
    match machine.system.root_is_memory() {
        Ok(false) => {}
        Ok(true) => {
            machine.root_in_memory = true;
            let result = move_root(&mut machine.system);
            machine.check(result, "make / a mount of its own (containers may fail with pivot_root: EINVAL)");
        }
        Err(errno) => machine.say(format_args!("cannot tell what / is: {errno}")),
    }
    State::Console
}

/// Whether this is a container's PID 1. Before `/proc` is mounted it is not: runtimes mount that.
pub(super) fn is_contained<S: System>(system: &S) -> bool {
    system.read_link("/proc/self/ns/pid").is_ok_and(|namespace| namespace != FIRST_PID_NAMESPACE)
}

fn move_root<S: System>(system: &mut S) -> Result<()> {
    system.mkdir(STEP, 0o755)?;
    system.mount(Mount { source: "/", target: STEP, kind: "", flags: MsFlags::MS_BIND, data: "" })?;
    system.chdir(STEP)?;
    system.mount(Mount { source: ".", target: "/", kind: "", flags: MsFlags::MS_MOVE, data: "" })?;
    system.chroot(".")?;
    system.chdir("/")
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::super::super::fake::machine;
    use super::*;

    #[test]
    fn on_the_initramfs_the_root_is_mounted_over_itself() {
        let mut machine = machine(|fake| fake.root_in_memory = true);
        assert_eq!(enter(&mut machine), State::Console);
        let expected =
            ["mkdir /run 755", "mount /run / bind", "chdir /run", "mount / . move", "chroot .", "chdir /"];
        assert_eq!(machine.system.calls, expected);
        assert!(machine.root_in_memory && !machine.contained);
    }

    #[test]
    fn a_disk_root_is_left_as_it_is() {
        let mut machine = machine(|_| {});
        assert_eq!(enter(&mut machine), State::Console);
        assert!(machine.system.calls.is_empty());
    }

    #[test]
    fn a_container_is_told_by_its_pid_namespace() {
        for (namespace, contained) in [(FIRST_PID_NAMESPACE, false), ("pid:[4026532999]", true)] {
            let mut machine = machine(|fake| {
                fake.root_in_memory = true;
                fake.links.insert("/proc/self/ns/pid".into(), namespace.into());
            });
            assert_eq!(enter(&mut machine), State::Console);
            assert_eq!(
                (machine.contained, machine.system.calls.is_empty()),
                (contained, contained),
                "{namespace}"
            );
        }
    }

    #[test]
    fn a_root_that_cannot_be_moved_is_said_and_the_boot_goes_on() {
        let mut machine = machine(|fake| {
            fake.root_in_memory = true;
            fake.fail("mount /run", Errno::EINVAL);
        });
        assert_eq!(enter(&mut machine), State::Console);
        assert!(machine.system.has_said("pivot_root"), "{:?}", machine.system.log);
    }
}
