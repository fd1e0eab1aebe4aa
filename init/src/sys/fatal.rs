//! The end of PID 1 by its own fault: a signal of the processor's (`SIGSEGV`, `SIGBUS`, `SIGILL`, `SIGFPE`) or `SIGABRT`.
//!
//! The kernel panics when PID 1 dies, with a trace that says nothing about why. So it does not die: a handler writes what
//! happened to the kernel's log, which all consoles show, and to standard error; then sync, a pause for reading, a reboot,
//! as the kernel was told by `panic=`. The handler keeps to system calls that are safe in a signal handler
//! (signal-safety(7)), runs on a stack of its own, and believes nothing of what the process knows but one number.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::fmt::{self, Write};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI64, Ordering};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc::{self, siginfo_t};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::stat::Mode;
use nix::unistd::{getpid, pause, sync, write};

/// The signals. They must not be blocked: the kernel kills whom it cannot tell.
pub const SIGNALS: [Signal; 5] =
    [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE, Signal::SIGABRT];
/// Bytes of the handler's stack: what the kernel pushes on processors with the widest registers, and some.
const STACK: usize = 64 * 1024;
/// For disks that do not answer, in seconds.
const SYNC: u32 = 60;

/// What follows the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The process ends with 128 and the signal's number: in a container.
    Exit,
    /// The machine stays as it is, to be read.
    Stay,
    /// The machine reboots after so many seconds.
    Reboot(u32),
}

/// [`Then`] as a number: seconds, or one of these.
static THEN: AtomicI64 = AtomicI64::new(10);
const EXIT: i64 = -1;
const STAY: i64 = -2;

impl Then {
    const fn to_number(self) -> i64 {
        match self {
            Self::Exit => EXIT,
            Self::Stay => STAY,
            Self::Reboot(seconds) => seconds as i64,
        }
    }

    fn from_number(number: i64) -> Self {
        match number {
            EXIT => Self::Exit,
            STAY => Self::Stay,
            seconds => Self::Reboot(u32::try_from(seconds).unwrap_or_default()),
        }
    }
}

/// Decides what will follow.
pub fn then(then: Then) {
    THEN.store(then.to_number(), Ordering::Relaxed);
}

/// Installs the handler.
///
/// # Errors
/// What sigaltstack(2) or sigaction(2) says.
pub fn install() -> Result<(), Errno> {
    let stack = Box::leak(vec![0_u8; STACK].into_boxed_slice());
    let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: STACK };
    // SAFETY: the stack is never freed, and used for nothing else.
    Errno::result(unsafe { libc::sigaltstack(&raw const stack, null_mut()) })?;
    let flags = SaFlags::SA_ONSTACK | SaFlags::SA_SIGINFO;
    let action = SigAction::new(SigHandler::SigAction(on_signal), flags, SigSet::empty());
    for signal in SIGNALS {
        // SAFETY: `on_signal` makes only async-signal-safe calls, and no handler is replaced.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

extern "C" fn on_signal(number: c_int, info: *mut siginfo_t, _context: *mut c_void) {
    // SAFETY: the kernel passes a valid siginfo_t; which of its fields mean something follows from si_code.
    let (code, sender, address) = unsafe { ((*info).si_code, (*info).si_pid(), (*info).si_addr() as usize) };
    // Zero and less: sent by a process. Only abort(3), which is one of ours, counts.
    let sent = code <= 0;
    if sent && sender != getpid().as_raw() {
        return;
    }
    let name = Signal::try_from(number).map_or("a signal", Signal::as_str);
    if sent {
        say(format_args!("{name} from itself: this is a bug in init"));
    } else {
        say(format_args!("{name} at {address:#x}: this is a bug in init"));
    }
    end(number)
}

/// Says something where it is seen even if terminals, memory or files are what is broken; at most half a kilobyte.
pub fn say(text: impl fmt::Display) {
    let mut line = Line::default();
    // What does not fit is left out.
    write!(line, "init: {text}").ok();
    line.say();
}

/// Ends the machine, or what [`then`] decided, after something went wrong that has been said. Callable anywhere.
pub fn end(signal: c_int) -> ! {
    let status = 128 + signal;
    // A child between fork and exec has the handlers too.
    let then =
        if getpid().as_raw() == 1 { Then::from_number(THEN.load(Ordering::Relaxed)) } else { Then::Exit };
    match then {
        Then::Exit => {}
        Then::Stay => {
            say("the machine stays as it is (panic=0)");
            sync();
            loop {
                pause();
            }
        }
        Then::Reboot(seconds) => {
            say(format_args!("rebooting in {seconds} s"));
            guard(seconds);
            sync();
            sleep(seconds);
            // It returns only when it fails: then the kernel panics, and does what it does.
            reboot(RebootMode::RB_AUTOBOOT).ok();
        }
    }
    // SAFETY: ends the process without running anything of it.
    unsafe { libc::_exit(status) }
}

/// A process that reboots the machine if sync(2) never returns.
fn guard(seconds: u32) {
    // SAFETY: a plain fork without the C library's bookkeeping, which may be what is broken. The child has a copy of the
    // memory, and makes three system calls.
    unsafe {
        if libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) == 0 {
            sleep(seconds.saturating_add(SYNC));
            // It returns only when it fails, and this process is there for nothing else.
            reboot(RebootMode::RB_AUTOBOOT).ok();
            libc::_exit(1);
        }
    }
}

fn sleep(seconds: u32) {
    let mut left = seconds;
    while left > 0 {
        left = nix::unistd::sleep(left);
    }
}

/// What makes the kernel show a line on its consoles, `quiet` or not (kernel Documentation/ABI/testing/dev-kmsg).
const EMERGENCY: &str = "<0>";

/// A line of text, made without memory from anywhere.
struct Line {
    bytes: [u8; 512],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        let mut line = Self { bytes: [0; 512], length: 0 };
        line.append(EMERGENCY);
        line
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.append(text);
        Ok(())
    }
}

impl Line {
    /// Appends; what does not fit is left out.
    fn append(&mut self, text: &str) {
        // One byte is kept for the end of the line.
        let last = self.bytes.len() - 1;
        if let Some(room) = self.bytes.get_mut(self.length..last) {
            for (to, from) in room.iter_mut().zip(text.bytes()) {
                *to = if from.is_ascii_control() { b' ' } else { from };
                self.length += 1;
            }
        }
    }

    /// Writes it to the kernel's log, so that no terminal can stop it; where that is not ours, to standard error.
    fn say(&mut self) {
        if let Some(end) = self.bytes.get_mut(self.length) {
            *end = b'\n';
        }
        let text = self.bytes.get(..=self.length).unwrap_or_default();
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        let ours = THEN.load(Ordering::Relaxed) != EXIT && getpid().as_raw() == 1;
        if ours
            && let Ok(log) = open("/dev/kmsg", flags, Mode::empty())
            && write(&log, text).is_ok()
        {
            return;
        }
        // There is nobody else to tell.
        write(std::io::stderr(), text.get(EMERGENCY.len()..).unwrap_or_default()).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_what_is_too_long_is_cut_off() {
        let mut line = Line::default();
        write!(line, "a\nb {:#x}", 255).unwrap();
        assert_eq!(&line.bytes[..line.length], b"<0>a b 0xff");
        (0..500).for_each(|_| line.append("abc"));
        assert_eq!(line.length, line.bytes.len() - 1);
    }

    #[test]
    fn what_follows_survives_being_a_number() {
        for then in [Then::Exit, Then::Stay, Then::Reboot(0), Then::Reboot(u32::MAX)] {
            assert_eq!(Then::from_number(then.to_number()), then);
        }
    }
}
