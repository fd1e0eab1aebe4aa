//! While the machine runs: reap, keep the supervisor alive, load modules for new devices, hear requests to end.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::early::filesystems;
use super::machine::Machine;
use super::state::State;
use super::system::{Ended, Event, Reaped, System};
use super::{backoff, shutdown, watchdog};
use crate::heartbeat;

/// Children reaped before other events get their turn; a storm of dying processes must not hide a power button.
const REAP_AT_ONCE: usize = 4096;
/// PID 1 woken so long after it should have been: the whole machine stood still (a paused guest), not the supervisor.
const STOOD_STILL: Duration = Duration::from_secs(5);

/// Waits for one event and deals with it.
pub fn next_event<S: System>(machine: &mut Machine<S>) -> State {
    start_supervisor(machine);
    kill_hung_supervisor(machine);
    start_modprobe(machine);
    start_disk_links(machine);
    let limit = match machine.supervisor.pid {
        _ if machine.dead_left => Some(Duration::ZERO),
        Some(_) => silence_left(machine),
        None => Some(machine.until(machine.supervisor.due)),
    };
    match machine.system.wait(limit) {
        Ok(Event::Beat) => {
            machine.supervisor.beat = machine.system.now();
            watchdog::look(machine);
            watchdog::feed(machine);
            State::Cruise
        }
        Ok(Event::Children) => {
            reap(machine);
            State::Cruise
        }
        Ok(Event::Request(action, why)) => shutdown::begin(machine, action, why),
        Ok(Event::Devices(aliases)) => {
            queue(machine, aliases);
            State::Cruise
        }
        Ok(Event::Disks) => {
            machine.disk_links.stale = true;
            State::Cruise
        }
        Ok(Event::Mounts) => {
            filesystems::restore_config(machine);
            State::Cruise
        }
        Ok(Event::Timeout) => {
            reap_rest(machine);
            State::Cruise
        }
        Err(errno) => machine.fail(format_args!("waiting for events: {errno}")),
    }
}

/// Starts the supervisor if it does not run and its pause is over.
fn start_supervisor<S: System>(machine: &mut Machine<S>) {
    let now = machine.system.now();
    if machine.supervisor.pid.is_some() || now < machine.supervisor.due {
        return;
    }
    match machine.system.spawn_supervisor() {
        Ok(pid) => {
            machine.supervisor.pid = Some(pid);
            machine.supervisor.started = now;
            machine.supervisor.beat = now;
            machine.supervisor.hung = false;
            machine.info(format_args!("supervisor started (process {pid})"));
        }
        Err(errno) => supervisor_died(machine, Duration::ZERO, format_args!("cannot be started: {errno}")),
    }
}

/// How long the supervisor may still be silent; `None` when it has been killed for it, or does not run.
pub fn silence_left<S: System>(machine: &Machine<S>) -> Option<Duration> {
    let waited_for = machine.supervisor.pid.is_some() && !machine.supervisor.hung;
    waited_for.then(|| machine.until(machine.supervisor.beat + heartbeat::LIMIT))
}

/// Whether the supervisor has been silent for too long.
pub fn is_supervisor_silent<S: System>(machine: &mut Machine<S>) -> bool {
    if silence_left(machine).is_none_or(|left| !left.is_zero()) {
        return false;
    }
    let now = machine.system.now();
    let late = now.saturating_sub(machine.supervisor.beat + heartbeat::LIMIT);
    if late >= STOOD_STILL {
        machine.supervisor.beat = now;
    }
    late < STOOD_STILL
}

fn kill_hung_supervisor<S: System>(machine: &mut Machine<S>) {
    let Some(pid) = machine.supervisor.pid else { return };
    if !is_supervisor_silent(machine) {
        return;
    }
    // Once: one that cannot be killed is the watchdog's business.
    machine.supervisor.hung = true;
    machine
        .say(format_args!("the supervisor hangs: silent for {} s; killing it", heartbeat::LIMIT.as_secs()));
    let result = machine.system.kill(pid, Signal::SIGKILL);
    machine.check(result, "kill the supervisor");
}

