//! The end of the machine: supervisor, processes, file systems, power. Every wait has a deadline.

pub mod failure;
mod settle;
mod unmount;

pub use failure::fail;
pub use unmount::unmount_all;

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::cruise::{is_supervisor_silent, reap, reap_rest, silence_left};
use super::machine::Machine;
use super::state::State;
use super::system::{Event, System};
use super::watchdog;
use crate::heartbeat;
use crate::power::{Action, SUPERVISOR_GRACE, last_resort};

/// For processes to end after SIGTERM.
const TERMINATE: Duration = Duration::from_secs(2);
/// For processes to end after SIGKILL; those that wait for a disk that does not answer stay longer.
const KILL: Duration = Duration::from_secs(2);
/// A request this long after the first means impatience; before, that one button or command was heard twice.
const IMPATIENCE: Duration = Duration::from_secs(2);
/// All that an end may take. Beyond it the watchdog is not fed any more.
const END: Duration = Duration::from_secs(
    SUPERVISOR_GRACE.as_secs() + TERMINATE.as_secs() + KILL.as_secs() + unmount::UNMOUNT.as_secs() + 30,
);
/// How long the watchdog waits while file systems are written, and for the firmware at a reboot.
const UNFED: Duration = Duration::from_secs(2 * unmount::UNMOUNT.as_secs());

/// Whether the machine has been asked to end.
pub fn has_begun<S: System>(machine: &Machine<S>) -> bool {
    machine.ending.deadline > Duration::ZERO
}

/// Starts the end: asks the supervisor to stop what it runs.
pub fn begin<S: System>(machine: &mut Machine<S>, action: Action, why: &str) -> State {
    let now = machine.system.now();
    machine.ending.action = action;
    machine.ending.asked = now;
    machine.ending.deadline = now + SUPERVISOR_GRACE;
    match machine.contained {
        true => machine.say(format_args!("stopping ({why})")),
        false => machine.say(format_args!("{action} ({why})")),
    }
    let Some(pid) = machine.supervisor.pid else {
        machine
            .say("the supervisor does not run: services and onshutdown containers are not stopped in order");
        return terminate(machine);
    };
    let result = machine.system.kill(pid, Signal::SIGTERM);
    if machine.check(result, "ask the supervisor to stop the services") {
        State::StopSupervisor
    } else {
        terminate(machine)
    }
}

/// Waits until the supervisor has stopped everything, is late, or somebody is impatient.
pub fn await_supervisor<S: System>(machine: &mut Machine<S>) -> State {
    let Some(pid) = machine.supervisor.pid else {
        return terminate(machine);
    };
    if is_supervisor_silent(machine) {
        machine.say(format_args!(
            "the supervisor hangs: silent for {} s; services and onshutdown containers are not stopped in order",
            heartbeat::LIMIT.as_secs()
        ));
        return give_up_on(machine, pid);
    }
    match wait(machine, silence_left(machine)) {
        Waited::Event => State::StopSupervisor,
        Waited::Late => {
            machine.say(format_args!("the supervisor is not done after {} s", SUPERVISOR_GRACE.as_secs()));
            give_up_on(machine, pid)
        }
        Waited::Impatient => {
            machine.say("asked again: not waiting for the services any longer");
            give_up_on(machine, pid)
        }
        Waited::Failed(state) => state,
    }
}

fn give_up_on<S: System>(machine: &mut Machine<S>, supervisor: i32) -> State {
    let result = machine.system.kill(supervisor, Signal::SIGKILL);
    machine.check(result, "kill the supervisor");
    // Its death is no news any more.
    machine.supervisor.pid = None;
    terminate(machine)
}

/// Asks all processes to end.
fn terminate<S: System>(machine: &mut Machine<S>) -> State {
    machine.ending.deadline = machine.system.now() + TERMINATE;
    signal_all(machine, Signal::SIGTERM);
    // A stopped process cannot end.
    signal_all(machine, Signal::SIGCONT);
    State::Terminate
}

