//! The first stage of a boot in two ([`crate::stage`]): finds the disk that is to be `/`, and goes there.

use std::time::Duration;

use nix::errno::Errno;
use nix::mount::MsFlags;

use super::super::cruise;
use super::super::machine::Machine;
use super::super::shutdown;
use super::super::state::State;
use super::super::system::{Event, Mount, System};
use super::checked_root;
use super::filesystems::mount_entries;
use super::table::STAGE_ONE;
use crate::device::block::BlockDevice;
use crate::stage::{self, Request, Root};

/// Where the new root is mounted, on the initramfs.
const NEW_ROOT: &str = "/sysroot";
/// What an initramfs with a whole machine has.
const CONTAINERS: &str = "/containers";
/// Mounts that the second stage keeps.
const KEPT: [&str; 3] = ["/dev", "/proc", "/sys"];
/// What is run on the new root, if nothing else is asked for.
const PROGRAMS: [&str; 2] = ["/sbin/init", "/init"];
/// Disks are looked at again this long after the last look though no event came: a CD drive that spins up tells nobody.
const AGAIN: Duration = Duration::from_secs(1);
/// Somebody who waits is told for what, this often.
const REMINDER: Duration = Duration::from_secs(30);

/// What comes after the console: the first stage on an initramfs that is one, else the machine itself.
pub fn or_filesystems<S: System>(machine: &Machine<S>) -> State {
    let first_stage = machine.root_in_memory
        && !machine.contained
        && machine.cmdline.last("root").is_some()
        && machine.system.list(CONTAINERS).is_err()
        && !is_second_stage(&machine.system);
    if first_stage { State::DiskRoot } else { State::Filesystems }
}

fn is_second_stage<S: System>(system: &S) -> bool {
    system.read("/proc/self/environ").is_ok_and(|all| all.split('\0').any(|word| word == stage::SECOND_STAGE))
}

/// Finds the root, mounts it, and becomes its init.
pub fn enter<S: System>(machine: &mut Machine<S>) -> State {
    let request = match Request::read(&machine.cmdline) {
        Ok(Some(request)) => request,
        Ok(None) => return State::Filesystems,
        Err(error) => return machine.fail(error),
    };
    for remark in &request.remarks {
        machine.say(remark);
    }
    if let Err(reason) = mount_entries(machine, &STAGE_ONE) {
        return machine.fail(reason);
    }
    load_drivers(machine, &request);
    let device = match find(machine, &request, &request.root, "root=") {
        Ok(device) => device,
        Err(state) => return state,
    };
    let device = match &request.hash {
        None => Ok(device),
        Some(hash) => match find(machine, &request, &hash.tree(), "roothash=") {
            Ok(tree) => checked_root::open(machine, hash, &device, &tree),
            Err(state) => return state,
        },
    };
    let device = match device {
        Ok(device) => device,
        Err(reason) => return machine.fail(reason),
    };
    match mount(machine, &request, &device).and_then(|()| leave(machine, &device)) {
        Ok(()) => run(machine, &request, &device),
        Err(reason) => machine.fail(reason),
    }
}

fn load_drivers<S: System>(machine: &mut Machine<S>, request: &Request) {
    let before = machine.system.now();
    let coldplug = machine.system.coldplug(&machine.cmdline, &[]);
    for problem in coldplug.problems {
        machine.say(problem);
    }
    if !coldplug.rest.is_empty() {
        load(machine, &coldplug.rest);
    }
    let took = machine.system.now().saturating_sub(before).as_secs_f64();
    machine.info(format_args!(
        "{} kernel modules loaded in {took:.3} s; looking for {}",
        coldplug.loaded, request.root
    ));
}

fn load<S: System>(machine: &mut Machine<S>, names: &[String]) {
    for problem in machine.system.load_modules(&machine.cmdline, names) {
        machine.say(problem);
    }
}

