//! What the boot's states took, for the boot time-line: noted while there is nowhere to write, written before the
//! supervisor begins, which goes on with it.

use std::time::Duration;

use super::machine::Machine;
use super::state::State;
use super::system::System;
use crate::stage::BEGUN;
use crate::timeline::{Kind, PATH, Step, Timeline};

/// The supervisor's directory, which holds the file.
const DIRECTORY: &str = "/run/lkb";

/// Notes that `state`, which began at `begun`, has ended, and that `next` follows.
pub fn note<S: System>(machine: &mut Machine<S>, state: State, begun: Duration, next: State) {
    let Some(name) = name(state) else { return };
    if machine.timeline.steps.is_empty() {
        let first_stage = first_stage(&machine.system);
        let kernel = Step::done(Kind::Kernel, "kernel", Duration::ZERO, first_stage.unwrap_or(begun));
        machine.timeline.steps.push(kernel);
        let first_stage = first_stage.map(|since| Step::done(Kind::Pid1, "pid1/first-stage", since, begun));
        machine.timeline.steps.extend(first_stage);
    }
    let now = machine.system.now();
    machine.timeline.steps.push(Step::done(Kind::Pid1, name, begun, now));
    if next == State::Cruise {
        let timeline = std::mem::take(&mut machine.timeline);
        write(machine, &timeline);
    }
}

/// When the first of two stages began, if this is the second.
fn first_stage<S: System>(system: &S) -> Option<Duration> {
    let environment = system.read("/proc/self/environ").ok()?;
    let mut values = environment.split('\0').filter_map(|word| word.strip_prefix(BEGUN)?.strip_prefix('='));
    values.next()?.parse().ok().map(Duration::from_micros)
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

    #[test]
    fn a_first_stage_is_no_part_of_the_kernel() {
        let mut machine = machine(|fake| {
            fake.now = Duration::from_millis(1500);
            fake.file("/proc/self/environ", "HOME=/\0LKB_STAGE_BEGUN=900000\0");
        });
        note(&mut machine, State::Root, Duration::from_millis(1400), State::Console);
        let steps = machine.timeline.steps.iter().map(|step| (step.name.as_str(), step.start, step.end));
        assert_eq!(
            steps.collect::<Vec<_>>(),
            [("kernel", 0.0, Some(0.9)), ("pid1/first-stage", 0.9, Some(1.4)), ("pid1/root", 1.4, Some(1.5))]
        );
    }
}
