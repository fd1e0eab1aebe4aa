//! Drivers for the devices, and the file systems that come with drivers.

use super::super::cruise;
use super::super::machine::Machine;
use super::super::state::State;
use super::super::system::System;
use super::filesystems::mount_entries;
use super::table::FEATURES;

/// Loads modules for all devices, then mounts the kernel's optional file systems.
pub fn load<S: System>(machine: &mut Machine<S>) -> State {
    let before = machine.system.now();
    let coldplug = machine.system.coldplug(&machine.cmdline);
    let took = machine.system.now().saturating_sub(before);
    for problem in coldplug.problems {
        machine.say(problem);
    }
    machine.info(format_args!("{} kernel modules loaded in {:.3} s", coldplug.loaded, took.as_secs_f64()));
    cruise::queue(machine, coldplug.rest);
    if !coldplug.background.is_empty() {
        let mut arguments = vec!["modprobe", "--background", "-abq", "--"];
        arguments.extend(coldplug.background.iter().map(String::as_str));
        let result = machine.system.spawn(&arguments).map(drop);
        machine.check(result, "load modules for the processor");
    }
    match mount_entries(machine, &FEATURES) {
        Ok(()) => State::Settings,
        Err(reason) => machine.fail(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::machine;
    use super::super::super::system::Coldplug;
    use super::*;

    #[test]
    fn problems_are_said_and_the_rest_is_left_for_modprobe() {
        let mut machine = machine(|fake| {
            fake.coldplug = Coldplug {
                loaded: 7,
                problems: vec!["cannot load x".into()],
                rest: vec!["usb:1".into()],
                background: vec!["cpu:x86".into()],
            };
        });
        assert_eq!(load(&mut machine), State::Settings);
        assert!(
            machine.system.has_said("cannot load x") && machine.system.has_said("7 kernel modules loaded")
        );
        assert_eq!(machine.hotplug.take(), ["usb:1"]);
        assert_eq!(machine.system.calls_of("spawn"), ["spawn modprobe --background -abq -- cpu:x86"]);
    }

    #[test]
    fn optional_file_systems_come_after_the_modules() {
        let mut machine = machine(|_| {});
        load(&mut machine);
        assert_eq!(machine.system.calls.first().map(String::as_str), Some("coldplug"));
        assert_eq!(machine.system.calls_of("mount").len(), FEATURES.len());
    }
}