/// Sends a signal to all processes, if there are any.
fn signal_all<S: System>(machine: &mut Machine<S>, signal: Signal) {
    let result = machine.system.kill_all(signal);
    machine.check_unless(result, &[Errno::ESRCH], format_args!("send {signal} to all processes"));
}

/// Waits until all processes have ended, or are late.
pub fn await_terminated<S: System>(machine: &mut Machine<S>) -> State {
    if !reap(machine) {
        return State::Unmount;
    }
    match wait(machine, None) {
        Waited::Event => State::Terminate,
        Waited::Late | Waited::Impatient => {
            machine.ending.deadline = machine.system.now() + KILL;
            signal_all(machine, Signal::SIGKILL);
            State::Kill
        }
        Waited::Failed(state) => state,
    }
}

/// Waits until all processes are gone, or will not go.
pub fn await_killed<S: System>(machine: &mut Machine<S>) -> State {
    if !reap(machine) {
        return State::Unmount;
    }
    match wait(machine, None) {
        Waited::Event => State::Kill,
        Waited::Late | Waited::Impatient => {
            let names = left_over(machine).join(", ");
            machine.say(format_args!("processes that cannot be killed: {names}"));
            State::Unmount
        }
        Waited::Failed(state) => state,
    }
}

/// The processes that are left, as `name (pid)`; those without a command line are the kernel's own, or dead.
fn left_over<S: System>(machine: &Machine<S>) -> Vec<String> {
    let pids = machine.system.list("/proc").unwrap_or_default();
    let pids = pids.iter().filter(|name| name.as_str() != "1" && name.bytes().all(|b| b.is_ascii_digit()));
    pids.filter_map(|pid| {
        let cmdline = machine.system.read(&format!("/proc/{pid}/cmdline")).ok()?;
        let name = cmdline.split('\0').next().filter(|name| !name.is_empty())?;
        Some(format!("{name} ({pid})"))
    })
    .take(16)
    .collect()
}

enum Waited {
    /// Something happened that may be what is waited for.
    Event,
    /// The deadline has passed.
    Late,
    /// The request was repeated.
    Impatient,
    /// Events are gone; the state that follows.
    Failed(State),
}

/// One wait of a state that has a deadline; at most for `limit`.
fn wait<S: System>(machine: &mut Machine<S>, limit: Option<Duration>) -> Waited {
    let left = machine.until(machine.ending.deadline);
    if left.is_zero() {
        return Waited::Late;
    }
    feed_watchdog(machine);
    let meal = watchdog::until_meal(machine).filter(|left| !left.is_zero());
    let limits = [Some(left), meal, limit, machine.dead_left.then_some(Duration::ZERO)];
    match machine.system.wait(limits.into_iter().flatten().min()) {
        Ok(Event::Beat) => {
            machine.supervisor.beat = machine.system.now();
            Waited::Event
        }
        Ok(Event::Children) => {
            reap(machine);
            Waited::Event
        }
        Ok(Event::Request(action, why)) => {
            if action != machine.ending.action && !machine.contained {
                machine.ending.action = action;
                machine.say(format_args!("{action} instead ({why})"));
            }
            let since = machine.system.now().saturating_sub(machine.ending.asked);
            if since >= IMPATIENCE { Waited::Impatient } else { Waited::Event }
        }
        Ok(Event::Devices(_) | Event::Disks | Event::Mounts | Event::Timeout) => {
            reap_rest(machine);
            Waited::Event
        }
        Err(errno) => Waited::Failed(machine.fail(format_args!("waiting for events: {errno}"))),
    }
}

/// Feeds the watchdog, unless the end takes longer than it may.
fn feed_watchdog<S: System>(machine: &mut Machine<S>) {
    if machine.system.now() < machine.ending.asked + END {
        watchdog::feed(machine);
    }
}

/// Something outside of PID 1 that ends the machine if a disk keeps PID 1 from it.
fn start_last_resort<S: System>(machine: &mut Machine<S>, delay: Duration) {
    let arguments = last_resort::arguments(machine.ending.action, delay);
    let result = machine.system.spawn(&arguments.each_ref().map(String::as_str)).map(drop);
    machine.check(result, "guard against disks that do not answer");
}

