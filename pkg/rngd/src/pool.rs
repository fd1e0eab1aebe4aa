//! The kernel's entropy pool, and waiting for it.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use thiserror::Error;

use crate::feed::{Event, Kernel};
use crate::raw;
use crate::source::Draw;

/// Why the pool can't be fed.
#[derive(Debug, Error)]
pub enum PoolError {
    /// No `/dev/random`.
    #[error("cannot open /dev/random: {0}")]
    Open(std::io::Error),
    /// No CAP_SYS_ADMIN, or another refusal.
    #[error("cannot add entropy to /dev/random: {}", explain(*.0))]
    Add(Errno),
    /// Signals or poll(2).
    #[error("cannot wait for /dev/random: {}", .0.desc())]
    Wait(Errno),
}

fn explain(cause: Errno) -> &'static str {
    match cause {
        Errno::EPERM => "not allowed: CAP_SYS_ADMIN is missing",
        other => other.desc(),
    }
}

/// `/dev/random`, and the signals that end a service.
#[derive(Debug)]
pub struct Pool {
    random: File,
    signals: SignalFd,
}

impl Pool {
    /// Opens it. From now on TERM and INT don't end the process but come as [`Event::Stop`].
    ///
    /// # Errors
    /// [`PoolError`] when it is not there.
    pub fn open() -> Result<Self, PoolError> {
        let random = File::options().read(true).write(true).open("/dev/random").map_err(PoolError::Open)?;
        let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
        signals.thread_block().map_err(PoolError::Wait)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self { random, signals: SignalFd::with_flags(&signals, flags).map_err(PoolError::Wait)? })
    }
}

impl Kernel for Pool {
    fn add(&mut self, draw: &Draw) -> Result<(), PoolError> {
        raw::add_entropy(&self.random, &draw.bytes, draw.credit).map_err(PoolError::Add)
    }

    fn wait(&mut self, for_hunger: bool, longest: Duration) -> Result<Event, PoolError> {
        let until = Instant::now() + longest;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let hunger = if for_hunger { PollFlags::POLLOUT } else { PollFlags::empty() };
            let mut files = [
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.random.as_fd(), hunger),
            ];
            let count = match poll(&mut files, timeout) {
                Err(Errno::EINTR) => continue,
                other => other.map_err(PoolError::Wait)?,
            };
            let [stop, hungry] = files.map(|file| file.any() == Some(true));
            return Ok(match (count, stop, hungry) {
                (0, ..) => Event::Timeout,
                (_, true, _) => Event::Stop,
                (_, false, true) => Event::Hungry,
                (_, false, false) => return Err(PoolError::Wait(Errno::EIO)),
            });
        }
    }
}
