//! Drivers for the devices, and the file systems that come with drivers.

use super::super::cruise;
use super::super::machine::Machine;
use super::super::state::State;
use super::super::system::System;
use super::filesystems::mount_entries;
use super::table::FEATURES;

/// What the kernel starts for each event.
const HELPER: &str = "/proc/sys/kernel/hotplug";
/// What the kernel starts to get a module.
const MODPROBE: &str = "/proc/sys/kernel/modprobe";

/// Loads modules for all devices, then mounts the kernel's optional file systems.
pub fn load<S: System>(machine: &mut Machine<S>) -> State {
    let before = machine.system.now();
    let kinds: Vec<&str> = FEATURES.iter().map(|entry| entry.kind).collect();
    let coldplug = machine.system.coldplug(&machine.cmdline, &kinds);
    let took = machine.system.now().saturating_sub(before);
    for problem in coldplug.problems {
        machine.say(problem);
    }
    machine.info(format_args!("{} kernel modules loaded in {:.3} s", coldplug.loaded, took.as_secs_f64()));
    cruise::queue(machine, coldplug.rest);
    quiet_the_kernel(machine);
    if let Err(reason) = mount_features(machine) {
        return machine.fail(reason);
    }
    if !coldplug.background.is_empty() {
        let mut arguments = vec!["modprobe", "--background", "-abq", "--"];
        arguments.extend(coldplug.background.iter().map(String::as_str));
        let result = machine.system.spawn(&arguments).map(drop);
        machine.check(result, "load modules for the processor");
    }
    machine.disk_links.stale = has_disks(&machine.system);
    cruise::start_disk_links(machine);
    State::Settings
}

/// Mounts the kernel's optional file systems, without letting it start a `modprobe` for each that it does not have, and for
/// what it looks for when it has them: all modules that there are for them have just been loaded.
fn mount_features<S: System>(machine: &mut Machine<S>) -> Result<(), String> {
    let program = machine.system.read(MODPROBE);
    if program.is_ok() {
        let result = machine.system.write(MODPROBE, "\n");
        machine.check(result, format_args!("write {MODPROBE}"));
    }
    let mounted = mount_entries(machine, &FEATURES);
    if let Ok(program) = program {
        let result = machine.system.write(MODPROBE, &program);
        machine.check(result, format_args!("write {MODPROBE} back"));
    }
    mounted
}

/// Some kernels start a program for each event (`CONFIG_UEVENT_HELPER`). PID 1 hears of events by itself, and thousands of
/// processes at each boot have nothing to do.
fn quiet_the_kernel<S: System>(machine: &mut Machine<S>) {
    if machine.system.read(HELPER).is_ok_and(|program| !program.trim().is_empty()) {
        let result = machine.system.write(HELPER, "\n");
        machine.check(result, "keep the kernel from starting a program for each device");
    }
}

/// Whether there is any disk but those that the kernel makes up.
fn has_disks<S: System>(system: &S) -> bool {
    let names = system.list("/sys/class/block").unwrap_or_default();
    names.iter().any(|name| !["loop", "ram", "zram"].iter().any(|kind| name.starts_with(kind)))
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
    fn disks_are_linked_without_waiting_where_there_are_any() {
        for (name, spawned) in [("vda1", &["spawn disk-links"][..]), ("loop0", &[])] {
            let mut machine = machine(|fake| fake.file(&format!("/sys/class/block/{name}"), ""));
            load(&mut machine);
            assert_eq!(machine.system.calls_of("spawn"), spawned, "{name}");
        }
    }

    #[test]
    fn the_kernel_is_kept_from_starting_a_program_for_each_device() {
        for (program, written) in [("/sbin/mdev\n", true), ("\n", false)] {
            let mut machine = machine(|fake| fake.file(HELPER, program));
            load(&mut machine);
            assert_eq!(machine.system.has_called(&format!("write {HELPER} \n")), written);
        }
    }

    #[test]
    fn optional_file_systems_come_after_the_modules() {
        let mut machine = machine(|fake| fake.file(MODPROBE, "/sbin/modprobe\n"));
        load(&mut machine);
        assert_eq!(machine.system.calls.first().map(String::as_str), Some("coldplug"));
        assert_eq!(machine.system.calls_of("mount").len(), FEATURES.len());
        let writes = machine.system.calls_of("write");
        assert_eq!(writes, [format!("write {MODPROBE} \n"), format!("write {MODPROBE} /sbin/modprobe\n")]);
    }
}
