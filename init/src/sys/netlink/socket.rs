//! A netlink socket.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, sendto,
    setsockopt, socket, sockopt,
};

use super::message::{messages, read_u32};
use crate::sys::join_netlink_group;

/// `NLMSG_ERROR` (linux/netlink.h): the end of an exchange, with an errno or 0.
const ERROR: u16 = 2;
/// How long the kernel may take to answer; it answers before sendto(2) returns.
const ANSWER_TIMEOUT_MS: u16 = 1000;
/// Room for the largest answer or event that init reads: family descriptions and uevents stay below 8 KiB.
const DATAGRAM: usize = 16 * 1024;
/// The group of uevents that come from the kernel itself (2 is udev's).
const KERNEL_UEVENTS: u32 = 1;
/// Room for the uevents of a boot with some thousand devices.
const UEVENT_BUFFER: usize = 4 * 1024 * 1024;

/// The netlink protocols that init speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Links and addresses.
    Route,
    /// Families found by name: ACPI events.
    Generic,
    /// Devices that come and go.
    Uevent,
}

/// A socket that never blocks in [`Socket::receive`].
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
}

impl Socket {
    /// Opens a socket; one for uevents hears the kernel's from now on.
    ///
    /// # Errors
    /// What socket(2) or bind(2) says: `EPROTONOSUPPORT` when the kernel was built without the protocol.
    pub fn open(protocol: Protocol) -> Result<Self, Errno> {
        let (number, groups) = match protocol {
            Protocol::Route => (SockProtocol::NetlinkRoute, 0),
            Protocol::Generic => (SockProtocol::NetlinkGeneric, 0),
            Protocol::Uevent => (SockProtocol::NetlinkKObjectUEvent, KERNEL_UEVENTS),
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Netlink, SockType::Datagram, flags, number)?;
        if protocol == Protocol::Uevent {
            setsockopt(&fd, sockopt::RcvBufForce, &UEVENT_BUFFER)?;
        }
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(Self { fd })
    }

    /// Also hears a multicast group.
    ///
    /// # Errors
    /// What setsockopt(2) says.
    pub fn join(&self, group: u32) -> Result<(), Errno> {
        join_netlink_group(self.fd.as_fd(), group)
    }

    /// Sends a request and reads until the kernel's acknowledgement; `each` sees every other message's payload.
    ///
    /// # Errors
    /// The errno in the kernel's answer, or `ETIMEDOUT` without one.
    pub fn ask(&self, request: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), Errno> {
        let sequence = read_u32(request, 8).ok_or(Errno::EINVAL)?;
        sendto(self.fd.as_raw_fd(), request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        loop {
            let mut ready = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ready, PollTimeout::from(ANSWER_TIMEOUT_MS)) {
                Ok(0) => return Err(Errno::ETIMEDOUT),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
            let mut buffer = Vec::new();
            let Some(datagram) = self.receive(&mut buffer)? else { continue };
            for message in messages(datagram).filter(|message| message.sequence == sequence) {
                if message.kind != ERROR {
                    each(message.payload);
                    continue;
                }
                let code = read_u32(message.payload, 0).ok_or(Errno::EBADMSG)?.cast_signed();
                return if code == 0 { Ok(()) } else { Err(Errno::from_raw(code.saturating_neg())) };
            }
        }
    }

    /// One datagram that the kernel sent; `None` when there is none now. What processes send is dropped. `buffer` may be
    /// used again for the next.
    ///
    /// # Errors
    /// What recvfrom(2) says: `ENOBUFS` when datagrams were lost.
    pub fn receive<'b>(&self, buffer: &'b mut Vec<u8>) -> Result<Option<&'b [u8]>, Errno> {
        buffer.resize(DATAGRAM, 0);
        loop {
            match recvfrom::<NetlinkAddr>(self.fd.as_raw_fd(), buffer) {
                Ok((length, Some(sender))) if sender.pid() == 0 => return Ok(buffer.get(..length)),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
