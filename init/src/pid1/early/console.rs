//! `/proc`, `/dev`, and a console to speak to.

use nix::errno::Errno;

use super::super::machine::Machine;
use super::super::state::State;
use super::super::system::{Node, System};
use super::disk_root;
use super::filesystems::mount_entries;
use super::table::{FIRST, NODES};
use crate::cmdline::Cmdline;

/// Opens the console as early as there can be one, and starts to hear of signals.
pub fn open<S: System>(machine: &mut Machine<S>) -> State {
    let mounted = mount_entries(machine, &FIRST);
    if !machine.contained {
        for (path, mode, major, minor) in NODES {
            let result = machine.system.mknod(Node { path, block: false, mode, major, minor });
            machine.check(result, format_args!("make {path}"));
        }
    }
    match machine.system.read("/proc/cmdline") {
        Ok(text) => machine.cmdline = Cmdline::parse(&text),
        Err(errno) => machine.say(format_args!("cannot read /proc/cmdline: {errno}; going on without")),
    }
    let console = match machine.contained {
        // The runtime has given us the terminal or log that it wants us to use.
        true => Ok(()),
        false => machine.system.open_console(),
    };
    machine.console_is_open();
    // A machine without serial port and screen has no console: ENODEV.
    machine.check_unless(console, &[Errno::ENODEV, Errno::ENXIO], "open /dev/console");
    if let Err(reason) = mounted {
        return machine.fail(reason);
    }
    match machine.system.open_events() {
        Ok(problems) => {
            for problem in problems {
                machine.info(problem);
            }
            disk_root::or_filesystems(machine)
        }
        Err(errno) => machine.fail(format_args!("cannot listen for signals: {errno}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::machine;
    use super::*;

    #[test]
    fn the_console_comes_after_proc_and_dev_and_before_everything_else() {
        let mut machine = machine(|_| {});
        assert_eq!(open(&mut machine), State::Filesystems);
        let calls = &machine.system.calls;
        let at = |call: &str| calls.iter().position(|line| line.starts_with(call)).unwrap();
        assert!(
            at("mount /proc proc proc nodev,noexec,nosuid,relatime") < at("mount /dev devtmpfs devtmpfs")
        );
        assert!(at("mount /dev") < at("mknod /dev/console 600 c5:1"));
        assert!(at("mknod /dev/null 666 c1:3") < at("open_console"));
        assert!(at("open_console") < at("open_events"));
        assert_eq!(machine.cmdline.consoles(), ["ttyS0"]);
    }

    #[test]
    fn a_machine_without_console_boots() {
        let mut machine = machine(|fake| fake.fail("open_console", Errno::ENODEV));
        assert_eq!(open(&mut machine), State::Filesystems);
        assert!(machine.system.log.is_empty(), "{:?}", machine.system.log);
    }

    #[test]
    fn a_container_keeps_the_console_it_was_given() {
        let mut machine = machine(|_| {});
        machine.contained = true;
        assert_eq!(open(&mut machine), State::Filesystems);
        assert_eq!(machine.system.calls, ["open_events"]);
    }

    #[test]
    fn nothing_goes_without_proc_dev_or_signals() {
        for (call, said) in
            [("mount /proc", "mount proc on /proc"), ("mount /dev", "on /dev"), ("open_events", "signals")]
        {
            let mut machine = machine(|fake| fake.fail(call, Errno::EPERM));
            assert_eq!(open(&mut machine), State::Failed, "{call}");
            assert!(machine.failure.clone().unwrap().contains(said), "{:?}", machine.failure);
        }
    }
}
