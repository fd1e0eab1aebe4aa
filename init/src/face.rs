//! One binary, many programs: which one was asked for, by the name it was called with.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::power::Action;
use crate::supervisor::logs::memlogd::keeper;
use crate::{device, pid1, power, runtime, scripts, service, shim, supervisor, sys};

/// One program of the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// The kernel started it: PID 1.
    Pid1,
    /// `supervisor`: runs the containers; started by PID 1.
    Supervisor,
    /// `scripts PHASE`: runs what other people's packages put under `/etc/init.d`; started by the supervisor.
    Scripts,
    /// `runtime`, or `runc` by name: the OCI runtime.
    Runtime,
    /// `log-sockets`: keeps sockets while there is no supervisor; started by it.
    LogSockets,
    /// `containerd-shim-runc-v2`: what containerd runs for each container.
    Shim,
    /// `service`: the operator's command.
    Service,
    /// `modprobe`: loads a kernel module; also what the kernel itself runs.
    Modprobe,
    /// `disk-links`: brings `/dev/disk` up to date; started by PID 1.
    DiskLinks,
    /// `mdev`: what a kernel runs for each device, and `mdev -s` for all.
    Mdev,
    /// `hwclock`: reads and sets the hardware's clock.
    Hwclock,
    /// `poweroff`, `reboot`, `halt`: asks PID 1.
    Power(Action),
    /// `rc.shutdown [poweroff|reboot|noop]`: LinuxKit's name for the same.
    RcShutdown,
    /// `last-resort`: takes the machine down if PID 1 hangs while it unmounts.
    LastResort,
    /// A name of LinuxKit's for something that PID 1 or the supervisor does by itself: nothing to do.
    Obsolete,
    /// `usermode-helper` under its own name: nothing that the kernel would ask for.
    UsermodeHelper,
    /// No program has this name.
    Unknown,
}

/// Chooses by process id and arguments; also says how many arguments name the program.
///
/// As PID 1 everything but a program's own name is the boot: the kernel calls `/init`, `/sbin/init`, `/bin/rc.init`
/// or what `init=` says, and adds the words of its command line that it does not know.
///
/// A kernel with `CONFIG_STATIC_USERMODEHELPER` runs `/sbin/usermode-helper` with argv0 `/sbin/modprobe`,
/// `/sbin/poweroff`, `/sbin/reboot` or `/sbin/mdev`: with that path a link to this binary, argv0 alone is right.
#[must_use]
pub fn choose(pid: u32, argv: &[OsString]) -> (Face, usize) {
    let name =
        |index: usize| argv.get(index).map(Path::new).and_then(Path::file_name).and_then(|n| n.to_str());
    let called = name(0).unwrap_or_default();
    match by_name(called) {
        Some(face) => (face, 1),
        None if pid == 1 => (Face::Pid1, 1),
        None if is_numbered_step(called) => (Face::Obsolete, 1),
        None => match argv.get(1).and_then(|word| word.to_str()).and_then(by_name) {
            Some(face) => (face, 2),
            None => (Face::Unknown, 1),
        },
    }
}

fn by_name(name: &str) -> Option<Face> {
    Some(match name {
        "supervisor" => Face::Supervisor,
        "scripts" => Face::Scripts,
        "runtime" | "runc" => Face::Runtime,
        keeper::NAME => Face::LogSockets,
        shim::NAME => Face::Shim,
        "service" => Face::Service,
        "modprobe" => Face::Modprobe,
        "disk-links" => Face::DiskLinks,
        "mdev" => Face::Mdev,
        "hwclock" => Face::Hwclock,
        "poweroff" => Face::Power(Action::PowerOff),
        "reboot" => Face::Power(Action::Reboot),
        "halt" => Face::Power(Action::Halt),
        "rc.shutdown" => Face::RcShutdown,
        "last-resort" => Face::LastResort,
        "usermode-helper" => Face::UsermodeHelper,
        _ => return None,
    })
}

