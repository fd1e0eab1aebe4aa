//! The crate's only `unsafe` code: nine system calls that nix does not wrap, or wraps as unsafe.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::mem::size_of_val;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask, signal};
use nix::unistd::{ForkResult, Pid, setsid};

/// Adds a netlink socket to a multicast group (netlink(7), `NETLINK_ADD_MEMBERSHIP`).
///
/// # Errors
/// What setsockopt(2) says, `EINVAL` for a group that the protocol does not have.
pub fn join_netlink_group(socket: BorrowedFd<'_>, group: u32) -> Result<(), Errno> {
    let length = libc::socklen_t::try_from(size_of_val(&group)).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel reads `length` bytes at `group`, which lives until the call returns.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_NETLINK,
            libc::NETLINK_ADD_MEMBERSHIP,
            std::ptr::from_ref(&group).cast(),
            length,
        )
    };
    Errno::result(result).map(drop)
}

/// Starts a command in a session of its own and with no signal blocked: PID 1 blocks them all for its signalfd.
///
/// # Errors
/// What fork(2) or execve(2) says.
pub fn spawn(command: &mut Command) -> Result<Pid, Errno> {
    // SAFETY: the closure runs between fork and exec and makes two async-signal-safe system calls; it neither
    // allocates nor locks.
    unsafe {
        command.pre_exec(|| {
            setsid()?;
            pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
            Ok(())
        });
    }
    let child = command.spawn().map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    i32::try_from(child.id()).map(Pid::from_raw).map_err(|_| Errno::ERANGE)
}

/// Forks a child that runs `body` and then ends, without exec (fork(2)).
///
/// # Errors
/// `EBUSY` when this process has several threads: a lock that another one holds would be held in the child for ever. What
/// fork(2) says.
pub fn fork(body: impl FnOnce()) -> Result<Pid, Errno> {
    let threads = std::fs::read_dir("/proc/self/task").map(Iterator::count);
    if !threads.is_ok_and(|count| count == 1) {
        return Err(Errno::EBUSY);
    }
    // SAFETY: this process has one thread, so the child has all of it, and every lock is as free as it is here.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            body();
            // SAFETY: nothing is run after it, in particular nothing that the parent will run too.
            unsafe { libc::_exit(0) }
        }
    }
}

/// What one look for dead children found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaped {
    /// This one, which is gone now; there may be more.
    Child(i32, Ended),
    /// None is dead.
    NoneDead,
    /// There are no children at all.
    NoneLeft,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this code.
    Exited(i32),
    /// This signal killed it; real-time signals too, which nix's `WaitStatus` refuses to name.
    Killed(i32),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Killed(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "was killed by {signal}"),
                Err(_) => write!(f, "was killed by signal {number}"),
            },
        }
    }
}

/// Buries one dead child, of any kind, without waiting (waitpid(2)).
#[must_use]
pub fn wait_for_any() -> Reaped {
    let mut status = 0;
    loop {
        // SAFETY: the kernel writes one int at `status`, which lives until the call returns.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::__WALL) };
        return match Errno::result(pid) {
            Ok(0) => Reaped::NoneDead,
            Ok(pid) if libc::WIFSIGNALED(status) => Reaped::Child(pid, Ended::Killed(libc::WTERMSIG(status))),
            Ok(pid) => Reaped::Child(pid, Ended::Exited(libc::WEXITSTATUS(status))),
            Err(Errno::EINTR) => continue,
            Err(Errno::ECHILD) => Reaped::NoneLeft,
            Err(_) => Reaped::NoneDead,
        };
    }
}

/// Stops swapping to a file or device (swapoff(2)).
///
/// # Errors
/// What swapoff(2) says, `EINVAL` for a path with a NUL in it.
pub fn swap_off(path: &str) -> Result<(), Errno> {
    let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `path` is a NUL-terminated string that lives until the call returns.
    Errno::result(unsafe { libc::swapoff(path.as_ptr()) }).map(drop)
}

/// `struct rtc_time` (linux/rtc.h): a date, with the month from 0 and the year from 1900.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct RtcTime {
    /// 0 to 59.
    pub second: i32,
    /// 0 to 59.
    pub minute: i32,
    /// 0 to 23.
    pub hour: i32,
    /// 1 to 31.
    pub day: i32,
    /// 0 to 11.
    pub month: i32,
    /// Since 1900.
    pub year: i32,
    /// Not used.
    pub week_day: i32,
    /// Not used.
    pub year_day: i32,
    /// Not used.
    pub summer_time: i32,
}

mod rtc {
    nix::ioctl_read!(read_time, b'p', 0x09, super::RtcTime);
    nix::ioctl_write_ptr!(set_time, b'p', 0x0a, super::RtcTime);
}

/// Reads a hardware clock (rtc(4), `RTC_RD_TIME`).
///
/// # Errors
/// What ioctl(2) says, `EINVAL` for a clock that was never set.
pub fn read_rtc(clock: &impl AsRawFd) -> Result<RtcTime, Errno> {
    let mut time = RtcTime::default();
    // SAFETY: the kernel writes one `struct rtc_time` at `time`, which has that layout and lives until the call returns.
    unsafe { rtc::read_time(clock.as_raw_fd(), &raw mut time) }.map(|_| time)
}

/// Sets a hardware clock (rtc(4), `RTC_SET_TIME`).
///
/// # Errors
/// What ioctl(2) says.
pub fn set_rtc(clock: &impl AsRawFd, time: RtcTime) -> Result<(), Errno> {
    // SAFETY: the kernel reads one `struct rtc_time` at `time`, which has that layout and lives until the call returns.
    unsafe { rtc::set_time(clock.as_raw_fd(), &raw const time) }.map(drop)
}

/// Leaves the processor to every other process that wants it (setpriority(2), nice 19).
///
/// # Errors
/// What setpriority(2) says; lowering one's own priority is always allowed.
pub fn lowest_priority() -> Result<(), Errno> {
    // SAFETY: plain numbers; 0 is this process.
    Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) }).map(drop)
}

/// Makes writing to a closed pipe an error instead of death by SIGPIPE.
pub fn ignore_broken_pipes() {
    // SAFETY: no handler is installed, so nothing runs in signal context.
    // Ignored: signal(2) fails only for a number that is no signal.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) }.ok();
}
