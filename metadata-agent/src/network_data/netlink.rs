//! A socket to the kernel's network configuration.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::message::{Answer, Interface, Message, answers, list_links};

/// Largest answer that is taken at once, in bytes: the kernel sends 32 KiB at most.
const BUFFER: usize = 64 * 1024;
/// Pieces of one answer.
const MAX_PIECES: usize = 1024;
/// The kernel answers at once; making a bond may load a module.
const PATIENCE_SECONDS: i64 = 10;

/// An open socket.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    number: u32,
}

impl Netlink {
    /// Opens one, in the network namespace of this thread.
    ///
    /// # Errors
    /// The system's.
    pub fn open() -> nix::Result<Self> {
        let kind = SockType::Raw;
        let socket =
            socket(AddressFamily::Netlink, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(PATIENCE_SECONDS))?;
        Ok(Self { socket, number: 0 })
    }

    /// Has the kernel do something.
    pub(super) fn ask(&mut self, message: &Message) -> nix::Result<()> {
        self.exchange(message).map(drop)
    }

    /// All links.
    pub(super) fn interfaces(&mut self) -> nix::Result<Vec<Interface>> {
        let answers = self.exchange(&list_links())?.into_iter();
        Ok(answers
            .filter_map(|answer| if let Answer::Link(link) = answer { Some(link) } else { None })
            .collect())
    }

    fn exchange(&mut self, message: &Message) -> nix::Result<Vec<Answer>> {
        self.number = self.number.wrapping_add(1);
        send(self.socket.as_raw_fd(), &message.bytes(self.number), MsgFlags::empty())?;
        let mut buffer = vec![0; BUFFER];
        let mut found = Vec::new();
        for _ in 0..MAX_PIECES {
            let length = match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => return Err(Errno::ETIMEDOUT),
                received => received?,
            };
            for answer in answers(buffer.get(..length).unwrap_or_default(), self.number) {
                match answer {
                    Answer::Done(0) => return Ok(found),
                    Answer::Done(errno) => return Err(Errno::from_raw(errno)),
                    answer => found.push(answer),
                }
            }
        }
        Err(Errno::EMSGSIZE)
    }
}
