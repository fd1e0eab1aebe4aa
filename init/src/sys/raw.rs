//! System calls that nix does not wrap, or wraps as unsafe.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::mem::size_of_val;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
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

/// Starts a command in a session of its own and with no signal blocked: PID 1 blocks them all for its signalfd. It
/// inherits `kept`, under the same number.
///
/// # Errors
/// What fork(2) or execve(2) says.
pub fn spawn(command: &mut Command, kept: Option<BorrowedFd<'_>>) -> Result<Pid, Errno> {
    let kept = kept.map(|descriptor| descriptor.as_raw_fd());
    // SAFETY: the closure runs between fork and exec and makes three async-signal-safe system calls; it neither
    // allocates nor locks. The descriptor lives until the command has been spawned, in the child too.
    unsafe {
        command.pre_exec(move || {
            setsid()?;
            pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
            if let Some(number) = kept {
                // Without close-on-exec, in the child only.
                fcntl(BorrowedFd::borrow_raw(number), FcntlArg::F_SETFD(FdFlag::empty()))?;
            }
            Ok(())
        });
    }
    let child = command.spawn().map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    i32::try_from(child.id()).map(Pid::from_raw).map_err(|_| Errno::ERANGE)
}

/// Takes over a descriptor that the parent process left open and told the number of; children do not get it.
///
/// `None` when nothing is open under this number. To be called once for a number.
#[must_use]
pub fn inherited(number: RawFd) -> Option<OwnedFd> {
    if number <= 2 {
        return None;
    }
    // SAFETY: fcntl(2) takes any number, and says EBADF for one that is not open. It is open, and ours alone: it was
    // opened for us by the parent, before anything here could open a descriptor.
    unsafe {
        fcntl(BorrowedFd::borrow_raw(number), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
        Some(OwnedFd::from_raw_fd(number))
    }
}

/// Gives memory that was freed back to the kernel (malloc_trim(3)), and the code that ran until now: most of it has done
/// its work, and what is needed again is read again.
pub fn release_memory() {
    unsafe extern "C" {
        // Set by the linker: where a static binary's code begins and ends (end(3)).
        static __executable_start: u8;
        static etext: u8;
    }
    // SAFETY: it takes a number, and touches only what no one uses. What it returns says nothing that could be acted on.
    unsafe { libc::malloc_trim(0) };
    let (first, last) = (&raw const __executable_start as usize, &raw const etext as usize);
    let page = size_of_page();
    let first = first.next_multiple_of(page);
    let length = last.saturating_sub(first) / page * page;
    // SAFETY: these pages are mapped from the binary, read-only: the kernel reads them again when they are touched. If it
    // refuses, they stay.
    unsafe { libc::madvise(first as *mut libc::c_void, length, libc::MADV_DONTNEED) };
}

fn size_of_page() -> usize {
    // SAFETY: it takes a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
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

/// How much of a contended processor the processes of a group get: 19 for what others leave, 0 for as much as they.
///
/// # Errors
/// What setpriority(2) says: `ESRCH` when the group is gone.
pub fn set_group_niceness(group: u32, niceness: i32) -> Result<(), Errno> {
    // 0 would be our own group.
    if group == 0 {
        return Err(Errno::ESRCH);
    }
    // SAFETY: plain numbers.
    Errno::result(unsafe { libc::setpriority(libc::PRIO_PGRP, group, niceness) }).map(drop)
}

/// Makes writing to a closed pipe an error instead of death by SIGPIPE.
pub fn ignore_broken_pipes() {
    // SAFETY: no handler is installed, so nothing runs in signal context.
    // Ignored: signal(2) fails only for a number that is no signal.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) }.ok();
}

/// Signals one process by its number (kill(2)); real-time signals too, which nix's type does not have.
///
/// # Errors
/// What kill(2) says: `ESRCH` when it is gone, `EINVAL` for a number that is no signal.
pub fn kill(pid: u32, signal: u32) -> Result<(), Errno> {
    // 0 and negative numbers would mean groups of processes.
    let pid = libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 0).ok_or(Errno::ESRCH)?;
    let signal = libc::c_int::try_from(signal).map_err(|_| Errno::EINVAL)?;
    // SAFETY: plain numbers.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Signals the process that a pidfd holds (pidfd_send_signal(2)).
///
/// # Errors
/// As [`kill`].
pub fn pidfd_kill(process: BorrowedFd<'_>, signal: u32) -> Result<(), Errno> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is what kill(2) would make; the rest are plain numbers.
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, none, 0_u32) };
    Errno::result(result).map(drop)
}

