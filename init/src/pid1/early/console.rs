//! `/proc`, `/dev`, and a console to speak to.

use kmod::cmdline::Cmdline;
use nix::errno::Errno;

use super::super::machine::Machine;
use super::super::state::State;
use super::super::system::{Node, System};
use super::disk_root;
use super::filesystems::mount_entries;
use super::table::{DEV, NODES, PROC};
use super::{initramfs, root};

/// Opens the console as early as there can be one, and starts to hear of signals.
pub fn open<S: System>(machine: &mut Machine<S>) -> State {
    let mounted = mount_entries(machine, &PROC);
    // Who starts a container without /proc leaves it to us to find out where we are.
    machine.contained |= root::is_contained(&machine.system);
    let mounted = mounted.and_then(|()| mount_entries(machine, &DEV));
    if !machine.contained {
        for (path, mode, major, minor) in NODES {
            let result = machine.system.mknod(Node { path, block: false, mode, major, minor });
            machine.check(result, format_args!("make {path}"));
        }
    }
    // In a container it is what the host's kernel was told.
    if !machine.contained {
        match machine.system.read("/proc/cmdline") {
            Ok(text) => machine.cmdline = Cmdline::parse(&text),
            Err(errno) => machine.say(format_args!("cannot read /proc/cmdline: {errno}; going on without")),
        }
    }
    let console = match machine.contained {
        // The runtime has given us the terminal or log that it wants us to use.
        true => {
            machine.system.keep_console();
            Ok(())
        }
        false => machine.system.open_console(),
    };
    machine.console_is_open();
    // A machine without serial port and screen has no console: ENODEV. These lines go to the kernel's log.
    machine.check_unless(console, &[Errno::ENODEV, Errno::ENXIO], "open /dev/console");
    let then = machine.after_failure();
    machine.system.on_fault(then);
    if let Err(reason) = mounted {
        return machine.fail(reason);
    }
    match machine.system.open_events(machine.contained) {
        Ok(problems) => {
            for problem in problems {
                machine.info(problem);
            }
        }
        Err(errno) => return machine.fail(format_args!("cannot listen for signals: {errno}")),
    }
    match initramfs::what_is_missing(machine) {
        Some(reason) => machine.fail(reason),
        None => disk_root::or_filesystems(machine),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::machine;
    use super::super::super::system::Then;
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
    fn a_console_that_cannot_be_opened_is_said_in_the_kernels_log_and_the_machine_boots() {
        let mut machine = machine(|fake| fake.fail("open_console", Errno::EIO));
        assert_eq!(open(&mut machine), State::Filesystems);
        assert!(machine.system.has_said("cannot open /dev/console: EIO"));
    }

    #[test]
    fn a_container_keeps_the_console_it_was_given() {
        let mut machine = machine(|fake| fake.file("/proc/cmdline", "quiet panic=0"));
        machine.contained = true;
        assert_eq!(open(&mut machine), State::Filesystems);
        assert_eq!(machine.system.calls, ["open_events signals"]);
        assert!(!machine.cmdline.has("quiet"), "the host's command line is not ours");
        assert_eq!(machine.system.fault, Some(Then::Exit));
    }

    #[test]
    fn a_container_without_proc_is_found_out_once_it_is_mounted() {
        let mut machine = machine(|fake| {
            fake.links.insert("/proc/self/ns/pid".into(), "pid:[4026532999]".into());
        });
        assert_eq!(open(&mut machine), State::Filesystems);
        assert!(machine.contained);
        let expected =
            ["mkdir /proc 755", "mount /proc proc proc nodev,noexec,nosuid,relatime", "open_events signals"];
        assert_eq!(machine.system.calls, expected);
    }

    #[test]
    fn what_follows_a_fault_is_what_panic_says() {
        let mut machine = machine(|fake| fake.file("/proc/cmdline", "panic=0"));
        open(&mut machine);
        assert_eq!(machine.system.fault, Some(Then::Stay));
    }

    #[test]
    fn half_a_root_is_not_booted() {
        let mut machine = machine(|fake| {
            fake.kernel_log = vec!["Initramfs unpacking failed: write error".into()];
        });
        machine.root_in_memory = true;
        assert_eq!(open(&mut machine), State::Failed);
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
