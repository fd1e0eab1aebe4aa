//! Terminals: PID 1 must never be stopped by one.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, poll};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::super::system::Result;
use super::{errno, milliseconds};

/// For a terminal to take a line: one that is stopped (flow control) must not stop PID 1.
const PATIENCE: Duration = Duration::from_millis(200);

/// Makes `/dev/console` descriptors 0 to 2, and opens it once more for [`write`](write()).
///
/// The second does not block. That flag belongs to the open file: set on the first, it would reach every program that
/// inherits it.
pub fn open_console() -> Result<File> {
    let open = |path| OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path);
    let (standard, result) = match open("/dev/console") {
        Ok(console) => (console, Ok(())),
        // Descriptors 0 to 2 must be something, or the next files opened would take their place.
        Err(error) => (open("/dev/null").map_err(errno)?, Err(errno(error))),
    };
    dup2_stdin(&standard)?;
    dup2_stdout(&standard)?;
    dup2_stderr(&standard)?;
    let number = OwnedFd::from(standard).into_raw_fd();
    if number > 2 {
        nix::unistd::close(number)?;
    }
    result?;
    self::open("/dev/console")
}

/// Opens a terminal for [`write`](write()).
pub fn open(path: &str) -> Result<File> {
    let flags = libc::O_NOCTTY | libc::O_NONBLOCK | libc::O_CLOEXEC;
    OpenOptions::new().write(true).custom_flags(flags).open(path).map_err(errno)
}

/// Writes to a terminal that does not block, waiting a little where its buffer is full.
pub fn write(mut terminal: &File, text: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match terminal.write(rest) {
            Ok(0) => return Err(Errno::EIO),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let left = deadline.saturating_duration_since(Instant::now());
                let mut ready = [PollFd::new(terminal.as_fd(), PollFlags::POLLOUT)];
                if left.is_zero() || poll(&mut ready, milliseconds(left))? == 0 {
                    return Err(Errno::EAGAIN);
                }
            }
            Err(error) => return Err(errno(error)),
        }
    }
    Ok(())
}
