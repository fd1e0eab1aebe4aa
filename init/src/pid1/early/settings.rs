//! What a running machine needs besides files: time, name, network, limits, and what happens when all else fails.

use nix::errno::Errno;

use super::super::machine::Machine;
use super::super::state::State;
use super::super::system::System;
use super::super::watchdog;
use super::{clock, issue};

/// Seconds from a kernel panic to the reboot; the kernel's default is to stay dead.
const PANIC_TIMEOUT: &str = "10";
/// Longest host name (`HOST_NAME_MAX`).
const NAME_LIMIT: usize = 64;
/// `ARPHRD_ETHER`: links with a MAC address.
const ETHERNET: &str = "1";

/// Applies all settings; none of them is worth stopping the boot for.
pub fn apply<S: System>(machine: &mut Machine<S>) -> State {
    issue::print(machine);
    let limits = machine.system.raise_limits();
    // A container may not raise them, and has its own name, clock and network.
    let expected: &[Errno] = if machine.contained { &[Errno::EPERM] } else { &[] };
    machine.check_unless(limits, expected, "raise the limits for open files and processes");
    if machine.contained {
        return State::Seal;
    }
    watchdog::prepare(machine);
    let result = machine.system.catch_ctrl_alt_del();
    machine.check(result, "take over ctrl-alt-del");
    reboot_after_panic(machine);
    clock::set(machine);
    set_hostname(machine);
    let result = machine.system.loopback_up();
    machine.check(result, "bring up the loopback interface");
    State::Seal
}

/// A dead kernel reboots, unless the command line says how it should die.
pub fn reboot_after_panic<S: System>(machine: &mut Machine<S>) {
    const FILE: &str = "/proc/sys/kernel/panic";
    let unset = machine.system.read(FILE).is_ok_and(|seconds| seconds.trim() == "0");
    if unset && !machine.cmdline.has("panic") {
        let result = machine.system.write(FILE, PANIC_TIMEOUT);
        machine.check(result, format_args!("write {FILE}"));
    }
}

/// `/etc/hostname`, or the name the kernel was given, or one made of the first MAC address.
fn set_hostname<S: System>(machine: &mut Machine<S>) {
    let configured = machine.system.read("/etc/hostname").unwrap_or_default();
    let configured =
        configured.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let name = match configured {
        Some(name) if is_hostname(name) => name.to_owned(),
        Some(name) => {
            machine.say(format_args!("/etc/hostname has no valid host name: {name:?}"));
            name_from_hardware(&machine.system)
        }
        None if has_name(&machine.system) => return,
        None => name_from_hardware(&machine.system),
    };
    let result = machine.system.set_hostname(&name);
    machine.check(result, format_args!("set the host name {name}"));
}

fn is_hostname(name: &str) -> bool {
    name.len() <= NAME_LIMIT
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

/// The kernel's own default is `(none)`; `hostname=` or `ip=` may have set another.
fn has_name<S: System>(system: &S) -> bool {
    system
        .read("/proc/sys/kernel/hostname")
        .is_ok_and(|name| !matches!(name.trim(), "" | "(none)" | "localhost"))
}

/// `linuxkit-` and the MAC address of `eth0`, or of the first Ethernet link by name.
fn name_from_hardware<S: System>(system: &S) -> String {
    let mut links = system.list("/sys/class/net").unwrap_or_default();
    links.sort_by_key(|link| link != "eth0");
    let attribute = |link: &str, name: &str| system.read(&format!("/sys/class/net/{link}/{name}")).ok();
    let mac = links.iter().find_map(|link| {
        let kind = attribute(link, "type")?;
        attribute(link, "address").filter(|_| kind.trim() == ETHERNET)
    });
    match mac {
        Some(mac) => format!("linuxkit-{}", mac.trim().replace(':', "")),
        None => "linuxkit".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::{Fake, machine};
    use super::*;
    use kmod::cmdline::Cmdline;

    fn hostname(prepare: impl FnOnce(&mut Fake)) -> Vec<String> {
        let mut machine = machine(prepare);
        set_hostname(&mut machine);
        machine.system.calls
    }

    #[test]
    fn the_host_name_is_the_configured_one_or_the_kernels_or_made_of_the_mac_address() {
        assert_eq!(hostname(|fake| fake.file("/etc/hostname", "# me\n node1 \n")), ["set_hostname node1"]);
        assert!(hostname(|fake| fake.file("/proc/sys/kernel/hostname", "given\n")).is_empty());
        assert_eq!(hostname(|_| {}), ["set_hostname linuxkit"]);
        let links = |fake: &mut Fake| {
            fake.file("/sys/class/net/lo/type", "772\n");
            fake.file("/sys/class/net/lo/address", "00:00:00:00:00:00\n");
            fake.file("/sys/class/net/ens3/type", "1\n");
            fake.file("/sys/class/net/ens3/address", "52:54:00:12:34:56\n");
        };
        assert_eq!(hostname(links), ["set_hostname linuxkit-525400123456"]);
        let more = |fake: &mut Fake| {
            links(fake);
            fake.file("/sys/class/net/eth0/type", "1\n");
            fake.file("/sys/class/net/eth0/address", "52:54:00:00:00:01\n");
        };
        assert_eq!(hostname(more), ["set_hostname linuxkit-525400000001"]);
    }

    #[test]
    fn a_name_that_is_none_is_said_and_replaced() {
        let mut machine = machine(|fake| fake.file("/etc/hostname", "a b\n"));
        set_hostname(&mut machine);
        assert_eq!(machine.system.calls, ["set_hostname linuxkit"]);
        assert!(machine.system.has_said("a b"));
        assert!(!is_hostname(&"x".repeat(65)));
    }

    #[test]
    fn a_panic_reboots_unless_the_command_line_has_its_own_idea() {
        for (value, line, expected) in [("0\n", "", true), ("0\n", "panic=0", false), ("5\n", "", false)] {
            let mut machine = machine(|fake| fake.file("/proc/sys/kernel/panic", value));
            machine.cmdline = Cmdline::parse(line);
            reboot_after_panic(&mut machine);
            assert_eq!(
                machine.system.has_called("write /proc/sys/kernel/panic 10"),
                expected,
                "{value} {line}"
            );
        }
    }

    #[test]
    fn no_setting_is_worth_stopping_the_boot() {
        let mut machine = machine(|fake| fake.fail("", Errno::EPERM));
        assert_eq!(apply(&mut machine), State::Seal);
        for call in ["raise_limits", "catch_ctrl_alt_del", "loopback_up", "set_hostname linuxkit"] {
            assert!(machine.system.has_called(call), "{call}");
        }
        assert!(machine.system.has_said("cannot bring up the loopback interface"));
    }

    #[test]
    fn a_container_keeps_its_name_clock_and_network() {
        let mut machine = machine(|fake| fake.fail("raise_limits", Errno::EPERM));
        machine.contained = true;
        assert_eq!(apply(&mut machine), State::Seal);
        assert_eq!(machine.system.calls, ["raise_limits"]);
        assert!(machine.system.has_said("Welcome to LinuxKit"));
        assert_eq!(machine.system.log.len(), 1);
    }
}