/// LinuxKit's packages put links like `/etc/init.d/020-containerd` to `service`, for its init to run.
fn is_numbered_step(name: &str) -> bool {
    name.split_once('-')
        .is_some_and(|(number, _)| number.len() == 3 && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Runs the program that was asked for; returns its exit status.
#[must_use]
pub fn main() -> i32 {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let (face, named) = choose(std::process::id(), &args);
    let args = args.split_off(named.min(args.len()));
    if face == Face::Pid1 {
        return pid1::main();
    }
    sys::prepare_process();
    let code = match face {
        Face::Pid1 | Face::Obsolete => ExitCode::SUCCESS,
        Face::Supervisor => {
            name_process("supervisor");
            supervisor::main()
        }
        Face::Scripts => scripts::main(&args),
        Face::Runtime => runtime::main(args),
        Face::LogSockets => {
            name_process(keeper::NAME);
            keeper::main()
        }
        Face::Shim => shim::main(args),
        Face::Service => service::main(args),
        Face::Modprobe => kmod::modprobe::main(&args),
        Face::DiskLinks => device::links::main(),
        Face::Mdev => device::mdev::main(&args),
        Face::Hwclock => device::hwclock::main(&args),
        Face::Power(action) => power::command::main(action, &args),
        Face::RcShutdown => power::command::rc_shutdown(&args),
        Face::LastResort => power::last_resort::main(&args),
        Face::UsermodeHelper => ExitCode::from(2),
        Face::Unknown => {
            eprintln!(
                "init: not PID 1; usage: init supervisor|runtime|service|modprobe|mdev|hwclock|poweroff|reboot|halt [ARGUMENT…]"
            );
            ExitCode::from(2)
        }
    };
    sys::exit_status(code)
}

/// What `ps` and the kernel's messages call the process, which was executed as `/proc/self/exe`.
fn name_process(name: &str) {
    if let Err(error) = std::fs::write("/proc/self/comm", name) {
        eprintln!("{name}: cannot set the process name: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn argv0_then_argv1_choose_the_program() {
        let cases: &[(u32, &[&str], Face, usize)] = &[
            (1, &["/init"], Face::Pid1, 1),
            (1, &["/sbin/init", "text", "single"], Face::Pid1, 1),
            (1, &["/bin/rc.init"], Face::Pid1, 1),
            (1, &[], Face::Pid1, 1),
            (1, &["/init", "poweroff"], Face::Pid1, 1),
            (1, &["/sbin/poweroff"], Face::Power(Action::PowerOff), 1),
            (7, &["supervisor"], Face::Supervisor, 1),
            (7, &["/sbin/init", "supervisor"], Face::Supervisor, 2),
            (7, &["scripts", "before-onboot"], Face::Scripts, 1),
            (7, &["init", "log-sockets"], Face::LogSockets, 2),
            (7, &["init", "runtime", "create"], Face::Runtime, 2),
            (7, &["/usr/bin/runc", "--root", "/r", "state", "a"], Face::Runtime, 1),
            (7, &["/usr/bin/containerd-shim-runc-v2", "-id", "a", "start"], Face::Shim, 1),
            (7, &["/usr/bin/service", "list"], Face::Service, 1),
            (7, &["/sbin/modprobe", "-q", "--", "fs-ext4"], Face::Modprobe, 1),
            (7, &["reboot"], Face::Power(Action::Reboot), 1),
            (7, &["halt", "-f"], Face::Power(Action::Halt), 1),
            (7, &["/bin/rc.shutdown", "noop"], Face::RcShutdown, 1),
            (7, &["/sbin/mdev", "block"], Face::Mdev, 1),
            (7, &["disk-links"], Face::DiskLinks, 1),
            (7, &["/sbin/hwclock", "-s"], Face::Hwclock, 1),
            (7, &["/etc/init.d/020-containerd"], Face::Obsolete, 1),
            (7, &["/sbin/usermode-helper"], Face::UsermodeHelper, 1),
            (7, &["init"], Face::Unknown, 1),
            (7, &["init", "dance"], Face::Unknown, 1),
        ];
        for (pid, words, face, named) in cases {
            assert_eq!(choose(*pid, &argv(words)), (*face, *named), "{pid} {words:?}");
        }
    }
}