/// Ends the machine.
pub fn end<S: System>(machine: &mut Machine<S>) -> State {
    if machine.contained {
        return State::Over;
    }
    machine.system.sync();
    let action = machine.ending.action;
    match action {
        // A reset would start it again.
        Action::PowerOff | Action::Halt => watchdog::stop(machine),
        // A reboot that hangs is a case for the watchdog.
        Action::Reboot => watchdog::stretch(machine, UNFED),
    }
    machine.say(format_args!("{action} now"));
    let errno = machine.system.reboot(action);
    machine.fail(format_args!("{}: {errno}", action.name()))
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, machine};
    use super::super::state::run_from;
    use super::super::system::{Ended, Reaped};
    use super::*;

    const BUTTON: Event = Event::Request(Action::PowerOff, "power button");

    /// A running machine that is asked to power off after a second.
    fn ending(prepare: impl FnOnce(&mut Fake)) -> Machine<Fake> {
        let mut machine = machine(|fake| {
            fake.after(1.0, BUTTON);
            prepare(fake);
        });
        run_from(&mut machine, State::Cruise);
        machine
    }

    fn supervisor_is_done(fake: &mut Fake) {
        fake.after(3.0, Event::Children);
        fake.dead.extend([Reaped::Child(101, Ended::Exited(0)), Reaped::NoneDead]);
    }

    /// The calls up to the first reboot, without those that are the same in every case.
    fn calls(machine: &Machine<Fake>) -> Vec<&str> {
        let end = machine.system.calls.iter().position(|call| call.starts_with("reboot")).unwrap();
        machine.system.calls[..=end].iter().map(String::as_str).collect()
    }

    #[test]
    fn an_orderly_end_waits_for_the_supervisor_and_no_longer() {
        let machine = ending(|fake| {
            supervisor_is_done(fake);
            fake.dead.push_back(Reaped::NoneLeft);
        });
        assert_eq!(
            calls(&machine),
            [
                "spawn supervisor",
                "kill 101 SIGTERM",
                "kill_all SIGTERM",
                "kill_all SIGCONT",
                "spawn last-resort poweroff 60",
                "sync",
                "mount / rdonly,remount",
                "sync",
                "reboot poweroff",
            ]
        );
        assert!(machine.system.has_said("powering off (power button)"));
        // The supervisor took three seconds; everything after it took none.
        assert!(
            machine.system.log.iter().any(|line| line.contains("4.000] powering off now")),
            "{:?}",
            machine.system.log
        );
    }

    #[test]
    fn a_supervisor_that_is_late_is_killed() {
        let machine = ending(|fake| {
            fake.beating = true;
            fake.dead.push_back(Reaped::NoneLeft);
        });
        let calls = calls(&machine);
        assert!(calls.contains(&"kill 101 SIGKILL") && calls.contains(&"kill_all SIGTERM"));
        assert!(machine.system.has_said("not done after 90 s"));
    }

    #[test]
    fn a_supervisor_that_hangs_is_not_waited_for() {
        let machine = ending(|fake| fake.dead.push_back(Reaped::NoneLeft));
        assert!(calls(&machine).contains(&"kill 101 SIGKILL"));
        assert!(machine.system.has_said("20.000] the supervisor hangs: silent for 20 s"));
    }

    /// The same, with a watchdog that waits a minute, on a machine that takes its time to end.
    fn ending_guarded(action: Action, prepare: impl FnOnce(&mut Fake)) -> Machine<Fake> {
        let mut machine = machine(|fake| {
            fake.watchdog = Some(Duration::ZERO);
            fake.beating = true;
            fake.after(1.0, Event::Request(action, "test"));
            fake.dead.extend([Reaped::NoneDead, Reaped::NoneDead, Reaped::NoneDead]);
            prepare(fake);
        });
        watchdog::prepare(&mut machine);
        run_from(&mut machine, State::Cruise);
        machine
    }

    #[test]
    fn the_watchdog_is_fed_until_the_end_and_stopped_before_the_power_goes_off() {
        for action in [Action::PowerOff, Action::Halt] {
            let machine = ending_guarded(action, |fake| fake.magic_close = true);
            assert!(machine.system.now > SUPERVISOR_GRACE && !machine.system.starved());
            let calls = calls(&machine);
            assert_eq!(&calls[calls.len() - 2..], ["stop_watchdog", &format!("reboot {}", action.name())]);
        }
    }

    #[test]
    fn a_reboot_leaves_the_watchdog_on_with_time_for_the_firmware() {
        let machine = ending_guarded(Action::Reboot, |_| {});
        let calls = calls(&machine);
        assert_eq!(calls.last(), Some(&"reboot reboot"));
        assert!(calls.contains(&"set_watchdog 120") && !calls.contains(&"stop_watchdog"));
    }

    #[test]
    fn an_end_that_takes_longer_than_it_may_is_left_to_the_watchdog() {
        let mut machine = machine(|fake| fake.watchdog = Some(Duration::ZERO));
        watchdog::prepare(&mut machine);
        machine.system.now = END + Duration::from_secs(1);
        feed_watchdog(&mut machine);
        assert!(!machine.system.has_called("feed_watchdog"));
    }

    #[test]
    fn impatience_kills_the_supervisor_but_a_bouncing_button_does_not() {
        let bounced = ending(|fake| {
            fake.after(0.1, BUTTON);
            supervisor_is_done(fake);
            fake.dead.push_back(Reaped::NoneLeft);
        });
        assert!(!calls(&bounced).contains(&"kill 101 SIGKILL"));
        let impatient = ending(|fake| {
            fake.after(5.0, BUTTON);
            fake.dead.push_back(Reaped::NoneLeft);
        });
        assert!(calls(&impatient).contains(&"kill 101 SIGKILL"));
    }

    #[test]
    fn the_last_request_decides_how_the_machine_ends() {
        let machine = ending(|fake| {
            fake.after(0.5, Event::Request(Action::Reboot, "SIGTERM"));
            supervisor_is_done(fake);
            fake.dead.push_back(Reaped::NoneLeft);
        });
        assert_eq!(calls(&machine).last(), Some(&"reboot reboot"));
        assert!(machine.system.has_said("rebooting instead (SIGTERM)"));
    }

    #[test]
    fn a_failing_supervisor_is_said() {
        let machine = ending(|fake| {
            fake.after(1.0, Event::Children);
            fake.dead.extend([Reaped::Child(101, Ended::Killed(11)), Reaped::NoneLeft]);
        });
        assert!(machine.system.has_said("supervisor was killed by SIGSEGV while it stopped the services"));
    }

    #[test]
    fn processes_that_ignore_sigterm_are_killed_and_those_that_survive_are_named() {
        let machine = ending(|fake| {
            supervisor_is_done(fake);
            fake.file("/proc/1/cmdline", "/init\0");
            fake.file("/proc/2/cmdline", "");
            fake.file("/proc/77/cmdline", "/usr/bin/stuck\0-x\0");
        });
        let calls = calls(&machine);
        let at = |call| calls.iter().position(|line| *line == call).unwrap();
        assert!(at("kill_all SIGTERM") < at("kill_all SIGKILL"));
        assert!(at("kill_all SIGKILL") < at("reboot poweroff"));
        assert!(machine.system.has_said("processes that cannot be killed: /usr/bin/stuck (77)"));
        assert!(machine.system.has_said("8.000] powering off now"), "{:?}", machine.system.log);
    }

    #[test]
    fn a_container_only_ends_its_processes() {
        let mut machine = machine(|fake| {
            fake.after(1.0, BUTTON);
            supervisor_is_done(fake);
            fake.dead.push_back(Reaped::NoneLeft);
        });
        machine.contained = true;
        run_from(&mut machine, State::Cruise);
        assert!(machine.system.has_said("stopping (power button)"));
        assert_eq!(machine.system.calls.last().map(String::as_str), Some("kill_all SIGCONT"));
        assert_eq!(machine.exit_status(), 0);
    }
}
