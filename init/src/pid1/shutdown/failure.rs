//! When PID 1 cannot go on.

use std::time::Duration;

use kmod::cmdline::Cmdline;

use super::super::cruise::reap;
use super::super::machine::Machine;
use super::super::state::State;
use super::super::system::{Event, System, Then};
use super::super::watchdog;
use super::start_last_resort;
use super::unmount::UNMOUNT;
use crate::power::Action;

/// For people to read why PID 1 gave up, when the kernel's command line does not say how long.
const READ: u32 = 10;
/// How long PID 1 sleeps at a time when it can hear nothing.
const DEAF: Duration = Duration::from_secs(3600);

/// What the kernel does when it cannot go on (`panic=`, kernel Documentation/admin-guide/kernel-parameters.txt), PID 1
/// does too: reboot after so many seconds, at once if negative, never if zero. Only the kernel's default, never, is not
/// ours.
#[must_use]
pub fn policy(cmdline: &Cmdline) -> Then {
    match cmdline.last("panic").and_then(|value| value.parse::<i64>().ok()) {
        None => Then::Reboot(READ),
        Some(0) => Then::Stay,
        Some(seconds) => Then::Reboot(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX)),
    }
}

/// Says why PID 1 cannot go on, waits for somebody to read it, and starts the machine again.
///
/// If even that is refused PID 1 ends: the kernel panics, and reboots by itself after `kernel.panic` seconds.
pub fn fail<S: System>(machine: &mut Machine<S>) -> State {
    let reason = machine.failure.clone().unwrap_or_default();
    let policy = machine.after_failure();
    let said =
        if machine.cmdline.last("panic").is_some() { "as panic= says" } else { "no panic= says otherwise" };
    let deadline = match policy {
        Then::Exit => {
            machine.say(format_args!("cannot go on: {reason}"));
            return State::Over;
        }
        Then::Stay => {
            machine.say(format_args!("cannot go on: {reason}; staying up to be read ({said})"));
            None
        }
        Then::Reboot(seconds) => {
            machine.say(format_args!("cannot go on: {reason}; rebooting in {seconds} s ({said})"));
            Some(Duration::from_secs(seconds.into()))
        }
    };
    machine.ending.action = Action::Reboot;
    if let Some(delay) = deadline {
        start_last_resort(machine, delay + UNMOUNT);
    }
    // Now: who reads may pull the plug.
    machine.system.sync();
    await_reader(machine, deadline.map(|delay| machine.system.now() + delay));
    watchdog::stretch(machine, UNMOUNT);
    machine.system.sync();
    let errno = machine.system.reboot(machine.ending.action);
    machine.say(format_args!("cannot reboot: {errno}"));
    State::Over
}

/// Waits until the deadline, or until somebody asks for the end; buries the dead and feeds the watchdog meanwhile.
fn await_reader<S: System>(machine: &mut Machine<S>, deadline: Option<Duration>) {
    loop {
        watchdog::feed(machine);
        let left = deadline.map(|deadline| machine.until(deadline));
        if left.is_some_and(|left| left.is_zero()) {
            return;
        }
        let meal = watchdog::until_meal(machine).filter(|left| !left.is_zero());
        let limit = [left, meal].into_iter().flatten().min();
        match machine.system.wait(limit) {
            Ok(Event::Request(action, _)) => {
                machine.ending.action = action;
                return;
            }
            Ok(Event::Children) => {
                reap(machine);
            }
            Ok(_) => {}
            Err(_) => machine.system.sleep(limit.unwrap_or(DEAF)),
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::super::super::fake::{Fake, machine};
    use super::super::super::state::run_from;
    use super::*;

    const BUTTON: Event = Event::Request(Action::PowerOff, "power button");

    fn failing(cmdline: &str, prepare: impl FnOnce(&mut Fake)) -> Machine<Fake> {
        let mut machine = machine(prepare);
        machine.cmdline = Cmdline::parse(cmdline);
        let state = machine.fail("no /proc");
        run_from(&mut machine, state);
        machine
    }

    #[test]
    fn panic_on_the_command_line_decides() {
        let cases = [
            ("", Then::Reboot(10)),
            ("panic=0", Then::Stay),
            ("panic=-1", Then::Reboot(0)),
            ("panic=30", Then::Reboot(30)),
            ("panic=30 panic=5", Then::Reboot(5)),
            ("panic=99999999999", Then::Reboot(u32::MAX)),
            ("panic", Then::Reboot(10)),
            ("panic=soon", Then::Reboot(10)),
        ];
        for (line, expected) in cases {
            assert_eq!(policy(&Cmdline::parse(line)), expected, "{line}");
        }
    }

    #[test]
    fn what_cannot_be_handled_is_said_and_the_machine_reboots_after_a_while() {
        let machine = failing("", |_| {});
        assert!(
            machine.system.has_said("cannot go on: no /proc; rebooting in 10 s (no panic= says otherwise)")
        );
        assert_eq!(machine.system.calls, ["spawn last-resort reboot 70", "sync", "sync", "reboot reboot"]);
        assert_eq!(machine.system.now, Duration::from_secs(10));
        assert_eq!(machine.exit_status(), 1);
    }

    #[test]
    fn a_negative_panic_reboots_at_once() {
        let machine = failing("panic=-1", |_| {});
        assert!(machine.system.has_called("reboot reboot"));
        assert_eq!(machine.system.now, Duration::ZERO);
    }

    #[test]
    fn panic_0_stays_up_with_a_fed_watchdog_until_somebody_has_read() {
        let mut machine = machine(|fake| {
            fake.watchdog = Some(Duration::ZERO);
            fake.after(100_000.0, BUTTON);
        });
        machine.cmdline = Cmdline::parse("panic=0");
        watchdog::prepare(&mut machine);
        let state = machine.fail("no /proc");
        run_from(&mut machine, state);
        assert!(machine.system.has_said("staying up to be read (as panic= says)"));
        assert!(machine.system.has_called("reboot poweroff") && !machine.system.starved());
        assert!(machine.system.calls_of("spawn").is_empty(), "nothing else may end the machine");
    }

    #[test]
    fn somebody_who_has_read_the_failure_need_not_wait() {
        let machine = failing("panic=30", |fake| fake.after(2.0, BUTTON));
        assert!(machine.system.has_called("reboot poweroff"));
        assert_eq!(machine.system.now, Duration::from_secs(2));
    }

    #[test]
    fn a_machine_that_hears_nothing_reboots_all_the_same() {
        let machine = failing("panic=30", |fake| fake.fail("wait", Errno::EBADF));
        assert!(machine.system.has_called("reboot reboot"));
        assert_eq!(machine.system.now, Duration::from_secs(30));
    }

    #[test]
    fn a_container_ends() {
        let mut machine = machine(|_| {});
        machine.contained = true;
        let state = machine.fail("no signals");
        run_from(&mut machine, state);
        assert!(machine.system.calls.is_empty());
        assert_eq!((machine.exit_status(), machine.system.now), (1, Duration::ZERO));
    }
}