fn supervisor_died<S: System>(machine: &mut Machine<S>, lived: Duration, how: impl std::fmt::Display) {
    let deaths = backoff::deaths(machine.supervisor.deaths, lived);
    let pause = backoff::delay(deaths);
    machine.supervisor.pid = None;
    machine.supervisor.deaths = deaths;
    machine.supervisor.due = machine.system.now() + pause;
    machine.say(format_args!("supervisor {how}; starting it again in {:.1} s", pause.as_secs_f64()));
}

/// Gives waiting aliases to a `modprobe`, unless one runs.
fn start_modprobe<S: System>(machine: &mut Machine<S>) {
    if machine.modprobe.is_some() {
        return;
    }
    let aliases = machine.hotplug.take();
    if aliases.is_empty() {
        return;
    }
    let mut arguments = vec!["modprobe", "-abq", "--"];
    arguments.extend(aliases.iter().map(String::as_str));
    match machine.system.spawn(&arguments) {
        Ok(pid) => machine.modprobe = Some(pid),
        Err(errno) => machine.say(format_args!("cannot load modules for new devices: {errno}")),
    }
}

/// Brings the links to disks up to date, unless somebody is at it.
pub fn start_disk_links<S: System>(machine: &mut Machine<S>) {
    if !machine.disk_links.stale || machine.disk_links.pid.is_some() {
        return;
    }
    machine.disk_links.stale = false;
    match machine.system.spawn(&["disk-links"]) {
        Ok(pid) => machine.disk_links.pid = Some(pid),
        Err(errno) => machine.say(format_args!("cannot bring the links in /dev/disk up to date: {errno}")),
    }
}

/// Remembers the aliases of new devices.
pub fn queue<S: System>(machine: &mut Machine<S>, aliases: Vec<String>) {
    let refused = aliases.into_iter().filter(|alias| !machine.hotplug.push(alias.clone())).count();
    if refused > 0 {
        machine
            .say(format_args!("too many new devices at once: no modules are loaded for {refused} of them"));
    }
}

/// Goes on with a burial that was interrupted: the kernel does not tell of those dead again.
pub fn reap_rest<S: System>(machine: &mut Machine<S>) {
    if machine.dead_left {
        reap(machine);
    }
}

/// Buries the dead; whether any process is left.
pub fn reap<S: System>(machine: &mut Machine<S>) -> bool {
    machine.dead_left = false;
    for _ in 0..REAP_AT_ONCE {
        match machine.system.reap() {
            Reaped::Child(pid, how) => buried(machine, pid, how),
            Reaped::NoneDead => return true,
            Reaped::NoneLeft => return false,
        }
    }
    machine.dead_left = true;
    true
}

fn buried<S: System>(machine: &mut Machine<S>, pid: i32, how: Ended) {
    let recorded = machine.system.record_exit(pid, how);
    machine.check_unless(recorded, &[Errno::ENOENT], format_args!("record that process {pid} {how}"));
    if machine.modprobe == Some(pid) {
        machine.modprobe = None;
        if matches!(how, Ended::Killed(_)) && !shutdown::has_begun(machine) {
            machine.say(format_args!("modprobe for new devices {how}: see the kernel log"));
        }
    }
    if machine.disk_links.pid == Some(pid) {
        machine.disk_links.pid = None;
    }
    if machine.supervisor.pid != Some(pid) {
        return;
    }
    if shutdown::has_begun(machine) {
        machine.supervisor.pid = None;
        if how != Ended::Exited(0) {
            machine.say(format_args!("supervisor {how} while it stopped the services"));
        }
        return;
    }
    let lived = machine.system.now().saturating_sub(machine.supervisor.started);
    supervisor_died(machine, lived, how);
}

#[cfg(test)]
mod tests {
    use super::super::fake::machine;
    use super::super::state::run_from;
    use super::*;
    use crate::power::Action;

    #[test]
    fn a_dead_supervisor_is_started_again_with_back_off() {
        let mut machine = machine(|fake| {
            for (pid, how) in [(101, Ended::Exited(1)), (102, Ended::Killed(9)), (103, Ended::Exited(0))] {
                fake.after(1.0, Event::Children);
                fake.dead.extend([Reaped::Child(pid, how), Reaped::NoneDead]);
            }
        });
        run_from(&mut machine, State::Cruise);
        assert_eq!(
            machine.system.calls_of("spawn").iter().filter(|call| **call == "spawn supervisor").count(),
            4
        );
        for line in [
            "supervisor exited with code 1; starting it again in 0.1 s",
            "supervisor was killed by SIGKILL; starting it again in 0.2 s",
            "supervisor exited with code 0; starting it again in 0.4 s",
        ] {
            assert!(machine.system.has_said(line), "{line}: {:#?}", machine.system.log);
        }
    }

