//! The signals that end a service. A container's first process gets them only if it asks for them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// SIGTERM and SIGINT, as something to wait for.
#[derive(Debug)]
pub struct Ending {
    signals: SignalFd,
}

/// What came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// There is something to read, or its writer is gone.
    Input,
    /// The service is to end.
    End,
}

impl Ending {
    /// Keeps both signals for [`Ending::wait`], in this thread and those that it starts.
    ///
    /// # Errors
    /// When the system is out of file descriptors.
    pub fn listen() -> io::Result<Self> {
        let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
        signals.thread_block()?;
        Ok(Self { signals: SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)? })
    }

    /// Waits until `input` can be read, or the service is to end, which counts more; without limit.
    ///
    /// # Errors
    /// When poll(2) fails.
    pub fn wait(&self, input: BorrowedFd<'_>) -> io::Result<Woken> {
        loop {
            let mut both =
                [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN), PollFd::new(input, PollFlags::POLLIN)];
            match poll(&mut both, PollTimeout::NONE) {
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let [signals, input] = both.map(|fd| fd.any().unwrap_or(true));
            match (signals, input) {
                (true, _) => return Ok(Woken::End),
                (false, true) => return Ok(Woken::Input),
                (false, false) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn input_wakes_and_a_signal_counts_more() {
        let ending = Ending::listen().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"x").unwrap();
        assert_eq!(ending.wait(reader.as_fd()).unwrap(), Woken::Input);
        // To this thread alone: the test's other threads do not block it.
        nix::sys::signal::raise(Signal::SIGTERM).unwrap();
        assert_eq!(ending.wait(reader.as_fd()).unwrap(), Woken::End);
    }

    #[test]
    fn the_end_of_the_input_wakes() {
        let ending = Ending::listen().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        drop(writer);
        assert_eq!(ending.wait(reader.as_fd()).unwrap(), Woken::Input);
    }
}
