//! Waiting for the network to change: rtnetlink(7) events of links, addresses and IPv4 routes.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

/// Tells when the network changes. Events are kept from the moment this is made, so that none falls between a
/// failed try and the wait for the next.
#[derive(Debug)]
pub struct NetworkEvents {
    socket: Option<OwnedFd>,
}

impl NetworkEvents {
    /// Subscribes. Where netlink isn't to be had (a sandbox may forbid it), waits are plain pauses.
    #[must_use]
    pub fn subscribe() -> Self {
        Self { socket: open().ok() }
    }

    /// Waits until the network has changed since the last wait, or `longest` has passed.
    pub fn wait(&self, longest: Duration) {
        let until = Instant::now() + longest;
        let Some(socket) = &self.socket else { return std::thread::sleep(longest) };
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], timeout) {
                Err(Errno::EINTR) => {}
                Ok(0) => return,
                Ok(_) => return drain(socket),
                Err(_) => return std::thread::sleep(left),
            }
        }
    }
}

fn open() -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
    let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV4_ROUTE;
    let groups = groups | libc::RTMGRP_IPV6_IFADDR; // link-local addresses need no route
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups.unsigned_abs()))?;
    Ok(socket)
}

/// Forgets the events that have come so far: what they say is found out by trying. An overrun (ENOBUFS) is an event
/// like any other and clears itself, so only an empty queue ends this, after at most as many as a queue can hold.
fn drain(socket: &OwnedFd) {
    const QUEUE: usize = 4096;
    let mut buffer = [0; 8192];
    for _ in 0..QUEUE {
        if recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) == Err(Errno::EAGAIN) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_network_is_waited_for_no_longer_than_asked() {
        let events = NetworkEvents::subscribe();
        assert!(events.socket.is_some(), "netlink is not to be had here");
        events.wait(Duration::from_millis(20));
    }

    #[test]
    fn without_netlink_a_wait_is_a_pause() {
        let began = Instant::now();
        NetworkEvents { socket: None }.wait(Duration::from_millis(20));
        assert!(began.elapsed() >= Duration::from_millis(20));
    }
}