    #[test]
    fn a_supervisor_that_cannot_be_started_is_tried_again_and_no_request_is_missed() {
        let mut machine = machine(|fake| {
            fake.fail("spawn supervisor", Errno::ENOEXEC);
            fake.after(1.0, Event::Request(Action::PowerOff, "power button"));
            fake.dead.push_back(Reaped::NoneLeft);
        });
        run_from(&mut machine, State::Cruise);
        // At 0.0, 0.1, 0.3 and 0.7 seconds; the next would be at 1.5.
        assert_eq!(machine.system.calls.iter().filter(|call| *call == "spawn supervisor").count(), 4);
        assert!(machine.system.has_called("reboot poweroff"));
    }

    #[test]
    fn orphans_are_buried_without_a_word() {
        let mut machine = machine(|fake| {
            fake.after(1.0, Event::Children);
            fake.dead.extend((1000..1500).map(|pid| Reaped::Child(pid, Ended::Exited(3))));
        });
        assert_eq!(next_event(&mut machine), State::Cruise);
        assert!(machine.system.dead.is_empty());
        assert_eq!(machine.system.log.len(), 1, "{:?}", machine.system.log);
    }

    #[test]
    fn a_storm_of_orphans_lets_other_events_have_their_turn_and_is_then_buried() {
        let mut machine = machine(|fake| {
            fake.after(1.0, Event::Children);
            fake.dead.extend((0..10_000).map(|pid| Reaped::Child(pid, Ended::Exited(0))));
        });
        let mut left = Vec::new();
        while !machine.system.dead.is_empty() {
            assert_eq!(next_event(&mut machine), State::Cruise);
            left.push(machine.system.dead.len());
        }
        assert_eq!(left, [10_000 - REAP_AT_ONCE, 10_000 - 2 * REAP_AT_ONCE, 0]);
        assert_eq!(machine.system.now, Duration::from_secs(1));
    }

    #[test]
    fn new_devices_are_given_to_one_modprobe_at_a_time() {
        let mut machine = machine(|fake| {
            fake.after(1.0, Event::Devices(vec!["usb:a".into()]));
            fake.after(1.0, Event::Devices(vec!["usb:b".into(), "usb:c".into()]));
            fake.after(1.0, Event::Timeout);
            fake.after(1.0, Event::Children);
            fake.dead.extend([Reaped::Child(102, Ended::Exited(0)), Reaped::NoneDead]);
        });
        for _ in 0..3 {
            assert_eq!(next_event(&mut machine), State::Cruise);
        }
        assert_eq!(machine.system.calls_of("spawn"), ["spawn supervisor", "spawn modprobe -abq -- usb:a"]);
        next_event(&mut machine);
        next_event(&mut machine);
        assert_eq!(
            machine.system.calls.last().map(String::as_str),
            Some("spawn modprobe -abq -- usb:b usb:c")
        );
    }

    #[test]
    fn a_storm_of_disks_is_one_look_at_a_time() {
        let mut machine = machine(|fake| {
            for _ in 0..10_000 {
                fake.after(0.0, Event::Disks);
            }
            fake.after(1.0, Event::Children);
            fake.dead.extend([Reaped::Child(102, Ended::Exited(0)), Reaped::NoneDead]);
            fake.after(1.0, Event::Children);
            fake.dead.extend([Reaped::Child(103, Ended::Exited(0)), Reaped::NoneDead]);
            fake.after(1.0, Event::Timeout);
        });
        while !machine.system.events.is_empty() {
            assert_eq!(next_event(&mut machine), State::Cruise);
        }
        let spawned = ["spawn supervisor", "spawn disk-links", "spawn disk-links"];
        assert_eq!(machine.system.calls_of("spawn"), spawned);
    }

    #[test]
    fn a_mount_on_var_gets_the_configuration_back() {
        let mut machine = machine(|fake| {
            fake.after(1.0, Event::Mounts);
            fake.file("/var#device", "2049");
        });
        assert_eq!(next_event(&mut machine), State::Cruise);
        assert!(machine.system.has_called("mount /var/config /run/config bind"));
    }