/// `union bpf_attr` for `BPF_PROG_LOAD` (linux/bpf.h), as far as it is needed here.
#[repr(C)]
#[derive(Default)]
struct LoadProgram {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// `union bpf_attr` for `BPF_PROG_ATTACH`.
#[repr(C)]
#[derive(Default)]
struct AttachProgram {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// `union bpf_attr` for `BPF_OBJ_PIN` and `BPF_OBJ_GET`.
#[repr(C)]
#[derive(Default)]
struct PinnedObject {
    path: u64,
    object: u32,
    flags: u32,
}

/// Gives a loaded program a name on a file system of type `bpf`, by which it stays.
///
/// # Errors
/// What bpf(2) says: `EEXIST` when the name is taken, `EPERM` when it is on another file system.
pub fn pin_program(program: BorrowedFd<'_>, path: &CStr) -> Result<(), Errno> {
    const BPF_OBJ_PIN: libc::c_long = 6;
    let object = u32::try_from(program.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    let pin = PinnedObject { path: path.as_ptr() as u64, object, flags: 0 };
    // SAFETY: the kernel reads `size_of` bytes at `pin`, and a terminated string; both live until the call returns.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, BPF_OBJ_PIN, std::ptr::from_ref(&pin), size_of_val(&pin)) };
    Errno::result(result).map(drop)
}

/// The program that has this name.
///
/// # Errors
/// What bpf(2) says: `ENOENT` when there is none.
pub fn pinned_program(path: &CStr) -> Result<OwnedFd, Errno> {
    const BPF_OBJ_GET: libc::c_long = 7;
    let get = PinnedObject { path: path.as_ptr() as u64, ..PinnedObject::default() };
    // SAFETY: as in `pin_program`.
    let program =
        unsafe { libc::syscall(libc::SYS_bpf, BPF_OBJ_GET, std::ptr::from_ref(&get), size_of_val(&get)) };
    let program = Errno::result(program).and_then(|fd| i32::try_from(fd).map_err(|_| Errno::EBADF))?;
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(program) })
}

/// Hands the kernel a program, in eBPF instructions, that decides about uses of devices (cgroups(7), v2 "devices").
///
/// # Errors
/// What bpf(2) says: `EINVAL`, `ENOSYS` or `EPERM` when the kernel does not do this.
pub fn load_device_program(instructions: &[u64]) -> Result<OwnedFd, Errno> {
    const BPF_PROG_LOAD: libc::c_long = 5;
    const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
    let license = c"Apache-2.0";
    let load = LoadProgram {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        instruction_count: u32::try_from(instructions.len()).map_err(|_| Errno::E2BIG)?,
        instructions: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        ..LoadProgram::default()
    };
    // SAFETY: the kernel reads `size_of` bytes at `load`, as many instructions as it says, and a terminated string;
    // all live until the call returns.
    let program =
        unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, std::ptr::from_ref(&load), size_of_val(&load)) };
    let program = Errno::result(program).and_then(|fd| i32::try_from(fd).map_err(|_| Errno::EBADF))?;
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(program) })
}

/// Has the kernel ask `program` about every use of a device in a cgroup, from now on.
///
/// Others that are attached there, or above, must allow it as well.
///
/// # Errors
/// As [`load_device_program`].
pub fn attach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    const BPF_PROG_ATTACH: libc::c_long = 8;
    const BPF_CGROUP_DEVICE: u32 = 6;
    const BPF_F_ALLOW_MULTI: u32 = 2;
    let number = |fd: i32| u32::try_from(fd).map_err(|_| Errno::EBADF);
    let attach = AttachProgram {
        target: number(cgroup.as_raw_fd())?,
        program: number(program.as_raw_fd())?,
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: the kernel reads `size_of` bytes at `attach`, which lives until the call returns.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, std::ptr::from_ref(&attach), size_of_val(&attach))
    };
    Errno::result(result).map(drop)
}
