//! What nix does not offer: netlink messages, and the crate's only `unsafe` code.
//!
//! | module | `unsafe` for |
//! | --- | --- |
//! | [`fatal`] | handlers for signals that would kill PID 1 |
//! | `raw` | system calls |
//! | [`watchdog`] | ioctls of `/dev/watchdog` |

pub mod fatal;
pub mod netlink;
mod raw;
pub mod watchdog;

pub use raw::{
    Ended, Reaped, RtcTime, attach_device_program, fork, inherited, join_netlink_group, kill,
    load_device_program, pidfd_kill, pin_program, pinned_program, read_rtc, release_memory,
    set_group_niceness, set_rtc, spawn, swap_off, wait_for_any,
};

use std::os::fd::IntoRawFd;
use std::process::ExitCode;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

/// The signal that nothing survives, as [`kill`] has it.
pub const SIGKILL: u32 = 9;

/// Does for an ordinary process what std's own entry point does: no closed standard descriptors, no SIGPIPE.
///
/// A closed descriptor 0, 1 or 2 would become the next file opened, and messages would be written into it.
/// Where `/dev/null` cannot be opened they stay closed.
pub fn prepare_process() {
    while let Ok(fd) = open("/dev/null", OFlag::O_RDWR, Mode::empty()) {
        if std::os::fd::AsRawFd::as_raw_fd(&fd) > 2 {
            break;
        }
        // The descriptor stays open for the life of the process: that is the point.
        let _standard = fd.into_raw_fd();
    }
    raw::ignore_broken_pipes();
}

/// The number a C `main` returns for `code`, which std keeps to itself.
#[must_use]
pub fn exit_status(code: ExitCode) -> i32 {
    (0..=u8::MAX).find(|status| ExitCode::from(*status) == code).map_or(1, i32::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_for_one_process_never_for_a_group() {
        for pid in [0, u32::MAX, i32::MAX.cast_unsigned() + 1] {
            assert_eq!(kill(pid, 0), Err(nix::errno::Errno::ESRCH), "{pid}");
        }
        assert_eq!(kill(std::process::id(), 0), Ok(()));
        assert_eq!(kill(std::process::id(), 99), Err(nix::errno::Errno::EINVAL));
    }

    #[test]
    fn a_group_gets_what_others_leave_and_never_our_own() {
        use std::os::unix::process::CommandExt;

        let mut child = std::process::Command::new("/bin/sleep").arg("60").process_group(0).spawn().unwrap();
        let set = set_group_niceness(child.id(), 19);
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // Field 19 of proc_pid_stat(5), the 17th after the name.
        assert_eq!((set, stat.split_whitespace().nth(18)), (Ok(()), Some("19")));
        assert_eq!(set_group_niceness(0, 19), Err(nix::errno::Errno::ESRCH));
    }

    #[test]
    fn exit_codes_keep_their_number() {
        assert_eq!(exit_status(ExitCode::SUCCESS), 0);
        assert_eq!(exit_status(ExitCode::FAILURE), 1);
        assert_eq!(exit_status(ExitCode::from(143)), 143);
    }
}