    #[test]
    fn an_exit_is_recorded_where_somebody_asked_for_it_and_nowhere_else() {
        let mut machine = machine(|fake| {
            fake.after(1.0, Event::Children);
            fake.file("/run/lkb/exits/500", "");
            fake.file("/run/lkb/exits/502", "");
            let dead = [(500, Ended::Exited(3)), (501, Ended::Exited(0)), (502, Ended::Killed(9))];
            fake.dead.extend(dead.map(|(pid, how)| Reaped::Child(pid, how)));
        });
        next_event(&mut machine);
        assert_eq!(
            machine.system.calls_of("record_exit"),
            ["record_exit 500 exited with code 3", "record_exit 502 was killed by SIGKILL"]
        );
    }

    #[test]
    fn an_exit_that_cannot_be_recorded_is_said() {
        let mut machine = machine(|fake| {
            fake.after(1.0, Event::Children);
            fake.file("/run/lkb/exits/500", "");
            fake.fail("record_exit", Errno::ENOSPC);
            fake.dead.push_back(Reaped::Child(500, Ended::Exited(3)));
        });
        next_event(&mut machine);
        assert!(machine.system.has_said("cannot record that process 500 exited with code 3: ENOSPC"));
    }

    #[test]
    fn a_supervisor_that_beats_lives_and_feeds_the_watchdog() {
        let mut machine = machine(|fake| {
            fake.watchdog = Some(Duration::ZERO);
            fake.beating = true;
            fake.after(600.0, Event::Mounts);
        });
        watchdog::prepare(&mut machine);
        while !machine.system.events.is_empty() {
            next_event(&mut machine);
        }
        assert!(machine.system.calls_of("kill").is_empty() && !machine.system.starved());
        assert_eq!(machine.system.calls_of("spawn").len(), 1);
    }

    #[test]
    fn a_supervisor_that_hangs_is_killed_once_and_started_again() {
        let mut machine = machine(|fake| {
            fake.after(25.0, Event::Children);
            fake.dead.extend([Reaped::Child(101, Ended::Killed(9)), Reaped::NoneDead]);
            fake.after(1.0, Event::Mounts);
        });
        while !machine.system.events.is_empty() {
            next_event(&mut machine);
        }
        assert!(machine.system.has_said("20.000] the supervisor hangs: silent for 20 s; killing it"));
        assert_eq!(
            machine.system.calls,
            ["spawn supervisor", "kill 101 SIGKILL", "spawn supervisor"],
            "{:?}",
            machine.system.log
        );
        assert!(!machine.supervisor.hung);
    }

    #[test]
    fn a_supervisor_that_cannot_be_killed_starves_the_watchdog() {
        let mut machine = machine(|fake| {
            fake.watchdog = Some(Duration::ZERO);
            fake.after(100.0, Event::Mounts);
        });
        watchdog::prepare(&mut machine);
        while !machine.system.events.is_empty() {
            next_event(&mut machine);
        }
        assert_eq!(machine.system.calls_of("kill"), ["kill 101 SIGKILL"]);
        assert!(machine.system.starved());
    }

    #[test]
    fn a_machine_that_stood_still_does_not_blame_the_supervisor() {
        let mut machine = machine(|fake| fake.after(1.0, Event::Beat));
        next_event(&mut machine);
        machine.system.now += Duration::from_secs(3600);
        machine.system.after(1.0, Event::Beat);
        next_event(&mut machine);
        assert!(machine.system.calls_of("kill").is_empty() && machine.supervisor.beat == machine.system.now);
    }

    #[test]
    fn a_watchdog_that_comes_while_the_machine_runs_is_started_at_the_next_beat() {
        let mut machine = machine(|fake| fake.after(2.0, Event::Beat));
        watchdog::prepare(&mut machine);
        machine.system.watchdog = Some(Duration::ZERO);
        next_event(&mut machine);
        assert!(machine.system.has_called("open_watchdog 60"));
    }

    #[test]
    fn when_nothing_can_be_heard_any_more_the_machine_reboots() {
        let mut machine = machine(|fake| fake.fail("wait", Errno::EBADF));
        run_from(&mut machine, State::Cruise);
        assert!(machine.system.has_said("cannot go on: waiting for events: EBADF"));
        assert_eq!(machine.system.calls_of("reboot"), ["reboot reboot"]);
    }
}