/// Waits until a device is there that `word` of the command line asks for; the state that follows if it does not come.
fn find<S: System>(
    machine: &mut Machine<S>,
    request: &Request,
    wanted: &Root,
    word: &str,
) -> Result<BlockDevice, State> {
    let start = machine.system.now();
    let first_look = start + request.delay;
    let deadline = request.patience.map(|patience| first_look + patience);
    let mut reminder = first_look + REMINDER;
    let mut look = request.delay.is_zero();
    loop {
        let now = machine.system.now();
        if look {
            let devices = machine.system.block_devices();
            if let Some(choice) = stage::choose(wanted, &devices) {
                say_others(machine, wanted, &choice);
                return Ok(choice.device.clone());
            }
            if deadline.is_some_and(|deadline| now >= deadline) {
                let waited = now.saturating_sub(start);
                return Err(give_up(
                    machine,
                    format_args!("{wanted}, which {word} asks for"),
                    &devices,
                    waited,
                ));
            }
            if now >= reminder {
                machine.say(format_args!("still waiting for {wanted}"));
                reminder = now + REMINDER;
            }
        }
        let wake = if now < first_look { first_look } else { now + AGAIN };
        let wake = deadline.map_or(wake, |deadline| wake.min(deadline));
        look = match machine.system.wait(Some(wake.saturating_sub(now))) {
            Ok(Event::Request(action, why)) => return Err(shutdown::begin(machine, action, why)),
            Ok(Event::Children) => {
                cruise::reap(machine);
                false
            }
            Ok(Event::Devices(aliases)) => {
                load(machine, &aliases);
                false
            }
            Ok(Event::Disks | Event::Timeout) => machine.system.now() >= first_look,
            Ok(_) => false,
            Err(errno) => return Err(machine.fail(format_args!("waiting for disks: {errno}"))),
        };
    }
}

/// Copies of a disk have the same names: whoever booted the wrong one must be able to see it.
fn say_others<S: System>(machine: &mut Machine<S>, wanted: &Root, choice: &stage::Choice<'_>) {
    if choice.others.is_empty() {
        return;
    }
    let others: Vec<String> = choice.others.iter().map(|device| device.node()).collect();
    machine.say(format_args!(
        "{wanted} fits {} and also {}: the first is taken",
        choice.device.node(),
        others.join(", ")
    ));
}

/// Says what there is instead.
fn give_up<S: System>(
    machine: &mut Machine<S>,
    wanted: std::fmt::Arguments<'_>,
    devices: &[BlockDevice],
    waited: Duration,
) -> State {
    if devices.is_empty() {
        machine.say("there are no disks: none is attached, or the initrd lacks its driver");
    } else {
        machine.say("these disks and partitions are there:");
    }
    for device in devices {
        machine.say(format_args!("  {device}"));
    }
    let waited = waited.as_secs();
    machine.fail(format_args!("{wanted}, has not come within {waited} s (lkb.rootwait=SECONDS)"))
}

/// Mounts the device, read-only.
fn mount<S: System>(machine: &mut Machine<S>, request: &Request, device: &BlockDevice) -> Result<(), String> {
    let made = machine.system.mkdir(NEW_ROOT, 0o755);
    made.map_err(|errno| format!("cannot make {NEW_ROOT}: {errno}"))?;
    let node = device.node();
    let filesystems = machine.system.read("/proc/filesystems").unwrap_or_default();
    let kinds = stage::kinds(request, device, &filesystems);
    let mut reasons = Vec::new();
    for kind in &kinds {
        load(machine, &[format!("fs-{kind}")]);
        let flags = MsFlags::MS_RDONLY;
        let data = request.options.as_str();
        match machine.system.mount(Mount { source: &node, target: NEW_ROOT, kind, flags, data }) {
            Ok(()) => return Ok(()),
            Err(errno) => reasons.push(format!("as {kind}: {}", stage::explain(errno))),
        }
    }
    if reasons.is_empty() {
        reasons.push("it holds no file system that is known here; give rootfstype=".to_owned());
    }
    Err(format!("cannot mount {device}: {}", reasons.join("; ")))
}

/// Takes the kernel's file systems along, and leaves the initramfs for good.
fn leave<S: System>(machine: &mut Machine<S>, device: &BlockDevice) -> Result<(), String> {
    for path in KEPT {
        let target = format!("{NEW_ROOT}{path}");
        let flags = MsFlags::MS_MOVE;
        let moved = machine.system.mount(Mount { source: path, target: &target, kind: "", flags, data: "" });
        moved.map_err(|errno| match errno {
            Errno::ENOENT | Errno::ENOTDIR => {
                format!("{} is no root of a machine: it has no directory {path}", device.node())
            }
            errno => format!("cannot move {path} to the new root: {errno}"),
        })?;
    }
    let left = machine.system.leave_initramfs(NEW_ROOT);
    left.map_err(|errno| format!("cannot make {} the root: {errno}", device.node()))
}

