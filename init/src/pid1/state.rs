//! The table of states.

use super::machine::Machine;
use super::system::System;
use super::{cruise, early, shutdown, timeline};

/// Where PID 1 is in the life of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Making `/` a root that containers can pivot away from.
    Root,
    /// `/proc` and `/dev`, so that there is a console to speak to.
    Console,
    /// On an initramfs that is there to find the root: finding it.
    DiskRoot,
    /// All other file systems.
    Filesystems,
    /// Modules for the devices.
    Devices,
    /// Name, network, limits, clock.
    Settings,
    /// `/` becomes read-only.
    Seal,
    /// The machine runs.
    Cruise,
    /// The supervisor stops what it started.
    StopSupervisor,
    /// Everything else is asked to end.
    Terminate,
    /// Everything else is made to end.
    Kill,
    /// File systems are taken away.
    Unmount,
    /// The machine ends.
    End,
    /// PID 1 cannot go on.
    Failed,
    /// Nothing is left to do.
    Over,
}

/// What a state does; returns the state that follows.
pub type Step<S> = fn(&mut Machine<S>) -> State;

/// The table: what each state does.
fn step<S: System>(state: State) -> Option<Step<S>> {
    Some(match state {
        State::Root => early::root::enter,
        State::Console => early::console::open,
        State::DiskRoot => early::disk_root::enter,
        State::Filesystems => early::filesystems::mount_all,
        State::Devices => early::devices::load,
        State::Settings => early::settings::apply,
        State::Seal => early::seal::close,
        State::Cruise => cruise::next_event,
        State::StopSupervisor => shutdown::await_supervisor,
        State::Terminate => shutdown::await_terminated,
        State::Kill => shutdown::await_killed,
        State::Unmount => shutdown::unmount_all,
        State::End => shutdown::end,
        State::Failed => shutdown::fail,
        State::Over => return None,
    })
}

/// Goes from state to state until nothing is left to do.
pub fn run<S: System>(machine: &mut Machine<S>) {
    run_from(machine, State::Root);
}

/// The same, from a state in the middle.
pub(super) fn run_from<S: System>(machine: &mut Machine<S>, mut state: State) {
    while let Some(step) = step::<S>(state) {
        let begun = machine.system.now();
        let next = step(machine);
        timeline::note(machine, state, begun, next);
        state = next;
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::super::fake::{Fake, machine};
    use super::super::system::{Ended, Event, Reaped};
    use super::*;
    use crate::power::Action;

    /// From the kernel's start to a power button.
    fn life(prepare: impl FnOnce(&mut Fake)) -> Machine<Fake> {
        let mut machine = machine(|fake| {
            fake.root_in_memory = true;
            fake.after(10.0, Event::Request(Action::PowerOff, "power button"));
            fake.after(1.0, Event::Children);
            fake.dead.extend([Reaped::Child(101, Ended::Exited(0)), Reaped::NoneLeft, Reaped::NoneLeft]);
            prepare(fake);
        });
        run(&mut machine);
        machine
    }

    #[test]
    fn a_whole_life_goes_through_every_state_in_order() {
        let machine = life(|_| {});
        let milestones = [
            "chroot .",
            "mount /proc",
            "open_console",
            "open_events",
            "mount /run",
            "coldplug",
            "mount /sys/kernel/security",
            "print /dev/console Welcome to LinuxKit",
            "loopback_up",
            "mount / bind,rdonly,remount",
            "spawn supervisor",
            "kill 101 SIGTERM",
            "kill_all SIGTERM",
            "spawn last-resort",
            "reboot poweroff",
        ];
        let mut calls = machine.system.calls.iter();
        for milestone in milestones {
            assert!(calls.any(|call| call.starts_with(milestone)), "{milestone} is missing or too early");
        }
    }

    #[test]
    fn quiet_leaves_only_what_people_must_know() {
        let loud = life(|_| {});
        assert!(loud.system.has_said("supervisor started"));
        let quiet = life(|fake| fake.file("/proc/cmdline", "quiet"));
        assert!(!quiet.system.has_said("supervisor started") && quiet.system.has_said("powering off"));
    }

    #[test]
    fn a_machine_that_cannot_boot_reboots() {
        let machine = life(|fake| {
            fake.events.clear();
            fake.fail("mount /sys ", Errno::ENODEV);
        });
        assert!(machine.system.has_said("cannot mount sysfs on /sys: ENODEV"));
        assert!(!machine.system.has_called("spawn supervisor") && machine.system.has_called("reboot reboot"));
    }
}
