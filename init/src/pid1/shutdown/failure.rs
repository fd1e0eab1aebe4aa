//! When PID 1 cannot go on.

use std::time::Duration;

use super::super::cruise::reap;
use super::super::machine::Machine;
use super::super::state::State;
use super::super::system::{Event, System};
use super::start_last_resort;
use super::unmount::UNMOUNT;
use crate::power::Action;

/// For people to read why PID 1 gave up.
const READ: Duration = Duration::from_secs(30);

/// Says why PID 1 cannot go on, waits for somebody to read it, and starts the machine again.
///
/// If even that is refused PID 1 ends: the kernel panics, and reboots by itself after `kernel.panic` seconds.
pub fn fail<S: System>(machine: &mut Machine<S>) -> State {
    let reason = machine.failure.clone().unwrap_or_default();
    if machine.contained {
        machine.say(format_args!("cannot go on: {reason}"));
        return State::Over;
    }
    machine.say(format_args!("cannot go on: {reason}; rebooting in {} s", READ.as_secs()));
    machine.ending.action = Action::Reboot;
    start_last_resort(machine, READ + UNMOUNT);
    let deadline = machine.system.now() + READ;
    loop {
        let left = machine.until(deadline);
        if left.is_zero() {
            break;
        }
        match machine.system.wait(Some(left)) {
            Ok(Event::Request(action, _)) => {
                machine.ending.action = action;
                break;
            }
            Ok(Event::Children) => {
                reap(machine);
            }
            Ok(_) => {}
            Err(_) => {
                machine.system.sleep(left);
                break;
            }
        }
    }
    machine.system.sync();
    let errno = machine.system.reboot(machine.ending.action);
    machine.say(format_args!("cannot reboot: {errno}"));
    State::Over
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::machine;
    use super::super::super::state::run_from;
    use super::*;

    const BUTTON: Event = Event::Request(Action::PowerOff, "power button");

    #[test]
    fn what_cannot_be_handled_is_said_and_the_machine_reboots_after_a_while() {
        let mut machine = machine(|_| {});
        let state = machine.fail("no /proc");
        run_from(&mut machine, state);
        assert!(machine.system.has_said("cannot go on: no /proc; rebooting in 30 s"));
        assert_eq!(machine.system.calls, ["spawn last-resort reboot 90", "sync", "reboot reboot"]);
        assert_eq!(machine.system.now, READ);
        assert_eq!(machine.exit_status(), 1);
    }

    #[test]
    fn somebody_who_has_read_the_failure_need_not_wait() {
        let mut machine = machine(|fake| fake.after(2.0, BUTTON));
        let state = machine.fail("no /proc");
        run_from(&mut machine, state);
        assert!(machine.system.has_called("reboot poweroff"));
        assert_eq!(machine.system.now, Duration::from_secs(2));
    }
}