/// Becomes the new root's init.
fn run<S: System>(machine: &mut Machine<S>, request: &Request, device: &BlockDevice) -> State {
    machine.info(format_args!("/ is {device}"));
    let mut reasons = Vec::new();
    for program in request.init.iter().map(String::as_str).chain(PROGRAMS) {
        let errno = machine.system.exec(program);
        if request.init.as_deref() == Some(program) {
            machine.say(format_args!("cannot run init={program}: {errno}"));
        }
        reasons.push(format!("{program}: {errno}"));
    }
    machine.fail(format_args!("{} has no init that can be run ({})", device.node(), reasons.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::{Fake, machine};
    use super::*;
    use crate::device::identify::Content;
    use crate::power::Action;
    use kmod::cmdline::Cmdline;

    fn disk(name: &str, label: &str) -> BlockDevice {
        let content = Content { kind: "squashfs", label: Some(label.into()), uuid: None };
        BlockDevice { name: name.into(), content: Some(content), ..BlockDevice::default() }
    }

    fn first_stage(line: &str, prepare: impl FnOnce(&mut Fake)) -> Machine<Fake> {
        let mut machine = machine(|fake| {
            fake.root_in_memory = true;
            prepare(fake);
        });
        machine.root_in_memory = true;
        machine.cmdline = Cmdline::parse(line);
        machine
    }

    fn entered(line: &str, prepare: impl FnOnce(&mut Fake)) -> (Machine<Fake>, State) {
        let mut machine = first_stage(line, prepare);
        let state = enter(&mut machine);
        (machine, state)
    }

    const ROOT: &str = "root=LABEL=root";

    #[test]
    fn an_initramfs_is_the_first_stage_only_with_a_root_elsewhere_and_without_containers() {
        let state = |line: &str, prepare: fn(&mut Fake)| or_filesystems(&first_stage(line, prepare));
        assert_eq!(state(ROOT, |_| {}), State::DiskRoot);
        assert_eq!(state("quiet", |_| {}), State::Filesystems);
        assert_eq!(state(ROOT, |fake| fake.file("/containers/services/x", "")), State::Filesystems);
        let second = |fake: &mut Fake| fake.file("/proc/self/environ", "HOME=/\0LKB_STAGE=2\0");
        assert_eq!(state(ROOT, second), State::Filesystems);
        let mut on_disk = first_stage(ROOT, |_| {});
        on_disk.root_in_memory = false;
        assert_eq!(or_filesystems(&on_disk), State::Filesystems);
    }

    #[test]
    fn the_root_is_mounted_read_only_and_entered_with_the_kernels_file_systems() {
        let (machine, _) = entered("root=LABEL=root rootflags=x", |fake| {
            fake.disks = vec![(Duration::ZERO, vec![disk("vda", "other"), disk("vdb", "root")])];
        });
        let expected = [
            "mkdir /sys 755",
            "mount /sys sysfs sysfs nodev,noexec,nosuid,relatime",
            "coldplug",
            "mkdir /sysroot 755",
            "load_modules fs-squashfs",
            "mount /sysroot /dev/vdb squashfs rdonly x",
            "mount /sysroot/dev /dev move",
            "mount /sysroot/proc /proc move",
            "mount /sysroot/sys /sys move",
            "leave_initramfs /sysroot",
            "exec /sbin/init",
            "exec /init",
        ];
        assert_eq!(machine.system.calls, expected);
    }

    #[test]
    fn a_device_that_comes_late_is_waited_for_and_its_modules_are_loaded() {
        let (machine, _) = entered(ROOT, |fake| {
            fake.disks = vec![(Duration::from_secs(8), vec![disk("vdb", "root")])];
            fake.after(0.5, Event::Devices(vec!["pci:x".into()]));
            fake.after(7.5, Event::Disks);
        });
        assert!(
            machine.system.has_called("load_modules pci:x") && machine.system.has_called("exec /sbin/init")
        );
        assert_eq!(machine.system.now, Duration::from_secs(8));
    }

    #[test]
    fn a_device_that_does_not_come_ends_the_boot_and_the_console_says_what_is_there() {
        let (machine, state) = entered(ROOT, |fake| {
            fake.disks = vec![(Duration::ZERO, vec![disk("vda", "a\u{1b}[2J")])];
        });
        assert_eq!(state, State::Failed);
        assert_eq!(machine.system.now, Duration::from_secs(30));
        assert!(
            machine.system.has_said("/dev/vda 0 MiB squashfs LABEL=\"a\\u{1b}[2J\""),
            "{:?}",
            machine.system.log
        );
        let reason = machine.failure.clone().unwrap();
        assert!(reason.starts_with("LABEL=root, which root= asks for, has not come within 30 s"), "{reason}");
        let (machine, _) = entered("root=LABEL=root lkb.rootwait=2", |_| {});
        assert_eq!(machine.system.now, Duration::from_secs(2));
        assert!(machine.system.has_said("there are no disks"));
    }

    #[test]
    fn a_wait_for_ever_is_said_and_ends_with_the_power_button() {
        let (machine, state) = entered("root=LABEL=root rootwait", |fake| {
            fake.after(100.0, Event::Request(Action::PowerOff, "power button"));
        });
        assert_eq!(state, State::Terminate);
        assert_eq!(machine.system.log.iter().filter(|line| line.contains("still waiting")).count(), 3);
    }

    #[test]
    fn a_delay_is_waited_before_the_first_look() {
        let (machine, _) = entered("root=LABEL=root rootdelay=5", |fake| {
            fake.disks = vec![(Duration::ZERO, vec![disk("vda", "root")])];
            fake.after(1.0, Event::Disks);
        });
        assert_eq!(machine.system.now, Duration::from_secs(5));
        assert!(machine.system.has_called("exec /sbin/init"));
    }

    #[test]
    fn what_goes_wrong_on_the_way_is_said_with_its_reason() {
        let cases = [
            ("mount /sysroot /dev/vda", Errno::EINVAL, "cannot mount /dev/vda 0 MiB squashfs"),
            (
                "mount /sysroot/dev",
                Errno::ENOENT,
                "/dev/vda is no root of a machine: it has no directory /dev",
            ),
            ("leave_initramfs", Errno::EINVAL, "cannot make /dev/vda the root: EINVAL"),
            ("exec", Errno::ENOENT, "/dev/vda has no init that can be run (/sbin/init: ENOENT"),
        ];
        for (call, errno, expected) in cases {
            let (machine, state) = entered(ROOT, |fake| {
                fake.disks = vec![(Duration::ZERO, vec![disk("vda", "root")])];
                fake.fail(call, errno);
            });
            let reason = machine.failure.clone().unwrap();
            assert!(state == State::Failed && reason.starts_with(expected), "{reason}");
        }
    }

    #[test]
    fn a_root_with_a_root_hash_is_mounted_checked_or_not_at_all() {
        let line = format!("root=LABEL=root lkb.rootwait=2 roothash={}", "0f".repeat(32));
        let booted = |tree: bool, start: Vec<u8>| {
            entered(&line, |fake| {
                let root = BlockDevice { bytes: 1 << 20, ..disk("vda2", "root") };
                let mut other = BlockDevice { name: "vda3".into(), ..BlockDevice::default() };
                other.partition.uuid = tree.then(|| "0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f".into());
                fake.disks = vec![(Duration::ZERO, vec![root, other])];
                fake.starts.insert("/dev/vda3".into(), start);
            })
        };
        let (machine, _) = booted(true, stage::superblock_for_tests());
        assert!(
            machine.system.has_called("mount /sysroot /dev/dm-0 squashfs rdonly"),
            "{:?}",
            machine.system.calls
        );
        assert!(machine.system.has_called("exec /sbin/init"));
        let refused = [
            (
                false,
                stage::superblock_for_tests(),
                "PARTUUID=0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f, which roothash= asks for",
            ),
            (true, vec![0; 512], "cannot check /dev/vda2 1 MiB squashfs LABEL=\"root\" by /dev/vda3"),
        ];
        for (tree, start, expected) in refused {
            let (machine, state) = booted(tree, start);
            let reason = machine.failure.clone().unwrap();
            assert!(state == State::Failed && reason.starts_with(expected), "{reason}");
            assert!(!machine.system.calls.iter().any(|call| call.starts_with("mount /sysroot")));
        }
    }

    #[test]
    fn an_init_that_was_asked_for_is_tried_first() {
        let (machine, _) = entered("root=LABEL=root init=/bin/mine", |fake| {
            fake.disks = vec![(Duration::ZERO, vec![disk("vda", "root"), disk("vdb", "root")])];
        });
        assert_eq!(machine.system.calls_of("exec"), ["exec /bin/mine", "exec /sbin/init", "exec /init"]);
        assert!(
            machine.system.has_said("cannot run init=/bin/mine")
                && machine.system.has_said("and also /dev/vdb")
        );
    }
}
