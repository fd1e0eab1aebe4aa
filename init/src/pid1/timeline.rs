//! What the boot's states took, for the boot time-line: noted while there is nowhere to write, written before the
//! supervisor begins, which goes on with it.

use std::time::Duration;

use super::machine::Machine;
use super::state::State;
use super::system::System;
use crate::timeline::{Kind, PATH, Step, Timeline};

/// The supervisor's directory, which holds the file.
const DIRECTORY: &str = "/run/lkb";

/// Notes that `state`, which began at `begun`, has ended, and that `next` follows.
pub fn note<S: System>(machine: &mut Machine<S>, state: State, begun: Duration, next: State) {
    let Some(name) = name(state) else { return };
    if machine.timeline.steps.is_empty() {
        machine.timeline.steps.push(Step::done(Kind::Kernel, "kernel", Duration::ZERO, begun));
    }
    let now = machine.system.now();
    machine.timeline.steps.push(Step::done(Kind::Pid1, name, begun, now));
    if next == State::Cruise {
        let timeline = std::mem::take(&mut machine.timeline);
        write(machine, &timeline);
    }
}

/// What the boot's states are called; others are no part of it.
fn name(state: State) -> Option<&'static str> {
    Some(match state {
        State::Root => "pid1/root",
        State::Console => "pid1/console",
        State::Filesystems => "pid1/mounts",
        State::Devices => "pid1/devices",
        State::Settings => "pid1/settings",
        State::Seal => "pid1/seal",
        _ => return None,
    })
}

fn write<S: System>(machine: &mut Machine<S>, timeline: &Timeline) {
    let Ok(json) = serde_json::to_string(timeline) else { return };
    let made = machine.system.mkdir(DIRECTORY, 0o700).and_then(|()| machine.system.create(PATH, 0o600));
    let written = made.and_then(|()| machine.system.write(PATH, &json));
    machine.check(written, format_args!("write {PATH}"));
}

#[cfg(test)]
mod tests {
    use super::super::fake::machine;
    use super::super::state::run;
    use super::*;
    use crate::timeline::Outcome;

    #[test]
    fn the_supervisor_finds_what_was_done_before_it() {
        let mut machine = machine(|fake| fake.now = Duration::from_millis(1500));
        run(&mut machine);
        let calls = &machine.system.calls;
        let at = |start: &str| calls.iter().position(|call| call.starts_with(start)).unwrap();
        let wrote = at("write /run/lkb/boot.json ");
        assert!(at("mkdir /run/lkb 700") < wrote && wrote < at("spawn supervisor"));
        let json = calls[wrote].strip_prefix("write /run/lkb/boot.json ").unwrap();
        let timeline = Timeline::parse(json.as_bytes()).unwrap();
        let names: Vec<&str> = timeline.steps.iter().map(|step| step.name.as_str()).collect();
        let expected = [
            "kernel",
            "pid1/root",
            "pid1/console",
            "pid1/mounts",
            "pid1/devices",
            "pid1/settings",
            "pid1/seal",
        ];
        assert_eq!(names, expected);
        assert_eq!((timeline.steps[0].start, timeline.steps[0].end), (0.0, Some(1.5)));
        assert!(timeline.steps.iter().all(|step| step.outcome == Outcome::Ok));
    }
}
