//! The kernel's device events, so that nothing waits for time alone.
//!
//! The kernel sends them to `NETLINK_KOBJECT_UEVENT`, group 1, in every network namespace of the first user
//! namespace, so a container with a network of its own hears them as well (`lib/kobject_uevent.c`).

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, socket,
};

/// Something that tells when a block device may have changed.
pub trait Events {
    /// Waits for the next change of a block device: true, or false when `deadline` came first.
    fn wait(&mut self, deadline: Instant) -> io::Result<bool>;
}

/// The kernel's own events.
#[derive(Debug)]
pub struct Uevents {
    socket: OwnedFd,
}

impl Uevents {
    /// Begins to listen. Look at the devices after this and no event is missed.
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket =
            socket(AddressFamily::Netlink, SockType::Datagram, flags, SockProtocol::NetlinkKObjectUEvent)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 1))?;
        Ok(Self { socket })
    }

    /// Reads all events that are there: whether one was about a block device.
    fn drain(&self) -> io::Result<bool> {
        let mut buffer = [0; 8192];
        let mut block = false;
        loop {
            match recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), &mut buffer) {
                // Any process with the right to could send here; the kernel's port is 0.
                Ok((length, sender)) if sender.is_some_and(|s| s.pid() == 0) => {
                    block |= is_block_event(&buffer[..length]);
                }
                Ok(_) => {}
                Err(Errno::EAGAIN) => return Ok(block),
                Err(Errno::EINTR) => {}
                // Events were lost, and one of them may have been ours.
                Err(Errno::ENOBUFS) => block = true,
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl Events for Uevents {
    fn wait(&mut self, deadline: Instant) -> io::Result<bool> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            // Rounded up, or the last millisecond would be spent spinning.
            let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], timeout) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => {
                    if self.drain()? {
                        return Ok(true);
                    }
                }
                Err(e) => return Err(e.into()),
            }
        }
    }
}

/// Whether a message is about a block device: `ACTION@PATH`, then `KEY=VALUE` fields, each with a NUL behind.
fn is_block_event(message: &[u8]) -> bool {
    message.split(|b| *b == 0).any(|field| field == b"SUBSYSTEM=block")
}

/// Asks `look` now, after each event, and once more at the deadline, until it has an answer.
pub fn wait_for<T, E: From<io::Error>>(
    events: &mut dyn Events,
    deadline: Instant,
    mut look: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    loop {
        if let Some(answer) = look()? {
            return Ok(Some(answer));
        }
        if !events.wait(deadline)? {
            return look();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    struct Fake(usize);

    impl Events for Fake {
        fn wait(&mut self, _: Instant) -> io::Result<bool> {
            let more = self.0 > 0;
            self.0 = self.0.saturating_sub(1);
            Ok(more)
        }
    }

    fn looks_until(events: usize, answer_at: usize) -> (Option<usize>, usize) {
        let mut looks = 0;
        let answer = wait_for(&mut Fake(events), Instant::now(), || -> io::Result<_> {
            looks += 1;
            Ok((looks == answer_at).then_some(looks))
        });
        (answer.unwrap(), looks)
    }

    #[test]
    fn the_question_is_asked_at_once_after_each_event_and_at_the_deadline() {
        assert_eq!(looks_until(5, 1), (Some(1), 1), "no waiting when the answer is there");
        assert_eq!(looks_until(5, 3), (Some(3), 3));
        assert_eq!(looks_until(0, 2), (Some(2), 2), "once more at the deadline");
        assert_eq!(looks_until(2, 9), (None, 4));
    }

    #[test]
    fn only_block_devices_wake_us() {
        assert!(is_block_event(b"add@/devices/x/block/vdb\0ACTION=add\0SUBSYSTEM=block\0DEVNAME=vdb\0"));
        assert!(!is_block_event(b"add@/devices/x\0ACTION=add\0SUBSYSTEM=net\0"));
        assert!(!is_block_event(b"\xff\xfe"));
    }

    #[test]
    fn the_deadline_ends_the_wait() {
        // Where the kernel has no such socket there is nothing to test.
        let Ok(mut events) = Uevents::open() else { return };
        let start = Instant::now();
        // Other devices of this machine may change meanwhile.
        while events.wait(start + Duration::from_millis(20)).unwrap() {}
        assert!(start.elapsed() >= Duration::from_millis(20));
    }
}
